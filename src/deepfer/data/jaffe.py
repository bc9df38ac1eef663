"""JAFFE: ten Japanese women, seven posed expressions, label and subject in the file name."""

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from deepfer.data.base import Dataset, DatasetInfo, Finding, ImageSet, missing, require_split
from deepfer.data.copies import CHANGES, add_copies
from deepfer.data.divide import Sides, by_chance, by_subject, cut, only, per_class, rest, shuffled
from deepfer.data.faces import aligned
from deepfer.data.images import image_files, read_set
from deepfer.data.protocols import Protocol
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_CROP = 128  # pixels of the face crops
_WIDER = 9 / 8  # what the wide crops show, over what the others do


def _augmented_random(dataset: "Jaffe", seed: int, fold: int) -> Sides:
    faces = dataset.faces()
    every = add_copies(faces, [(i, change) for change in CHANGES for i in range(len(faces))])
    return cut(every, shuffled(every, seed), 935, 140, 260)


def _random_120(dataset: "Jaffe", seed: int, fold: int) -> Sides:
    faces = dataset.faces()
    random = np.random.default_rng(seed)
    test = per_class(faces, random, 10)
    others = random.permutation(rest(faces, test))
    return faces.take(others[23:]), faces.take(others[:23]), faces.take(test)


def _one_subject_out(dataset: "Jaffe", seed: int, fold: int, *, width: float = 1.0) -> Sides:
    train, val, test = by_subject(dataset.faces(width), 10, seed, fold)
    copies = [(i, change) for change in CHANGES for i in range(len(train))]
    return add_copies(train, copies), val, test


def _random_10fold(dataset: "Jaffe", seed: int, fold: int) -> Sides:
    return by_chance(dataset.faces(), 10, seed, fold)


def _six_random_10fold(dataset: "Jaffe", seed: int, fold: int) -> Sides:
    six = only(dataset.faces(), set(BASIC_EXPRESSIONS) - {Expression.NEUTRAL})
    return by_chance(six, 10, seed, fold)


class Jaffe(Dataset):
    """The 213 published images, such as ``KA.AN1.39.tiff``: subject, expression, number."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="jaffe",
        title="JAFFE (Japanese Female Facial Expression)",
        source="The publishers' record on Zenodo, by request",
        licence="Non-commercial research, by agreement; no redistribution.",
        citation="Lyons, Akamatsu, Kamachi and Gyoba, Coding facial expressions with Gabor "
        "wavelets, FG 1998.",
        layout=("<subject>.<expression><take>.<number>.tiff, such as KA.AN1.39.tiff",),
        labels={
            "AN": Expression.ANGRY,
            "DI": Expression.DISGUST,
            "FE": Expression.FEAR,
            "HA": Expression.HAPPY,
            "SA": Expression.SAD,
            "SU": Expression.SURPRISE,
            "NE": Expression.NEUTRAL,
        },
        counts={"all": 213},
        groups="subject",
        faults=("posed: the label is what was asked for, not what viewers see in every picture",),
    )
    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="augmented-random",
            what="face crops and seven copies of each, of which 935 / 140 / 260 at random",
            leaks="copies of one photo, and subjects, stand on both sides",
            divide=_augmented_random,
        ),
        Protocol(
            name="random-120-23-70",
            what="face crops at random 120 / 23 / 70, ten of each expression tested",
            leaks="subjects stand on both sides",
            divide=_random_120,
        ),
        Protocol(
            name="leave-one-subject-out",
            what="ten folds of one subject; copies are made of the training faces only",
            leaks=None,
            divide=_one_subject_out,
            folds=10,
        ),
        Protocol(
            name="leave-one-subject-out-wide",
            what="ten folds of one subject, crops an eighth wider than leave-one-subject-out has",
            leaks=None,
            divide=partial(_one_subject_out, width=_WIDER),
            folds=10,
        ),
        Protocol(
            name="random-10fold",
            what="face crops in ten folds at random, every expression dealt out evenly",
            leaks="subjects, and nearly equal pictures of one, stand on both sides",
            divide=_random_10fold,
            folds=10,
        ),
        Protocol(
            name="six-random-10fold",
            what="the 183 face crops without neutral in ten folds at random, dealt out evenly",
            leaks="subjects, and nearly equal pictures of one, stand on both sides",
            divide=_six_random_10fold,
            folds=10,
        ),
    )

    def __init__(self, root: Path) -> None:
        self.root = root / "jaffe" if (root / "jaffe").is_dir() else root
        if not self.root.is_dir() or not any(self.root.glob("*.*.*")):
            raise missing(self.root / "KA.AN1.39.tiff", self.info)

    def load(self, split: str) -> ImageSet:
        """Read all images; see `Dataset.load`."""
        require_split(self, split)
        files, subjects = [], []
        for path in image_files(self.root):
            subject, _, rest = path.name.partition(".")
            if rest[:2] not in self.info.labels:
                raise DataError(
                    f"jaffe: {path} is not named <subject>.<expression><take>.<number>, such as "
                    "KA.AN1.39.tiff; restore the publishers' name or move the file away"
                )
            files.append((path, self.info.labels[rest[:2]]))
            subjects.append(subject)
        return read_set(
            files,
            root=self.root,
            name=self.info.name,
            expressions=BASIC_EXPRESSIONS,
            subjects=subjects,
        )

    def faces(self, width: float = 1.0) -> ImageSet:
        """Return all images, cropped as every other path into the networks frames faces.

        Args:
            width: What the crops show, over what the others do.

        Raises:
            DataError: No face is found on an image.
        """
        return _faces(self.root, width)

    def faults(self) -> Iterator[Finding]:
        """Count the subjects against the published number."""
        subjects = self.load("all").subjects or ()
        yield Finding("different subjects", str(len(set(subjects))), "10")


@cache
def _faces(root: Path, width: float) -> ImageSet:
    return aligned(Jaffe(root).load("all"), _CROP, name=Jaffe.info.name, width=width)
