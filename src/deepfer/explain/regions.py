"""The parts of a face that an explanation is told in, located from the five landmarks."""

import numpy as np
from numpy.typing import NDArray

from deepfer.align import TEMPLATE, TEMPLATE_SIZE

REGIONS = ("brows", "eyes", "nose", "mouth", "cheeks", "rest")


def face_regions(
    height: int, width: int, landmarks: NDArray[np.float32] | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Return a bool (H, W) mask per region; together they cover every pixel once.

    Sizes are in units of the distance between the eyes: ellipses around the eyes and the mouth,
    bands above the eyes for the brows, the nose between eyes and mouth, the cheeks beside it.

    Args:
        height: Of the face crop in pixels.
        width: Of the face crop in pixels.
        landmarks: (5, 2) x and y in pixels of the crop, as `Face.landmarks`; by default where
            aligned faces have them.
    """
    usual = TEMPLATE * (np.array([width, height]) / TEMPLATE_SIZE)
    points = np.asarray(usual if landmarks is None else landmarks, dtype=np.float64)
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    across = left_eye - right_eye
    unit = max(float(np.hypot(*across)), 1e-6)
    across = across / unit
    down = np.array([-across[1], across[0]])
    mouth = (right_mouth + left_mouth) / 2
    centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)

    def ellipse(centre: NDArray[np.float64], wide: float, high: float) -> NDArray[np.bool_]:
        offset = (centres - centre) / unit
        return np.asarray((offset @ across / wide) ** 2 + (offset @ down / high) ** 2 <= 1)

    half_mouth = max(float(np.hypot(*(left_mouth - right_mouth))) / unit / 2, 0.2)
    eyes = [right_eye, left_eye]
    bridge = (right_eye + left_eye) / 2
    cheek = 0.62 * down * float((nose - bridge) @ down / unit) * unit
    candidates = {
        "mouth": ellipse(mouth, half_mouth + 0.2, 0.32),
        "eyes": np.logical_or(*(ellipse(e, 0.33, 0.17) for e in eyes)),
        "brows": np.logical_or(*(ellipse(e - 0.3 * unit * down, 0.45, 0.22) for e in eyes)),
        "nose": ellipse((bridge + 2 * nose) / 3, 0.24, 0.55),
        "cheeks": np.logical_or(
            *(ellipse(e + cheek + down * 0.25 * unit, 0.45, 0.5) for e in eyes)
        ),
    }
    taken = np.zeros((height, width), dtype=bool)
    masks = {}
    for name, mask in candidates.items():  # the first claim holds
        masks[name] = mask & ~taken
        taken |= mask
    masks["rest"] = ~taken
    return {name: masks[name] for name in REGIONS}


def region_shares(
    values: NDArray[np.float32], regions: dict[str, NDArray[np.bool_]]
) -> dict[str, float]:
    """Return each region's share of the map's positive part, summing to 1; zeros without one."""
    positive = np.maximum(values, 0)
    total = float(positive.sum())
    return {
        name: float(positive[mask].sum()) / total if total > 0 else 0.0
        for name, mask in regions.items()
    }
