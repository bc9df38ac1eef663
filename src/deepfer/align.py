"""Turn a detected face to the framing that the networks were trained on.

Convention:
    Coordinates are continuous: pixel (0, 0) covers 0 to 1 on both axes.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from deepfer.types import Face, Image

TEMPLATE = np.array(
    [[15.0, 18.1], [33.0, 18.1], [24.0, 27.5], [16.4, 35.5], [31.6, 35.5]], dtype=np.float32
)
"""Where the five landmarks lie in a 48x48 face of FER2013: the mean over its training faces, as
``tools/measure_template.py`` finds it."""

TEMPLATE_SIZE = 48
_GRID = 16  # parts of a pixel


def cut_face(photo: Image, face: Face, size: int) -> Image:
    """Cut out one face of a photo, as the networks are to see it.

    Landmarks are taken to 1/16 pixel: processors and browsers differ in the digits behind, which
    would move single gray levels, and those weigh in 8-bit networks.

    Args:
        photo: uint8 (H, W) or (H, W, 3).
        face: In pixels of `photo`.
        size: As for `align`.

    Returns:
        As from `align`; the whole photo for a face that was not searched.
    """
    if face.landmarks is None:
        return photo
    return align(photo, np.round(face.landmarks.astype(np.float64) * _GRID) / _GRID, size)


def align(photo: Image, landmarks: NDArray[np.floating], size: int) -> Image:
    """Cut out one face, turned upright and scaled so that its landmarks meet the template.

    Args:
        photo: uint8 (H, W) or (H, W, 3).
        landmarks: (5, 2), x and y in pixels of `photo`, in the order of `Face.landmarks`.
        size: Height and width of the result in pixels.

    Returns:
        uint8 (size, size) or (size, size, 3). Beyond the photo its border is repeated, as
        training does. Pixels are averaged over the area they cover, so nothing aliases.
    """
    template = TEMPLATE.astype(landmarks.dtype) * (size / TEMPLATE_SIZE)
    turn, shift = similarity(template, landmarks)
    corners = np.array([0, size, 1j * size, size * (1 + 1j)]) * turn + shift
    left, top = math.floor(corners.real.min()) - 2, math.floor(corners.imag.min()) - 2
    right, bottom = math.ceil(corners.real.max()) + 2, math.ceil(corners.imag.max()) + 2
    region = PillowImage.fromarray(cut(photo, left, top, right, bottom))

    # Average whole blocks first, then sample twice per output pixel what scale is left.
    block = max(1, int(abs(turn)))
    region = region.reduce(block)
    step = turn / block / 2
    origin = (shift - complex(left, top)) / block
    matrix = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    fine = region.transform(
        (2 * size, 2 * size),
        PillowImage.Transform.AFFINE,
        matrix,
        PillowImage.Resampling.BILINEAR,
    )
    return np.asarray(fine.reduce(2))


def similarity(
    source: NDArray[np.floating], target: NDArray[np.floating]
) -> tuple[complex, complex]:
    """Return the turn-and-scale and the shift that bring `source` closest to `target`.

    Points (x, y) are read as complex numbers x + iy; the result maps p to ``turn * p + shift``
    with the least squared distance.

    Example:
        >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        >>> turn, shift = similarity(square, square * 2 + 3)
        >>> f"{turn:.1f} {shift:.1f}"
        '2.0+0.0j 3.0+3.0j'
    """
    p, q = (points[:, 0] + 1j * points[:, 1] for points in (source, target))
    p_mean, q_mean = p.mean(), q.mean()
    spread = (np.abs(p - p_mean) ** 2).sum()
    turn = complex((np.conj(p - p_mean) * (q - q_mean)).sum() / spread)
    return turn, complex(q_mean - turn * p_mean)


def cut(photo: Image, left: int, top: int, right: int, bottom: int) -> Image:
    """Return a rectangle of a photo; where it lies beyond the photo the border is repeated."""
    height, width = photo.shape[:2]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return np.ascontiguousarray(photo[top:bottom, left:right])
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    columns = np.clip(np.arange(left, right), 0, width - 1)
    return photo[rows[:, None], columns]
