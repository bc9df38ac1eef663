"""Saliency mapping as training: faces weighted by where a first network looked.

The study says that saliency mapping raised its accuracy and does not say how. Here are four
readings. The first network is trained by the same recipe without saliency; its occlusion maps
explain the expression that it finds itself, so that a test image's label is never used.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import ImageSet
from deepfer.explain.occlusion import occlusion_maps
from deepfer.files import write_bytes
from deepfer.modelfile import InputSpec
from deepfer.preprocess import to_pixels
from deepfer.training import checkpoint
from deepfer.training.average import probabilities
from deepfer.training.recipe import Saliency

FIRST = "first"
"""Folder of the first network inside the run folder."""


class SaliencyView:
    """Changes faces as a recipe's ``[saliency]`` table says.

    Args:
        options: The table.
        run: The run folder; holds the first network's run and, once `learn` has run, the
            training faces' mean map.
    """

    def __init__(self, options: Saliency, run: Path) -> None:
        self.options = options
        self.path = run / f"saliency-{options.patch}-{options.stride}.npy"
        self.network, description = checkpoint.load_network(run / FIRST)
        self.spec = InputSpec(**description["input"])

    def learn(self, train: ImageSet) -> None:
        """Compute the mean map of the training faces, where the variant needs it."""
        if self.options.variant not in {"mean", "box"} or self.path.exists():
            return
        mean = np.mean(list(self._maps(to_pixels(train.images, self.spec))), axis=0)
        buffer = io.BytesIO()
        np.save(buffer, mean.astype(np.float32))
        write_bytes(self.path, buffer.getvalue())

    def __call__(self, images: ImageSet) -> ImageSet:
        """Return the images, at the network's size, as the second network sees them."""
        pixels = to_pixels(images.images, self.spec)
        keep = self.options.keep
        variant = self.options.variant
        if variant == "box":
            top, bottom, left, right = box(np.load(self.path))
            return replace(images, images=to_pixels(pixels[:, top:bottom, left:right], self.spec))
        if variant == "mean":
            weights: Iterator[NDArray[np.float32]] | list[NDArray[np.float32]]
            weights = [soft_weight(np.load(self.path), keep)] * len(pixels)
        else:
            weight = soft_weight if variant == "soft" else hard_weight
            weights = (weight(values, keep) for values in self._maps(pixels))
        shown = [dimmed(face, own) for face, own in zip(pixels, weights, strict=True)]
        return replace(images, images=np.stack(shown))

    def _maps(self, pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
        """Yield the positive part of each face's occlusion map, its highest value 1."""
        options = self.options
        for face in pixels:
            target = int(self._classify(face[None])[0].argmax())
            soft, _ = occlusion_maps(
                self._classify,
                face,
                target,
                patch=options.patch,
                stride=options.stride,
                fill="mean",
            )
            positive = np.maximum(soft, 0)
            yield np.asarray(positive / max(float(positive.max()), 1e-9), dtype=np.float32)

    def _classify(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        return probabilities(self.network, faces, self.spec)


def soft_weight(values: NDArray[np.float32], keep: float) -> NDArray[np.float32]:
    """Return weights (H, W) from `keep` to 1 that rise with the map, values from 0 to 1."""
    scaled = values / max(float(values.max()), 1e-9)
    return np.asarray(keep + (1 - keep) * scaled, dtype=np.float32)


def hard_weight(values: NDArray[np.float32], keep: float) -> NDArray[np.float32]:
    """Return weights (H, W): 1 on the half of the pixels with the highest map, else `keep`."""
    order = np.argsort(values, axis=None, kind="stable")  # many pixels may be at zero
    weights = np.full(values.size, keep, dtype=np.float32)
    weights[order[values.size // 2 :]] = 1
    return weights.reshape(values.shape)


def dimmed(face: NDArray[np.uint8], weight: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a uint8 (H, W) face whose contrast is multiplied by the weights, mean gray kept."""
    mean = face.mean()
    return np.asarray(np.round(mean + (face - mean) * weight), dtype=np.uint8)


def box(values: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right around the pixels of at least half the highest value."""
    high = values >= values.max() / 2
    rows, columns = (np.flatnonzero(high.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
