"""What a training run trains and chooses on: a protocol's sides, the publishers' or a hold-out."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer.data import open_dataset
from deepfer.data.base import ImageSet
from deepfer.data.protocols import find_protocol
from deepfer.errors import DataError


def load_training_sets(
    name: str,
    root: Path | None,
    options: dict[str, Any],
    *,
    validation: float,
    protocol: str = "",
    fold: int = 0,
    split_seed: int = 0,
) -> tuple[ImageSet, ImageSet]:
    """Return the training and validation images of a data set.

    With a protocol they are its sides. Otherwise they are the publishers' splits; where these
    define no validation, the share `validation` of train (or of all) is held out, by subject
    where subjects are known; always the same images, so that runs with other seeds, teachers and
    starting weights have not trained on them.

    Raises:
        DataError: The data cannot be read, or has neither a train nor an undivided split.
        UnknownNameError: There is no such data set or protocol.
    """
    if protocol:
        if options:
            raise DataError(f"{name} {protocol}: a protocol takes no dataset_options")
        sides = find_protocol(name, protocol).split(root, seed=split_seed, fold=fold).sides
        return sides["train"], sides["val"]
    dataset = open_dataset(name, root, **options)
    if "val" in dataset.splits and "train" in dataset.splits:
        return dataset.load("train"), dataset.load("val")
    source = next((split for split in ("train", "all") if split in dataset.splits), None)
    if source is None:
        raise DataError(f"{name}: has only {', '.join(dataset.splits)}; training needs train")
    return hold_out(dataset.load(source), validation, seed=0)


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
