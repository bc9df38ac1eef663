"""What a file of trained weights says about itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from deepfer.labels import Expression
from deepfer.modelfile import InputSpec, ModelInfo
from deepfer.models import create_model, resolved_options
from deepfer.models.base import Network
from deepfer.training.recipe import Recipe, from_json

_OWN = ("model", "model_options", "labels", "input", "recipe", "data", "averaged")


@dataclass(frozen=True, kw_only=True)
class TrainedInfo:
    """Everything that a user of trained weights must know.

    Attributes:
        model: The network's name in the table of models.
        model_options: All of its options, so that a default may change one day.
        labels: The expressions in the order of the logits.
        input: What the network takes.
        recipe: What made it, as `Recipe.to_json` gives it.
        data: Fingerprints of the images, by ``train`` and ``val``.
        averaged: Fingerprints of the recipes of the runs whose mean it is.
        figures: Of the epoch, such as ``val_accuracy``; JSON-ready.
    """

    model: str
    model_options: Mapping[str, Any]
    labels: tuple[Expression, ...]
    input: InputSpec
    recipe: Mapping[str, Any]
    data: Mapping[str, str]
    averaged: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        labels: tuple[Expression, ...],
        spec: InputSpec,
        data: Mapping[str, str],
        figures: Mapping[str, Any],
    ) -> Self:
        """Return what is to be said of what a recipe trained."""
        return cls(
            model=recipe.model,
            model_options=resolved_options(recipe.model, recipe.model_options),
            labels=labels,
            input=spec,
            recipe=recipe.to_json(),
            data=data,
            figures=figures,
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready values, figures beside the others."""
        found = {**asdict(self), "labels": [str(e) for e in self.labels], **self.figures}
        del found["figures"]
        return {**found, "averaged": list(self.averaged)}

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave, of this version or an earlier one.

        Raises:
            DeepferError, KeyError, TypeError, ValueError: Something is missing or cannot be used.
        """
        labels = tuple(Expression(label) for label in content["labels"])
        spec, data, recipe = InputSpec(**content["input"]), content["data"], content["recipe"]
        averaged = tuple(content.get("averaged", ()))
        ModelInfo("", labels, spec)  # which checks both
        if len(set(labels)) < len(labels):
            raise ValueError("labels that are given twice")
        texts = data["train"], data["val"], *averaged
        if not isinstance(recipe, dict) or not all(isinstance(text, str) for text in texts):
            raise TypeError("recipe, data or averaged cannot be used")
        return cls(
            model=content["model"],
            # version 0.1 gave only those that were not at their defaults
            model_options=resolved_options(content["model"], content["model_options"]),
            labels=labels,
            input=spec,
            recipe=recipe,
            data={side: data[side] for side in ("train", "val")},
            averaged=averaged,
            figures={key: value for key, value in content.items() if key not in _OWN},
        )

    def trained_by(self, source: str) -> Recipe:
        """Return the recipe that made it.

        Args:
            source: Where it stands, for messages.

        Raises:
            RecipeError: It is none that this version knows.
        """
        return from_json(dict(self.recipe), source)

    def build(self) -> Network:
        """Return the network, not yet with its weights."""
        network = create_model(self.model, num_classes=len(self.labels), **self.model_options)
        if {self.input.height, self.input.width} != {network.input_size}:
            raise ValueError("an input of another size than the network's")
        return network
