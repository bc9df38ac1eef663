"""FERG: six stylised characters, seven expressions, 55,767 renders."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from deepfer.data.base import DatasetInfo, Finding, ImageSet, find_file, missing, require_split
from deepfer.data.images import class_files, read_set
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_CHARACTERS = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")


class Ferg:
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
    splits: tuple[str, ...] = ("all",)

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

    def faults(self) -> Iterator[Finding]:
        """Nothing beyond what every check looks at."""
        yield from ()
