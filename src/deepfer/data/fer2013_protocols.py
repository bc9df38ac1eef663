"""The divisions of FER2013 that results are published on."""

import numpy as np

from deepfer.data.base import Dataset
from deepfer.data.copies import join
from deepfer.data.divide import Sides, cut, filled, per_class, rest
from deepfer.data.protocols import Protocol


def _own_splits(dataset: Dataset, seed: int, fold: int) -> Sides:
    return dataset.load("train"), dataset.load("val"), dataset.load("test")


def _balanced_2800(dataset: Dataset, seed: int, fold: int) -> Sides:
    train, val, test = _own_splits(dataset, seed, fold)
    random = np.random.default_rng(seed)
    held = join(val, test)
    chosen = train.take(per_class(train, random, 430))
    own_val = per_class(chosen, random, 30)
    return (
        chosen.take(rest(chosen, own_val)),
        chosen.take(own_val),
        held.take(per_class(held, random, 100)),
    )


def _balanced_augmented(dataset: Dataset, seed: int, fold: int) -> Sides:
    train, val, test = _own_splits(dataset, seed, fold)
    random = np.random.default_rng(seed)
    balanced = filled(train, random, 2369)
    held = filled(join(val, test), random, 200)
    order = random.permutation(len(balanced))
    first, second, _ = cut(balanced, order, 15_221, 1_359, 0)
    return first, second, held


PROTOCOLS = (
    Protocol(
        name="full",
        what="the official Training, PublicTest and PrivateTest",
        leaks="280 validation and 288 test images stand in train",
        divide=_own_splits,
    ),
    Protocol(
        name="balanced-2800",
        what="per class 400 and 30 of Training, 100 of the two test sets",
        leaks="pixel-for-pixel copies, as in full",
        divide=_balanced_2800,
    ),
    Protocol(
        name="balanced-augmented",
        what="classes filled up with copies, then 15,221 / 1,359 at random; 200 per class tested",
        leaks="copies of one photo stand in train and val and fill up disgust in test; "
        "pixel-for-pixel copies, as in full",
        divide=_balanced_augmented,
    ),
    Protocol(
        name="deduplicated",
        what="full without blanks, conflicting copies and training images that recur",
        leaks="copies of 44 test images stand in val, which chooses but does not train",
        divide=_own_splits,
        options={"exclude_faults": True},
    ),
)
"""As published, and ``deduplicated``, which is ours."""
