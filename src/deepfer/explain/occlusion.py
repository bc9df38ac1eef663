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

FILLS = ("mean", "black", "blur")


def occlude(
    face: NDArray[np.uint8], *, patch: int, stride: int, fill: str
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a copy of the face for every position of the patch.

    Args:
        face: uint8 (H, W).
        patch: Side of the patch in pixels.
        stride: Pixels between neighbouring positions; the last row and column touch the border.
        fill: ``"mean"`` of the face, ``"black"``, or ``"blur"``: the face without its details.

    Returns:
        uint8 (P, H, W) copies, and bool (P, H, W), where each is hidden.

    Raises:
        InputError: The patch does not fit the face, or there is no such fill.
    """
    height, width = face.shape
    if not 1 <= stride <= patch <= min(face.shape) or fill not in FILLS:
        raise InputError(
            f"patch {patch}, stride {stride}, fill {fill!r}: expected a patch of at most "
            f"{min(face.shape)} pixels, a stride of 1 to the patch, and one of {', '.join(FILLS)}"
        )
    tops, lefts = (_starts(size, patch, stride) for size in (height, width))
    hidden = np.zeros((len(tops) * len(lefts), height, width), dtype=bool)
    for i, (top, left) in enumerate((t, x) for t in tops for x in lefts):
        hidden[i, top : top + patch, left : left + patch] = True
    return np.where(hidden, filling(face, fill), face), hidden


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
        patch: See `occlude`.
        stride: See `occlude`.
        fill: See `occlude`.
    """
    copies, hidden = occlude(face, patch=patch, stride=stride, fill=fill)
    found = classify(np.concatenate([face[None], copies]))
    falls = found[0, target] - found[1:, target]
    flips = found[1:].argmax(axis=1) != found[0].argmax()
    soft, hard = (
        np.tensordot(values.astype(np.float32), hidden, axes=1) / hidden.sum(axis=0)
        for values in (falls, flips)
    )
    return soft.astype(np.float32), hard.astype(np.float32)


def _starts(size: int, patch: int, stride: int) -> list[int]:
    starts = list(range(0, size - patch + 1, stride))
    return starts if starts[-1] == size - patch else [*starts, size - patch]
