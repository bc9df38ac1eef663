"""JAFFE: ten Japanese women, seven posed expressions, label and subject in the file name."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from deepfer.data.base import DatasetInfo, Finding, ImageSet, missing, require_split
from deepfer.data.images import image_files, read_set
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression


class Jaffe:
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
    splits: tuple[str, ...] = ("all",)

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

    def faults(self) -> Iterator[Finding]:
        """Count the subjects against the published number."""
        subjects = self.load("all").subjects or ()
        yield Finding("different subjects", str(len(set(subjects))), "10")
