"""The contract between training and use, stored inside every model file.

A model file is one ONNX file. Its metadata says what the network expects and what its outputs
mean, so that nothing about a model is kept in a caller's head.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from deepfer.errors import ModelFileError, reason
from deepfer.labels import Expression

FORMAT = 1
_KEY = "deepfer"
_LARGEST = 1e12  # of a number in the metadata
_SIDE = 1024  # pixels of the largest face that a network takes


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network's input looks like: gray faces of one size.

    Attributes:
        height: Pixels.
        width: Pixels.
        mean: On the 0 to 1 scale; pixels become ``(pixel / 255 - mean) / std``.
        std: On the 0 to 1 scale.
        standardize: Each face is brought to mean 0 and deviation 1 by its own mean and deviation
            instead, so that light and contrast cost nothing; `mean` and `std` do not count.
    """

    height: int
    width: int
    mean: float = 0.5
    std: float = 0.25
    standardize: bool = False


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Everything a model file says about itself.

    Attributes:
        name: Such as ``deepfer_fast-fer2013@1``.
        labels: The expressions in the order of the network's outputs.
        input: The input contract.
        temperature: Logits are divided by it before the softmax.
        prior: Share of each label in what it was trained on, in the order of `labels`, summing to
            1; empty where it is not known.
        set_mass: The most probable expressions that reach this sum hold, nine times in ten, what a
            person would say; see `deepfer.certainty`.
        certainty: Answers of at least this probability count as certain.
        training_data: What it was trained on, in words.
        licence: Terms of the weights, in words.
        recipe: Fingerprint of the recipe that made it.
        network: Name of the network in the table of models; empty where it is not known.
        network_options: Its options.
        figures: Measured figures by name, such as ``{"fer2013 test accuracy": 0.73}``.
    """

    name: str
    labels: tuple[Expression, ...]
    input: InputSpec
    temperature: float = 1.0
    prior: tuple[float, ...] = ()
    set_mass: float = 0.9
    certainty: float = 0.5
    training_data: str = ""
    licence: str = ""
    recipe: str = ""
    network: str = ""
    network_options: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values that would give wrong answers later.

        Raises:
            ValueError: A value cannot be used.
        """
        texts = (self.name, self.training_data, self.licence, self.recipe, self.network)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("name, training_data, licence, recipe and network are texts")
        if not (_is_number(self.temperature) and self.temperature > 0 and _is_usable(self.input)):
            raise ValueError("temperature or input cannot be used")
        if not all(map(_is_number, (*self.prior, self.set_mass, self.certainty))):
            raise ValueError("prior, set_mass and certainty are numbers")
        if not (isinstance(self.figures, dict) and all(map(_is_number, self.figures.values()))):
            raise ValueError("figures are numbers by name")
        if not isinstance(self.network_options, dict):
            raise ValueError("network_options are values by name")  # noqa: TRY004
        known = len(self.prior) == len(self.labels) and min(self.prior, default=0) > 0
        if self.prior and not known:
            raise ValueError("prior needs a share above 0 for each label")
        if not (0 <= self.set_mass <= 1 and 0 <= self.certainty <= 1):
            raise ValueError("set_mass and certainty run from 0 to 1")

    def to_metadata(self) -> dict[str, str]:
        """Return the ONNX metadata that `from_metadata` reads."""
        return {_KEY: json.dumps({"format": FORMAT, **asdict(self)})}

    @staticmethod
    def from_metadata(metadata: dict[str, str], path: str) -> "ModelInfo":
        """Read what `to_metadata` wrote.

        Raises:
            ModelFileError: The metadata is missing, of another format or incomplete.
        """
        if _KEY not in metadata:
            raise ModelFileError(
                f"{path}: not a deepfer model file (no 'deepfer' metadata); "
                "make one with `deepfer export`"
            )
        try:
            content: dict[str, Any] = json.loads(metadata[_KEY])
            found = content.pop("format")
            if found == FORMAT:
                labels = tuple(Expression(label) for label in content.pop("labels"))
                spec = InputSpec(**content.pop("input"))
                prior = tuple(content.pop("prior", ()))
                return ModelInfo(labels=labels, input=spec, prior=prior, **content)
        except Exception as error:  # whatever a hostile file makes of them
            raise ModelFileError(
                f"{path}: damaged model metadata ({reason(error)}); export the model again"
            ) from None
        raise ModelFileError(
            f"{path}: model file format {str(found)[:20]}, this version reads {FORMAT}; "
            "export the model again"
        )


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST  # what is not a number is not below


def _is_usable(spec: InputSpec) -> bool:
    sides = spec.height, spec.width
    return (
        all(isinstance(side, int) and 1 <= side <= _SIDE for side in sides)
        and all(map(_is_number, (spec.mean, spec.std)))
        and spec.std > 0
        and isinstance(spec.standardize, bool)
    )
