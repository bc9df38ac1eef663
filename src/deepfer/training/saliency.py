"""Saliency mapping as training: faces weighted by where a first network looked.

The study says that saliency mapping raised its accuracy and does not say how. Here are four
readings. The first network is trained by the same recipe without saliency; its occlusion maps
explain the expression that it finds itself, so that a test image's label is never used.
"""

import io
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import ImageSet
from deepfer.explain.occlusion import occlusion_maps
from deepfer.files import write_bytes
from deepfer.preprocess import to_pixels
from deepfer.training import checkpoint
from deepfer.training.average import probabilities
from deepfer.training.recipe import Saliency

FIRST = "first"
"""Folder of the first network inside the run folder, unless another is named."""

_LEVELS = 255  # of the kept maps; float32 would fill a disk with a hundred folds


class SaliencyView:
    """Changes faces as a recipe's ``[saliency]`` table says.

    Args:
        options: The table.
        first: The run folder of the network that looks first. Its maps are kept there, one file
            per set of images, since they take as long as the training.
        train: The training images, whose mean map some variants use.
    """

    def __init__(self, options: Saliency, first: Path, train: ImageSet) -> None:
        self.options, self.first, self.train = options, first, train
        self.network, about = checkpoint.load_network(first)
        self.spec = about.input

    def __call__(self, images: ImageSet) -> ImageSet:
        """Return the images, at the network's size, as the second network sees them."""
        pixels = to_pixels(images.images, self.spec)
        keep = self.options.keep
        if self.options.variant == "box":
            top, bottom, left, right = box(self.mean)
            return replace(images, images=to_pixels(pixels[:, top:bottom, left:right], self.spec))
        if self.options.variant == "mean":
            weights = [soft_weight(self.mean, keep)] * len(pixels)
        else:
            weight = soft_weight if self.options.variant == "soft" else hard_weight
            weights = [weight(values, keep) for values in self._maps(images)]
        shown = [dimmed(face, own) for face, own in zip(pixels, weights, strict=True)]
        return replace(images, images=np.stack(shown))

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """The mean map of the training images, float32 (H, W)."""
        return np.asarray(self._maps(self.train).mean(axis=0), dtype=np.float32)

    def _maps(self, images: ImageSet) -> NDArray[np.float32]:
        """Return the positive part of each face's occlusion map, its highest value 1."""
        patch, stride = self.options.patch, self.options.stride
        path = self.first / f"saliency-{patch}-{stride}-{images.fingerprint()}.npz"
        if path.exists():
            with np.load(path) as kept:
                return _unit(kept["maps"])
        maps = []
        for face in to_pixels(images.images, self.spec):
            target = int(self._classify(face[None])[0].argmax())
            soft, _ = occlusion_maps(
                self._classify, face, target, patch=patch, stride=stride, fill="mean"
            )
            positive = np.maximum(soft, 0)
            maps.append(positive / max(float(positive.max()), 1e-9))
        levels = np.round(np.stack(maps) * _LEVELS).astype(np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, maps=levels)
        write_bytes(path, buffer.getvalue())
        return _unit(levels)

    def _classify(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        return probabilities(self.network, faces, self.spec)


def _unit(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(levels / _LEVELS, dtype=np.float32)


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
