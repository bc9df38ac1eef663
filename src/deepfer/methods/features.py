"""Features that are computed, not learnt: uint8 (N, H, W) faces to float32 (N, D)."""

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_hist
from skimage.feature import hog, local_binary_pattern

from deepfer.align import TEMPLATE, TEMPLATE_SIZE
from deepfer.detect import FaceDetector

Pixels = NDArray[np.uint8]
Features = NDArray[np.float32]
Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""

PATTERNS = 59
"""Uniform local binary patterns of eight neighbours."""


def raw(faces: Pixels) -> Features:
    """Return the pixels themselves, 0 to 1."""
    return np.asarray(faces.reshape(len(faces), -1) / 255, dtype=np.float32)


def equalized(faces: Pixels) -> Features:
    """Return the pixels, each face brought to a flat histogram, 0 to 1."""
    rows = [equalize_hist(face).ravel() for face in faces]  # type: ignore[no-untyped-call]
    return np.asarray(rows, dtype=np.float32)


def hog_grid(faces: Pixels) -> Features:
    """Return histograms of oriented gradients over the whole face.

    Source:
        Dalal and Triggs 2005, in scikit-image's form with 8 orientations, 8x8 cells and 2x2 blocks.
    """
    return np.asarray([_hog(face) for face in faces], dtype=np.float32)


def hog_boxes(faces: Pixels, boxes: Sequence[Box]) -> Features:
    """Return the histograms of `hog_grid` of parts of the face, one part after the other."""
    rows = [np.concatenate([_hog(f[y : y + h, x : x + w]) for x, y, w, h in boxes]) for f in faces]
    return np.asarray(rows, dtype=np.float32)


def lbp_codes(faces: Pixels, radius: int = 1, smooth: float = 0.0) -> NDArray[np.int64]:
    """Return each pixel's uniform local binary pattern of eight neighbours, 0 to 58.

    Args:
        faces: The faces.
        radius: Of the circle of neighbours, in pixels.
        smooth: Deviation of the Gauss filter before, in pixels.

    Source:
        Ojala, Pietikainen and Maenpaa 2002; 58 patterns with at most two changes around the
        circle, and one bin for all others.
    """
    if smooth:
        blurred = gaussian_filter(faces.astype(np.float64), (0, smooth, smooth))
        faces = np.rint(blurred).astype(np.uint8)
    found = [local_binary_pattern(face, 8, radius, "nri_uniform") for face in faces]  # type: ignore[no-untyped-call]
    return np.asarray(found, dtype=np.int64)


def lbp_grid(faces: Pixels, rows: int, columns: int, radius: int) -> Features:
    """Return the histograms of local binary patterns of a grid of cells.

    Source:
        Ahonen, Hadid and Pietikainen 2004.
    """
    bands = np.array_split(lbp_codes(faces, radius), rows, axis=1)
    cells = [cell for band in bands for cell in np.array_split(band, columns, axis=2)]
    return np.concatenate([histograms(cell) for cell in cells], axis=1)


def histograms(codes: NDArray[np.int64]) -> Features:
    """Return how often each pattern stands in (N, H, W) codes, (N, 59)."""
    flat = codes.reshape(len(codes), -1)
    shifted = flat + PATTERNS * np.arange(len(flat))[:, None]
    counts = np.bincount(shifted.ravel(), minlength=PATTERNS * len(flat))
    return counts.reshape(len(flat), PATTERNS).astype(np.float32)


def _hog(face: Pixels) -> Features:
    found = hog(face, orientations=8, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
    return np.asarray(found, dtype=np.float32)


def five_points(faces: Pixels) -> Features:
    """Return the five landmarks of each face, (N, 5, 2), in pixels.

    Where no face is found, those of an aligned face. What was searched once is remembered.
    """
    return np.stack([_points(face.shape[0], face.tobytes()) for face in faces])


@cache
def _detector() -> FaceDetector:
    return FaceDetector(min_score=0.3)  # it is known to be a face


@lru_cache(maxsize=4096)
def _points(side: int, pixels: bytes) -> Features:
    face = np.frombuffer(pixels, dtype=np.uint8).reshape(side, -1)
    found = _detector()(face)
    points = found[0].landmarks if found else None
    scale = np.float32(side / TEMPLATE_SIZE)
    return TEMPLATE * scale if points is None else np.asarray(points, dtype=np.float32)
