"""Occlusion: hide one patch after the other and see what the network answers then.

Source:
    Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014, section 4.2.
    The study's two maps: hard, where the most probable expression changes, and soft, how far the
    target's probability falls.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter

from deepfer.errors import InputError

Classify = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 (N, H, W) faces to float32 (N, K) probabilities."""

_CHUNK = 512  # copies in memory at once

FILLS = ("mean", "black", "blur")


def patches(
    face: NDArray[np.uint8], *, patch: int, stride: int, fill: str
) -> list[tuple[slice, slice]]:
    """Return every position of the patch, as rows and columns.

    Args:
        face: uint8 (H, W).
        patch: Side of the patch in pixels.
        stride: Pixels between neighbouring positions; the last row and column touch the border.
        fill: ``"mean"`` of the face, ``"black"``, or ``"blur"``: the face without its details.

    Raises:
        InputError: The patch does not fit the face, or there is no such fill.
    """
    if not 1 <= stride <= patch <= min(face.shape) or fill not in FILLS:
        raise InputError(
            f"patch {patch}, stride {stride}, fill {fill!r}: expected a patch of at most "
            f"{min(face.shape)} pixels, a stride of 1 to the patch, and one of {', '.join(FILLS)}"
        )
    rows, columns = (
        [slice(start, start + patch) for start in _starts(size, patch, stride)]
        for size in face.shape
    )
    return [(row, column) for row in rows for column in columns]


def filling(face: NDArray[np.uint8], fill: str) -> NDArray[np.uint8]:
    """Return what takes the place of hidden pixels, uint8 (H, W)."""
    if fill == "blur":
        blur = ImageFilter.GaussianBlur(len(face) / 10)
        return np.asarray(PillowImage.fromarray(face).filter(blur))
    value = 0 if fill == "black" else round(float(face.mean()))
    return np.full_like(face, value)


def occlusion_maps(
    classify: Classify,
    face: NDArray[np.uint8],
    target: int,
    *,
    patch: int,
    stride: int,
    fill: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the soft and the hard map, float32 (H, W); see `Explanation`.

    Args:
        classify: The network.
        face: uint8 (H, W).
        target: Column of the explained expression.
        patch: See `patches`.
        stride: See `patches`.
        fill: See `patches`.
    """
    whole = classify(face[None])[0]
    filled = filling(face, fill)
    places = patches(face, patch=patch, stride=stride, fill=fill)
    sums = np.zeros((3, *face.shape), dtype=np.float32)  # falls, flips, patches over each pixel
    for start in range(0, len(places), _CHUNK):
        chunk = places[start : start + _CHUNK]
        copies = np.repeat(face[None], len(chunk), axis=0)
        for copy, place in zip(copies, chunk, strict=True):
            copy[place] = filled[place]
        found = classify(copies)
        falls, flips = whole[target] - found[:, target], found.argmax(axis=1) != whole.argmax()
        for fall, flip, (rows, columns) in zip(falls, flips, chunk, strict=True):
            sums[:, rows, columns] += np.array([fall, flip, 1], np.float32)[:, None, None]
    return sums[0] / sums[2], sums[1] / sums[2]


def _starts(size: int, patch: int, stride: int) -> list[int]:
    starts = list(range(0, size - patch + 1, stride))
    return starts if starts[-1] == size - patch else [*starts, size - patch]
