"""Features that are computed, not learnt: uint8 (N, H, W) faces to float32 (N, D)."""

import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog

Pixels = NDArray[np.uint8]
Features = NDArray[np.float32]


def raw(faces: Pixels) -> Features:
    """Return the pixels themselves, 0 to 1."""
    return np.asarray(faces.reshape(len(faces), -1) / 255, dtype=np.float32)


def hog_grid(faces: Pixels) -> Features:
    """Return histograms of oriented gradients over the whole face.

    Source:
        Dalal and Triggs 2005, in scikit-image's form with 8 orientations, 8x8 cells and 2x2 blocks.
    """
    rows = [hog(f, orientations=8, pixels_per_cell=(8, 8), cells_per_block=(2, 2)) for f in faces]
    return np.asarray(rows, dtype=np.float32)
