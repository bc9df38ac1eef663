"""Turn face crops into network input: the only place where pixels become numbers for a network.

Training, evaluation and recognition all call these functions, so that a network is never fed
differently prepared pixels in use than in training.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from deepfer.errors import InputError
from deepfer.modelfile import InputSpec
from deepfer.types import Image

LEAST_DEVIATION = 1.0
"""Gray levels: a face with less contrast is not amplified further, since only noise is left."""

_ROWS = 256  # that are made gray at once


def to_gray(crop: Image) -> Image:
    """Return uint8 (H, W) luma (ITU-R BT.601, rounded) of a gray or RGB crop."""
    if crop.ndim == 2:
        return crop
    gray = np.empty(crop.shape[:2], np.uint8)
    for top in range(0, len(crop), _ROWS):  # Pillow's own copy takes four bytes a pixel
        strip = PillowImage.fromarray(crop[top : top + _ROWS])
        gray[top : top + _ROWS] = np.asarray(strip.convert("L"))
    return gray


def to_pixels(crops: Sequence[Image] | NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Stack crops as gray pixels of the network's size.

    Args:
        crops: N crops, each uint8 (H, W) or (H, W, 3) RGB; sizes may differ.
        spec: The network's input contract.

    Returns:
        uint8 (N, height, width). Shrinking averages over the area that a pixel covers,
        enlarging is bilinear.

    Raises:
        InputError: A crop is not uint8, has another shape, or is empty; names its position.

    Example:
        >>> spec = InputSpec(height=48, width=48)
        >>> to_pixels([np.full((60, 50, 3), 255, dtype=np.uint8)], spec).shape
        (1, 48, 48)
    """
    pixels = np.empty((len(crops), spec.height, spec.width), dtype=np.uint8)
    for i, crop in enumerate(crops):
        color = crop.ndim == 3 and crop.shape[2] == 3
        if crop.dtype != np.uint8 or not (crop.ndim == 2 or color) or crop.size == 0:
            raise InputError(
                f"crop {i}: expected non-empty uint8 (H, W) or (H, W, 3), "
                f"got {crop.dtype} {crop.shape}"
            )
        gray = to_gray(crop)
        if gray.shape != (spec.height, spec.width):
            # Pillow's bilinear filter widens with the shrinking factor, so nothing aliases
            resized = PillowImage.fromarray(gray).resize(
                (spec.width, spec.height), PillowImage.Resampling.BILINEAR
            )
            gray = np.asarray(resized)
        pixels[i] = gray
    return pixels


def normalize(pixels: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Return float32 (N, 1, H, W) network input of uint8 (N, H, W) faces.

    Values are ``(pixel / 255 - mean) / std`` with the constants of `spec` or, where it says
    ``standardize``, with each face's own mean and deviation (at least `LEAST_DEVIATION`).
    """
    faces = pixels[:, None].astype(np.float32)
    if not spec.standardize:
        return faces * np.float32(1 / (255 * spec.std)) - np.float32(spec.mean / spec.std)
    # whole numbers, so that every machine and the browser see the same mean and deviation
    whole = pixels.reshape(len(pixels), -1).astype(np.int64)
    size = spec.height * spec.width
    total, squares = whole.sum(axis=1), (whole * whole).sum(axis=1)
    deviation = np.maximum(np.sqrt(size * squares - total * total) / size, LEAST_DEVIATION)
    scale = (1 / deviation).astype(np.float32)[:, None, None, None]
    shift = (total / size / deviation).astype(np.float32)[:, None, None, None]
    standardized: NDArray[np.float32] = faces * scale - shift
    return standardized
