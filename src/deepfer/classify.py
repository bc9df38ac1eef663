"""Face pixels to calibrated probabilities with one model file in ONNX Runtime."""

from copy import copy
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer.errors import ModelFileError, UnknownNameError, reason
from deepfer.files import is_file
from deepfer.modelfile import ModelInfo
from deepfer.preprocess import normalize
from deepfer.prior import PHOTOS, PriorLike, read_prior
from deepfer.runtime import open_session, probe

_BATCH = 64  # larger batches leave the processor's caches

_WEIGHTS = Path(str(resources.files("deepfer"))) / "weights"

DEFAULT_MODEL = "ferplus"
SHIPPED = {name: f"deepfer_fast-{name}" for name in (DEFAULT_MODEL, "fer2013")}
"""The models that come with the package by their short names: ``ferplus`` answers what people see
in a face, ``fer2013`` what FER2013's collectors labelled. Each is a file in 8-bit integers, and one
in float32, as it was trained."""


def model_path(model: str | Path | None = None, *, exact: bool = False) -> Path:
    """Return the file of a model.

    Args:
        model: A short name of `SHIPPED`, or a model file; None for `DEFAULT_MODEL`.
        exact: Of a shipped model in 8-bit integers, return the float32 form instead.

    Raises:
        UnknownNameError: There is no such name and no such file.
    """
    name = DEFAULT_MODEL if model is None else str(model)
    stem = SHIPPED.get(name)
    path = Path(name) if stem is None else _WEIGHTS / f"{stem}.int8.onnx"
    if stem is None and not path.suffix and not is_file(path) and path.name == name:
        raise UnknownNameError("model", name, (*SHIPPED, "or a model file"))
    if exact and path.parent == _WEIGHTS:
        return path.with_name(path.name.replace(".int8", ""))
    return path


class Classifier:
    """Classifies face crops.

    Args:
        model: A short name of `SHIPPED` or a model file; None for `DEFAULT_MODEL`.
        prior: How often each expression is expected; see `read_prior`.

    Attributes:
        path: The model file.
        info: What the model file says about itself.
        prior: As given.

    Raises:
        ModelFileError: The file is missing, damaged, or its outputs do not fit its labels.
        UnknownNameError: There is no such name and no such file.
        InputError: The prior cannot be used with this model.
    """

    def __init__(self, model: str | Path | None = None, prior: PriorLike = PHOTOS) -> None:
        self.path = path = model_path(model)
        self._session = open_session(path, trusted=path.parent == _WEIGHTS)
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            names = [one.name for one in (*inputs, *outputs)]
        except UnicodeDecodeError as error:
            raise ModelFileError(
                f"{path}: damaged, its texts are not UTF-8 ({error.reason}); export the model again"
            ) from None
        self.info = ModelInfo.from_metadata(metadata, str(path))
        if (
            len(inputs) != 1
            or not outputs
            or any(one.type != "tensor(float)" for one in (*inputs, *outputs))
        ):
            raise ModelFileError(
                f"{path}: the network takes {_types(inputs)} and gives {_types(outputs)}, expected "
                "one float input, and float outputs; export the model again"
            )
        self._input = inputs[0]
        self._logits = outputs[0].name
        self._theta = "theta" if "theta" in names[1:] else None
        self.prior = read_prior(prior, self.info)
        spec, labels = self.info.input, self.info.labels
        if list(outputs[0].shape[1:]) != [len(labels)] or len(set(labels)) != len(labels):
            raise ModelFileError(
                f"{path}: outputs of shape {outputs[0].shape} but labels {', '.join(labels)}; "
                "export the model again"
            )
        if list(self._input.shape[1:]) != [1, spec.height, spec.width]:
            raise ModelFileError(
                f"{path}: the network takes {self._input.shape[1:]}, its metadata says "
                f"1x{spec.height}x{spec.width}; export the model again"
            )

        self._probe()

    def _probe(self) -> None:
        """Try the network on two faces, that what is wrong with it is told before any work.

        Raises:
            ModelFileError: It fails, takes too long, or its answers are no numbers.
        """
        spec = self.info.input
        ramp = np.linspace(0, 255, spec.height * spec.width).astype(np.uint8)
        faces = np.stack([ramp, ramp[::-1]]).reshape(2, spec.height, spec.width)
        feed = {self._input.name: normalize(faces, spec)}
        names = [self._logits, *([self._theta] if self._theta else [])]
        scores, *theta = probe(self._session, self.path, names, feed)
        self._checked(scores, 2)
        if theta and theta[0].shape != (2, 2, 3):
            raise ModelFileError(
                f"{self.path}: an attention of shape {theta[0].shape}, expected (2, 2, 3); export "
                "the model again"
            )

    def _checked(self, scores: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        shape = count, len(self.info.labels)
        if scores.shape != shape:
            raise ModelFileError(
                f"{self.path}: scores of shape {scores.shape} for {count} faces, expected {shape}; "
                "export the model again"
            )
        if not np.isfinite(scores).all():
            raise ModelFileError(
                f"{self.path}: answers that are no numbers; its weights or its metadata are "
                "damaged, so export the model again"
            )
        return scores

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (N, K) scores of uint8 (N, H, W) faces, columns as in `info.labels`."""
        scores = np.empty((len(pixels), len(self.info.labels)), dtype=np.float32)
        for start in range(0, len(pixels), _BATCH):
            batch = normalize(pixels[start : start + _BATCH], self.info.input)
            found = self._run(self._logits, batch)
            scores[start : start + _BATCH] = self._checked(found, len(batch))
        return scores

    def theta(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the attention's affine maps (N, 2, 3) of uint8 (N, H, W) faces, if it has one.

        Convention:
            Output to input coordinates, -1 to 1 over the face, x first, pixels as areas
            (``align_corners=False``).
        """
        if self._theta is None:
            return None
        batch = normalize(pixels, self.info.input)
        return self._run(self._theta, batch)

    def _run(self, output: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            found: NDArray[np.float32] = self._session.run([output], {self._input.name: batch})[0]
        except Exception as error:  # onnxruntime's error classes have no public common base
            raise ModelFileError(
                f"{self.path}: the network cannot be run ({reason(error)}); export the model again"
            ) from None
        return found

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (N, K) calibrated probabilities of uint8 (N, H, W) faces."""
        probabilities = softmax(self.logits(pixels) / self.info.temperature)
        return self.prior(probabilities).astype(np.float32)

    def under(self, prior: PriorLike) -> "Classifier":
        """Return the same classifier with another prior.

        Raises:
            InputError: The prior cannot be used with this model.
        """
        other = copy(self)
        other.prior = read_prior(prior, self.info)
        return other


def _types(values: list[Any]) -> str:
    return ", ".join(f"{one.name} {one.type}" for one in values) or "nothing"


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return probabilities (N, K) of logits (N, K)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = (shifted / shifted.sum(axis=1, keepdims=True)).astype(
        np.float32
    )
    return probabilities
