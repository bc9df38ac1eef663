"""Features of a network that was trained before and an SVM, after Shima and Omori."""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from deepfer.data.base import ImageSet
from deepfer.methods.base import OPTIONS, Division, Fitted, MethodInfo, Place, Published
from deepfer.methods.estimators import margins, photographs, shares
from deepfer.methods.features import Features
from deepfer.methods.trained import WithWeights
from deepfer.models.base import Network
from deepfer.preprocess import normalize, to_gray, to_pixels
from deepfer.training import checkpoint
from deepfer.types import Image

Layer = Literal["dense", "map"]

MOVES: tuple[tuple[float, float], ...] = ((0, 1), (5, 1), (-5, 1), (0, 1.04), (0, 0.96))
"""Degrees to turn a face and factors to enlarge it by; the first changes nothing."""


def moved(face: Image, degrees: float, zoom: float) -> Image:
    """Return a gray face turned and enlarged around its middle; its border is repeated."""
    if (degrees, zoom) == (0, 1):
        return face
    height, width = face.shape
    edge = max(height, width) // 8
    wide = PillowImage.fromarray(np.pad(face, edge, mode="edge"))
    turn = np.exp(1j * np.radians(degrees)) / zoom
    middle = complex(width / 2, height / 2)
    start = middle - turn * middle + complex(edge, edge)
    matrix = (turn.real, -turn.imag, start.real, turn.imag, turn.real, start.imag)
    found = wide.transform(
        (width, height), PillowImage.Transform.AFFINE, matrix, PillowImage.Resampling.BILINEAR
    )
    return np.asarray(found)


def copies(face: Image) -> Iterator[Image]:
    """Yield a face moved in all ways of `MOVES`, each followed by its mirror image."""
    gray = to_gray(face)
    for degrees, zoom in MOVES:
        own = moved(gray, degrees, zoom)
        yield own
        yield np.ascontiguousarray(own[:, ::-1])


class NetworkFeatures:
    """What layers of a network give for faces; what was asked once is remembered.

    Args:
        weights: A run folder or checkpoint.
        layer: ``dense``, what its classifier takes, or ``map``, its last convolution's.
    """

    def __init__(self, weights: str, layer: Layer) -> None:
        self.network: Network
        self.network, about = checkpoint.load_network(weights)
        self.spec = about.input
        self.layer = layer
        self._known: dict[bytes, Features] = {}

    def __call__(self, faces: list[Image]) -> Features:
        """Return float32 (N, D)."""
        pixels = to_pixels(faces, self.spec)
        keys = [face.tobytes() for face in pixels]
        first = {key: i for i, key in enumerate(keys) if key not in self._known}
        if first:
            found = self._asked(pixels[list(first.values())])
            self._known.update(zip(first, found, strict=True))
        return np.stack([self._known[key] for key in keys])

    @torch.inference_mode()
    def _asked(self, pixels: NDArray[np.uint8]) -> Features:
        rows = []
        for part in np.array_split(pixels, -(-len(pixels) // 128)):
            maps: list[torch.Tensor] = []
            hook = self.network.convolutions.register_forward_hook(
                lambda module, inputs, output, maps=maps: maps.append(output.flatten(1))
            )
            dense = self.network.features(torch.from_numpy(normalize(part, self.spec)))
            hook.remove()
            rows.append((dense if self.layer == "dense" else maps[0]).numpy())
        return np.concatenate(rows)


@lru_cache(maxsize=2)
def network_features(weights: str, layer: Layer) -> NetworkFeatures:
    """Return the features of weights, opened once."""
    return NetworkFeatures(weights, layer)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class CnnSvm(WithWeights):
    """See `info`.

    Attributes:
        weights: See `WithWeights`.
        layer: See `NetworkFeatures`.
        c: Of the SVM.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="cnn-svm",
        title="features of a trained network, SVM, copies",
        what=(
            "Takes features from a network that was trained before on other faces, for every "
            "training face and nine copies of it (mirrored, turned, enlarged), and fits a linear "
            "SVM to them. A face is answered by the mean margin of it and its mirror image."
        ),
        reference="Shima and Omori, Image augmentation for classifying facial expression images "
        "by using deep neural network pre-trained with object image database",
        year=2018,
        deviations=(
            "features: deepfer_fast trained on FER2013 instead of AlexNet trained on ImageNet; "
            "copies and folds are not published; learns from all folds but the one tested, copies "
            "of its faces alone"
        ),
        published=(Published(accuracy=95.31, on="JAFFE", source="the DeepFER study"),),
    )
    mark: ClassVar[str] = "cnn-svm"

    weights: str
    layer: Layer = "dense"
    c: Annotated[float, Field(gt=0)] = 0.01

    def fingerprint(self, division: Division) -> str:
        """Return the fingerprint of the weights' recipe and that of the other options."""
        own = {key: value for key, value in self.options().items() if key != "weights"}
        content = json.dumps([self.info.version, own], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:6]
        return f"{super().fingerprint(division)} {digest}"

    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        features = network_features(self.weights, self.layer)
        return _FittedSvm(features, photographs(train, val), self.c)


class _FittedSvm(Fitted):
    def __init__(self, features: NetworkFeatures, train: ImageSet, c: float) -> None:
        self.features, self.labels = features, train.expressions
        shown = [copy for face in train.images for copy in copies(face)]
        labels = np.repeat(train.labels, len(shown) // len(train))
        self.model = make_pipeline(StandardScaler(), SVC(kernel="linear", C=c))
        self.model.fit(features(shown), labels)

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        faces = [to_gray(face) for face in images.images]
        mirrored = [np.ascontiguousarray(face[:, ::-1]) for face in faces]
        found = [margins(self.model, self.features(views)) for views in (faces, mirrored)]
        return shares((found[0] + found[1]) / 2, self.model.classes_, len(self.labels))
