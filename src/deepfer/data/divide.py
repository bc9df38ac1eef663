"""The ways to divide images that protocols are made of."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import Dataset, ImageSet
from deepfer.data.copies import CHANGES, add_copies
from deepfer.errors import DataError
from deepfer.labels import Expression

Sides = tuple[ImageSet, ImageSet, ImageSet]
"""Train, val and test."""


def cut(images: ImageSet, order: NDArray[np.int64], train: int, val: int, test: int) -> Sides:
    """Divide the images in the order given; sizes must add up to at most their number."""
    if train + val + test > len(images):
        raise DataError(
            f"the protocol needs {train + val + test} images, the data holds {len(images)}"
        )
    ends = np.cumsum([train, val, test])
    first, second, third = np.split(order[: ends[2]], ends[:2])
    return images.take(first), images.take(second), images.take(third)


def shuffled(images: ImageSet, seed: int) -> NDArray[np.int64]:
    """Return the images' positions in random order."""
    return np.random.default_rng(seed).permutation(len(images))


def per_class(images: ImageSet, random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Draw positions of `count` images of every expression; all of them where there are fewer."""
    classes = [np.flatnonzero(images.labels == k) for k in range(len(images.expressions))]
    if absent := [
        e for e, members in zip(images.expressions, classes, strict=True) if not len(members)
    ]:
        raise DataError(f"the protocol needs images of every expression; none of {absent[0]}")
    return np.concatenate([random.permutation(members)[:count] for members in classes])


def rest(images: ImageSet, taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions that are not taken."""
    return np.setdiff1d(np.arange(len(images)), taken)


def only(images: ImageSet, expressions: Collection[Expression]) -> ImageSet:
    """Return the images of some expressions, counted in these alone; votes are left behind."""
    kept = tuple(e for e in images.expressions if e in expressions)
    chosen = images.take(np.array([images.expressions[k] in kept for k in images.labels]))
    labels = [kept.index(images.expressions[k]) for k in chosen.labels]
    return replace(chosen, labels=np.array(labels, dtype=np.int64), expressions=kept, votes=None)


def filled(images: ImageSet, random: np.random.Generator, count: int) -> ImageSet:
    """Draw `count` images of every expression; copies fill up where there are too few."""
    images = images.take(per_class(images, random, count))
    changes = tuple(CHANGES)
    copies = []
    for k in range(len(images.expressions)):
        members = np.flatnonzero(images.labels == k)
        for i in range(max(0, count - len(members))):
            change = changes[(i // len(members)) % len(changes)]
            copies.append((int(members[i % len(members)]), change))
    return add_copies(images, copies)


def by_subject(images: ImageSet, folds: int, seed: int, fold: int) -> Sides:
    """Test one fold of subjects, choose on the next, train on the rest."""
    names = np.random.default_rng(seed).permutation(sorted(set(images.subjects or ())))
    place = {name: i % folds for i, name in enumerate(names.tolist())}
    part = np.array([place[name] for name in images.subjects or ()])
    return _tested(images, part, folds, fold)


def ten_subject_folds(dataset: Dataset, seed: int, fold: int) -> Sides:
    """Divide an undivided data set into ten folds by subject; see `by_subject`."""
    return by_subject(dataset.load("all"), 10, seed, fold)


def by_chance(images: ImageSet, folds: int, seed: int, fold: int) -> Sides:
    """Test one fold of images, choose on the next, train on the rest.

    Every expression is dealt out in turn, so folds differ by one image at most, and so do their
    numbers of each expression. Who is shown does not matter.
    """
    random = np.random.default_rng(seed)
    order = np.concatenate(
        [
            random.permutation(np.flatnonzero(images.labels == k))
            for k in range(len(images.expressions))
        ]
    )
    part = np.empty(len(images), dtype=np.int64)
    part[order] = np.arange(len(images)) % folds
    return _tested(images, part, folds, fold)


def _tested(images: ImageSet, part: NDArray[np.int64], folds: int, fold: int) -> Sides:
    """Return the sides of one fold, from int64 (N,): the fold that each image belongs to."""
    val = (fold + 1) % folds
    return (
        images.take((part != fold) & (part != val)),
        images.take(part == val),
        images.take(part == fold),
    )


def by_character(images: ImageSet, tested: tuple[str, ...], seed: int) -> Sides:
    """Test some characters; a tenth of the others' images is for choosing."""
    test = np.array([s in tested for s in images.subjects or ()])
    others = images.take(~test)
    order = shuffled(others, seed)
    tenth = len(others) // 10
    return others.take(order[tenth:]), others.take(order[:tenth]), images.take(test)
