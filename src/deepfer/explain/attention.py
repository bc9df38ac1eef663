"""The attention window: what a network with a spatial transformer makes of the face.

Nothing is estimated here: θ is what the network computed on its way to the answer.
"""

import numpy as np
from numpy.typing import NDArray

_CORNERS = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]], dtype=np.float32)


def window_corners(theta: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return float32 (4, 2): x and y of the window's corners in pixels of the face.

    Args:
        theta: (2, 3), see `Classifier.theta`.
        height: Of the face.
        width: Of the face.
    """
    corners = _CORNERS @ theta.T  # (4, 2), -1 to 1
    return np.asarray((corners + 1) / 2 * [width, height], dtype=np.float32)


def warped(face: NDArray[np.uint8], theta: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the face seen through the window, float32 (H, W), 0 to 255.

    Beyond the face its border is repeated, as `deepfer_fast` does; the published networks see
    black there.
    """
    positions = _positions(face.shape, theta)
    low = np.floor(positions).astype(int)
    share = positions - low
    values = face.astype(np.float32)

    def at(dy: int, dx: int) -> NDArray[np.float32]:
        y = np.clip(low[..., 1] + dy, 0, face.shape[0] - 1)
        x = np.clip(low[..., 0] + dx, 0, face.shape[1] - 1)
        return np.asarray(values[y, x])

    top = at(0, 0) * (1 - share[..., 0]) + at(0, 1) * share[..., 0]
    bottom = at(1, 0) * (1 - share[..., 0]) + at(1, 1) * share[..., 0]
    return np.asarray(top * (1 - share[..., 1]) + bottom * share[..., 1], dtype=np.float32)


def density(face: NDArray[np.uint8], theta: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much of the view each pixel fills, relative to no window, less 1: (H, W).

    0 is as much as without a window, -1 nothing; a window of half the face in each direction
    gives 3 inside. Pixels that the border crosses count in part.
    """
    height, width = face.shape
    y, x = (((np.arange(4 * n) + 0.5) / (2 * n) - 1) for n in (height, width))
    points = np.stack(np.meshgrid(x, y), axis=-1) - theta[:, 2]
    seen = (np.abs(points @ np.linalg.pinv(theta[:, :2]).T) <= 1).all(axis=-1)
    share = seen.reshape(height, 4, width, 4).mean(axis=(1, 3))
    zoom = abs(float(np.linalg.det(theta[:, :2])))
    return np.asarray(share / max(zoom, 1e-9) - 1, dtype=np.float32)


def _positions(shape: tuple[int, ...], theta: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W, 2): the x and y that each output pixel reads, in pixel centres."""
    height, width = shape
    y, x = ((np.arange(n, dtype=np.float32) + 0.5) * 2 / n - 1 for n in (height, width))
    grid = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)), np.float32)], axis=-1)
    read = grid @ theta.T
    return np.asarray((read + 1) / 2 * [width, height] - 0.5, dtype=np.float32)
