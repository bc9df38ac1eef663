"""The protocols that results are published on, as published and without their leaks.

A protocol divides a data set into train, val and test; a seed decides what is random, a fold
which part is tested. What a protocol leaks is said here and can be measured with `audit`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial, reduce
from pathlib import Path
from typing import Any

import numpy as np

from deepfer.align import align
from deepfer.data import list_datasets, open_dataset
from deepfer.data.base import SPLITS, ImageSet
from deepfer.data.copies import CHANGES, add_copies, join
from deepfer.data.divide import (
    Sides,
    by_character,
    by_subject,
    cut,
    filled,
    per_class,
    rest,
    shuffled,
)
from deepfer.data.images import stack
from deepfer.detect import FaceDetector
from deepfer.errors import DataError, InputError, UnknownNameError
from deepfer.files import write_text

_CROP = 128  # pixels of JAFFE's face crops
_WIDER = 9 / 8  # what JAFFE's wide crops show, over what the others do


@dataclass(frozen=True)
class Split:
    """One division of a data set.

    Attributes:
        dataset: The data set's name.
        protocol: The protocol's name.
        fold: Which part is tested, from 0.
        seed: What was decided at random.
        sides: Images by ``train``, ``val`` and ``test``.
    """

    dataset: str
    protocol: str
    fold: int
    seed: int
    sides: dict[str, ImageSet]

    def to_json(self) -> dict[str, Any]:
        """Return the split file's content: the ids of every side and their fingerprints."""
        return {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "fold": self.fold,
            "seed": self.seed,
            **{
                side: {"fingerprint": images.fingerprint(), "ids": list(images.ids)}
                for side, images in self.sides.items()
            },
        }

    def write(self, path: Path) -> None:
        """Write the split file."""
        write_text(path, json.dumps(self.to_json(), indent=1) + "\n")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to divide a data set.

    Attributes:
        dataset: The data set's name.
        name: The protocol's name.
        what: The division in one sentence.
        leaks: What stands on both sides by design, or None.
        folds: Number of parts that are tested in turn; 1 where one test side is drawn.
        divide: Makes the sides from the data's root, a seed and a fold.
    """

    dataset: str
    name: str
    what: str
    leaks: str | None
    divide: Callable[[Path | None, int, int], Sides]
    folds: int = 1

    def split(self, root: Path | None, *, seed: int = 0, fold: int = 0) -> Split:
        """Divide the data set.

        Raises:
            DataError: The data cannot be read, or there is no such fold.
        """
        if not 0 <= fold < self.folds or seed < 0:
            raise DataError(
                f"{self.dataset} {self.name}: fold {fold}, seed {seed}: "
                f"folds run from 0 to {self.folds - 1}, seeds from 0"
            )
        sides = dict(zip(SPLITS, self.divide(root, seed, fold), strict=True))
        if empty := [side for side, images in sides.items() if not len(images)]:
            raise DataError(
                f"{self.dataset} {self.name}: too little data, nothing is left for "
                f"{' and '.join(empty)}; check it with `deepfer data check {self.dataset}`"
            )
        return Split(self.dataset, self.name, fold, seed, sides)


def list_protocols(dataset: str | None = None) -> tuple[Protocol, ...]:
    """Return all protocols, or those of one data set."""
    from deepfer.data.comic import PROTOCOLS as COMIC  # it needs `Protocol`

    return tuple(p for p in (*_PROTOCOLS, *COMIC) if dataset in (None, p.dataset))


def find_protocol(dataset: str, name: str) -> Protocol:
    """Return one protocol.

    Raises:
        InputError: The data set has no protocols.
        UnknownNameError: It has none of this name, or there is no such data set.
    """
    found = {p.name: p for p in list_protocols(dataset)}
    if dataset not in list_datasets():
        raise UnknownNameError("data set", dataset, list_datasets())
    if not found:
        raise InputError(f"{dataset} has no protocols; use its own splits")
    if name not in found:
        raise UnknownNameError(f"protocol of {dataset}", name, tuple(found))
    return found[name]


# --- FER2013 -----------------------------------------------------------------------------------


def _fer2013_full(root: Path | None, seed: int, fold: int) -> Sides:
    dataset = open_dataset("fer2013", root)
    return dataset.load("train"), dataset.load("val"), dataset.load("test")


def _fer2013_deduplicated(root: Path | None, seed: int, fold: int) -> Sides:
    clean = open_dataset("fer2013", root, exclude_faults=True)
    return clean.load("train"), clean.load("val"), clean.load("test")


def _fer2013_balanced_2800(root: Path | None, seed: int, fold: int) -> Sides:
    train, val, test = _fer2013_full(root, seed, fold)
    random = np.random.default_rng(seed)
    held = join(val, test)
    chosen = train.take(per_class(train, random, 430))
    own_val = per_class(chosen, random, 30)
    return (
        chosen.take(rest(chosen, own_val)),
        chosen.take(own_val),
        held.take(per_class(held, random, 100)),
    )


def _fer2013_balanced_augmented(root: Path | None, seed: int, fold: int) -> Sides:
    train, val, test = _fer2013_full(root, seed, fold)
    random = np.random.default_rng(seed)
    balanced = filled(train, random, 2369)
    held = filled(join(val, test), random, 200)
    order = random.permutation(len(balanced))
    first, second, _ = cut(balanced, order, 15_221, 1_359, 0)
    return first, second, held


# --- CK+ ---------------------------------------------------------------------------------------


def _ckplus_random_frames(root: Path | None, seed: int, fold: int) -> Sides:
    frames = open_dataset("ckplus", root).load("all")
    return cut(frames, shuffled(frames, seed), 691, 99, 191)


def _ckplus_subject_10fold(root: Path | None, seed: int, fold: int) -> Sides:
    return by_subject(open_dataset("ckplus", root).load("all"), 10, seed, fold)


# --- JAFFE -------------------------------------------------------------------------------------


@cache
def _jaffe_faces(root: Path | None, width: float = 1.0) -> ImageSet:
    """JAFFE cropped to the faces: as every other path into the networks frames them, or wider."""
    images = open_dataset("jaffe", root).load("all")
    detector = FaceDetector()
    crops = []
    for name, image in zip(images.ids, images.images, strict=True):
        faces = detector(image)
        if not faces or faces[0].landmarks is None:
            raise DataError(f"jaffe: no face found on {name}; restore the publishers' image")
        points = faces[0].landmarks
        apart = points + (width - 1) * (points - points.mean(axis=0))
        # not `cut_face`, whose rounding would change the fingerprints of committed results
        crops.append(align(image, apart, _CROP))
    return replace(images, images=stack(crops))


def _jaffe_augmented_random(root: Path | None, seed: int, fold: int) -> Sides:
    faces = _jaffe_faces(root)
    every = add_copies(faces, [(i, change) for change in CHANGES for i in range(len(faces))])
    return cut(every, shuffled(every, seed), 935, 140, 260)


def _jaffe_random_120(root: Path | None, seed: int, fold: int) -> Sides:
    faces = _jaffe_faces(root)
    random = np.random.default_rng(seed)
    test = per_class(faces, random, 10)
    others = random.permutation(rest(faces, test))
    return faces.take(others[23:]), faces.take(others[:23]), faces.take(test)


def _jaffe_one_subject_out(root: Path | None, seed: int, fold: int, *, width: float = 1.0) -> Sides:
    train, val, test = by_subject(_jaffe_faces(root, width), 10, seed, fold)
    copies = [(i, change) for change in CHANGES for i in range(len(train))]
    return add_copies(train, copies), val, test


# --- FERG and drawn faces ----------------------------------------------------------------------


def _ferg_by_character(root: Path | None, seed: int, fold: int) -> Sides:
    return by_character(open_dataset("ferg", root).load("all"), ("mery", "ray"), seed)


def _ferg_random(root: Path | None, seed: int, fold: int) -> Sides:
    images = open_dataset("ferg", root).load("all")
    return cut(images, shuffled(images, seed), 36_500, 6_647, 12_620)


def _ferg_random_6300(root: Path | None, seed: int, fold: int) -> Sides:
    images = open_dataset("ferg", root).load("all")
    random = np.random.default_rng(seed)
    cells = [f"{s} {k}" for s, k in zip(images.subjects or (), images.labels, strict=True)]
    _, cell = np.unique(cells, return_inverse=True)
    chosen = [
        random.permutation(np.flatnonzero(cell == c))[:150] for c in range(int(cell.max()) + 1)
    ]
    few = images.take(random.permutation(np.concatenate(chosen)))
    return cut(few, np.arange(len(few)), 4_410, 655, 1_235)


def _drawn_all() -> ImageSet:
    dataset = open_dataset("drawn", None)
    return reduce(join, (dataset.load(split) for split in SPLITS))


def _drawn_by_character(root: Path | None, seed: int, fold: int) -> Sides:
    return by_character(_drawn_all(), ("gus", "hana"), seed)


def _drawn_random(root: Path | None, seed: int, fold: int) -> Sides:
    images = _drawn_all()
    tenth = len(images) // 10
    return cut(images, shuffled(images, seed), len(images) - 4 * tenth, tenth, 3 * tenth)


_TWINS = "frames of one sequence, and subjects, stand on both sides"
_PROTOCOLS = (
    Protocol(
        dataset="fer2013",
        name="full",
        what="the official Training, PublicTest and PrivateTest",
        leaks="280 validation and 288 test images stand in train",
        divide=_fer2013_full,
    ),
    Protocol(
        dataset="fer2013",
        name="balanced-2800",
        what="per class 400 and 30 of Training, 100 of the two test sets",
        leaks="pixel-for-pixel copies, as in full",
        divide=_fer2013_balanced_2800,
    ),
    Protocol(
        dataset="fer2013",
        name="balanced-augmented",
        what="classes filled up with copies, then 15,221 / 1,359 at random; 200 per class tested",
        leaks="copies of one photo stand in train and val and fill up disgust in test; "
        "pixel-for-pixel copies, as in full",
        divide=_fer2013_balanced_augmented,
    ),
    Protocol(
        dataset="fer2013",
        name="deduplicated",
        what="full without blanks, conflicting copies and training images that recur",
        leaks="copies of 44 test images stand in val, which chooses but does not train",
        divide=_fer2013_deduplicated,
    ),
    Protocol(
        dataset="ckplus",
        name="random-frames",
        what="981 frames at random 691 / 99 / 191",
        leaks=_TWINS,
        divide=_ckplus_random_frames,
    ),
    Protocol(
        dataset="ckplus",
        name="subject-10fold",
        what="ten folds by subject: one tested, one for choosing, eight for training",
        leaks=None,
        divide=_ckplus_subject_10fold,
        folds=10,
    ),
    Protocol(
        dataset="jaffe",
        name="augmented-random",
        what="face crops and seven copies of each, of which 935 / 140 / 260 at random",
        leaks="copies of one photo, and subjects, stand on both sides",
        divide=_jaffe_augmented_random,
    ),
    Protocol(
        dataset="jaffe",
        name="random-120-23-70",
        what="face crops at random 120 / 23 / 70, ten of each expression tested",
        leaks="subjects stand on both sides",
        divide=_jaffe_random_120,
    ),
    Protocol(
        dataset="jaffe",
        name="leave-one-subject-out",
        what="ten folds of one subject; copies are made of the training faces only",
        leaks=None,
        divide=_jaffe_one_subject_out,
        folds=10,
    ),
    Protocol(
        dataset="jaffe",
        name="leave-one-subject-out-wide",
        what="ten folds of one subject, crops an eighth wider than leave-one-subject-out has",
        leaks=None,
        divide=partial(_jaffe_one_subject_out, width=_WIDER),
        folds=10,
    ),
    Protocol(
        dataset="ferg",
        name="by-character",
        what="train aia, bonnie, jules and malcolm, a tenth of them for choosing; test mery, ray",
        leaks="neighbouring renders stand in train and val, none in test",
        divide=_ferg_by_character,
    ),
    Protocol(
        dataset="ferg",
        name="random",
        what="all renders at random 36,500 / 6,647 / 12,620",
        leaks="neighbouring renders of one series stand on both sides",
        divide=_ferg_random,
    ),
    Protocol(
        dataset="ferg",
        name="random-6300",
        what="150 per character and expression, at random 4,410 / 655 / 1,235",
        leaks="neighbouring renders of one series stand on both sides",
        divide=_ferg_random_6300,
    ),
    Protocol(
        dataset="drawn",
        name="by-character",
        what="train six characters, a tenth of them for choosing; test two",
        leaks="characters stand in train and val, none in test",
        divide=_drawn_by_character,
    ),
    Protocol(
        dataset="drawn",
        name="random",
        what="all faces at random, 60 / 10 / 30 in the hundred",
        leaks="characters stand on both sides",
        divide=_drawn_random,
    ),
)
