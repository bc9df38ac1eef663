"""FERG: six stylised characters, seven expressions, 55,767 renders."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from deepfer.data.base import Dataset, DatasetInfo, ImageSet, find_file, missing, require_split
from deepfer.data.divide import Sides, by_character, cut, shuffled
from deepfer.data.images import class_files, read_set
from deepfer.data.protocols import Protocol
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")


def _by_character(dataset: Dataset, seed: int, fold: int) -> Sides:
    return by_character(dataset.load("all"), ("mery", "ray"), seed)


def _random(dataset: Dataset, seed: int, fold: int) -> Sides:
    images = dataset.load("all")
    return cut(images, shuffled(images, seed), 36_500, 6_647, 12_620)


def _random_6300(dataset: Dataset, seed: int, fold: int) -> Sides:
    images = dataset.load("all")
    random = np.random.default_rng(seed)
    cells = [f"{s} {k}" for s, k in zip(images.subjects or (), images.labels, strict=True)]
    _, cell = np.unique(cells, return_inverse=True)
    chosen = [
        random.permutation(np.flatnonzero(cell == c))[:150] for c in range(int(cell.max()) + 1)
    ]
    few = images.take(random.permutation(np.concatenate(chosen)))
    return cut(few, np.arange(len(few)), 4_410, 655, 1_235)


class Ferg(Dataset):
    """The published folders ``<character>/<character>_<expression>/*.png``."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="ferg",
        title="FERG-DB (Facial Expression Research Group Database)",
        source="The publishers' page at the University of Washington, by request",
        licence="Non-commercial research, by agreement; no redistribution.",
        citation="Aneja, Colburn, Faigin, Shapiro and Mones, Modeling stylized character "
        "expressions via deep learning, ACCV 2016.",
        layout=("FERG_DB_256/<character>/<character>_<expression>/*.png",),
        labels={
            "anger": Expression.ANGRY,
            "disgust": Expression.DISGUST,
            "fear": Expression.FEAR,
            "joy": Expression.HAPPY,
            "sadness": Expression.SAD,
            "surprise": Expression.SURPRISE,
            "neutral": Expression.NEUTRAL,
        },
        counts={"all": 55767},
        groups="character",
        faults=(
            "frames of one render series differ little: random splits put twins on both sides",
        ),
    )
    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="by-character",
            what="train aia, bonnie, jules and malcolm, a tenth of them for choosing; "
            "test mery, ray",
            leaks="neighbouring renders stand in train and val, none in test",
            divide=_by_character,
        ),
        Protocol(
            name="random",
            what="all renders at random 36,500 / 6,647 / 12,620",
            leaks="neighbouring renders of one series stand on both sides",
            divide=_random,
        ),
        Protocol(
            name="random-6300",
            what="150 per character and expression, at random 4,410 / 655 / 1,235",
            leaks="neighbouring renders of one series stand on both sides",
            divide=_random_6300,
        ),
    )

    def __init__(self, root: Path) -> None:
        names = tuple(f"{folder}{c}" for folder in ("", "FERG_DB_256/") for c in _CHARACTERS)
        self.root = find_file(root, names, self.info).parent

    def load(self, split: str) -> ImageSet:
        """Read all characters; see `Dataset.load`."""
        require_split(self, split)
        files, subjects = [], []
        for character in _CHARACTERS:
            folder = self.root / character
            if not folder.is_dir():
                raise missing(folder, self.info)
            labels = {f"{character}_{label}": e for label, e in self.info.labels.items()}
            own = class_files(folder, labels, self.info.name)
            files += own
            subjects += [character] * len(own)
        return read_set(
            files,
            root=self.root,
            name=self.info.name,
            expressions=BASIC_EXPRESSIONS,
            subjects=subjects,
        )
