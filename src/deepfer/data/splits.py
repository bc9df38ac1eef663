"""Hold-out splits for data whose publishers define none: stratified, and by subject where known."""

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import ImageSet
from deepfer.errors import DataError


def hold_out(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split off a share of the images.

    Where subjects are known, whole subjects are held out, so that nobody stands on both sides;
    otherwise the share is taken from every expression.

    Args:
        images: What to split.
        share: Between 0 and 1.
        seed: Decides which.

    Returns:
        The larger part, then the held-out part.

    Raises:
        DataError: One of the parts would be empty.
    """
    random = np.random.default_rng(seed)
    held = (
        _images_per_class(images, share, random)
        if images.subjects is None
        else _subjects(images.subjects, share, random)
    )
    if not held.any() or held.all():
        raise DataError(
            f"cannot hold out {share:.0%} of {len(images)} images; add images or subjects"
        )
    return images.take(~held), images.take(held)


def _images_per_class(
    images: ImageSet, share: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    held = np.zeros(len(images), dtype=bool)
    for label in range(len(images.expressions)):
        members = random.permutation(np.flatnonzero(images.labels == label))
        held[members[: round(share * len(members))]] = True
    return held


def _subjects(
    subjects: tuple[str, ...], share: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    names = random.permutation(sorted(set(subjects)))
    chosen = set(names[: max(1, round(share * len(names)))].tolist())
    return np.array([s in chosen for s in subjects], dtype=bool)
