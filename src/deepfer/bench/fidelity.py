"""Is a map right? Measured against known regions, against the network, and against controls.

Source:
    Pointing game: Zhang et al. 2016. Relevance mass: Arras et al. 2022. Deletion and insertion:
    Petsiuk et al. 2018. Randomised weights: Adebayo et al. 2018.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter
from scipy import stats

from deepfer.explain.occlusion import Classify, filling

Map = NDArray[np.float32]

CONTROLS = ("random", "centre", "edges")


def pointing(values: Map, truth: NDArray[np.bool_]) -> bool:
    """Return whether the map's highest value lies in the true regions.

    Args:
        values: float32 (H, W).
        truth: bool (H, W).
    """
    return bool(truth.flat[int(values.argmax())])


def mass(values: Map, truth: NDArray[np.bool_]) -> float:
    """Return the share of the map's positive part inside the true regions; 0 without any."""
    positive = np.maximum(values, 0)
    total = float(positive.sum())
    return float(positive[truth].sum()) / total if total > 0 else 0.0


def deletion_insertion(
    classify: Classify,
    face: NDArray[np.uint8],
    values: Map,
    target: int,
    *,
    fill: str,
    steps: int = 24,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the target's probability while pixels are taken away, and while they are given.

    Pixels go in the order of the map, highest first, in equal parts; ties in reading order. A
    good map has a small area under the first curve and a large one under the second.

    Args:
        classify: The network.
        face: uint8 (H, W).
        values: float32 (H, W).
        target: Column of the explained expression.
        fill: What stands where there are no pixels; see `patches`.
        steps: Parts.

    Returns:
        float32 (steps + 1,) each; `area` gives the area under a curve.
    """
    order = np.argsort(-values, axis=None, kind="stable")
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    taken = rank.reshape(face.shape) < (np.arange(steps + 1) * face.size / steps)[:, None, None]
    empty = filling(face, fill)
    found = classify(np.concatenate([np.where(taken, empty, face), np.where(taken, face, empty)]))
    return found[: steps + 1, target], found[steps + 1 :, target]


def area(curve: NDArray[np.float32]) -> float:
    """Return the area under a curve over 0 to 1."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def rank_correlation(first: Map, second: Map) -> float:
    """Return Spearman's rank correlation of two maps; NaN where one is constant."""
    if first.min() == first.max() or second.min() == second.max():
        return float("nan")
    return float(stats.spearmanr(first, second, axis=None).statistic)


def control(name: str, face: NDArray[np.uint8], *, seed: int) -> Map:
    """Return a map that knows nothing of the network: one of `CONTROLS`.

    Args:
        name: ``"random"`` noise, smooth as occlusion maps are; ``"centre"``: a blob in the
            middle; ``"edges"``: the face's own edges.
        face: uint8 (H, W).
        seed: Of the noise.
    """
    height, width = face.shape
    if name == "random":
        noise = np.random.default_rng(seed).integers(0, 256, face.shape, dtype=np.uint8)
        blurred = PillowImage.fromarray(noise).filter(ImageFilter.GaussianBlur(height / 24))
        return np.asarray(blurred, dtype=np.float32)
    if name == "centre":
        y, x = np.mgrid[:height, :width]
        distance = ((y + 0.5) / height - 0.5) ** 2 + ((x + 0.5) / width - 0.5) ** 2
        return np.asarray(np.exp(-distance / (2 * 0.2**2)), dtype=np.float32)
    dy, dx = np.gradient(face.astype(np.float32))
    return np.asarray(np.hypot(dy, dx), dtype=np.float32)
