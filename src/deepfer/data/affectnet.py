"""AffectNet in its two distributed forms: folders of faces and labels, and photos with CSV lists.

Folders, names of the files, columns and the meaning of the labels were confirmed by readers that
others have published, sizes by papers. No copy of the data was at hand.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from deepfer.data.base import (
    Dataset,
    DatasetInfo,
    Finding,
    ImageSet,
    csv_rows,
    find_file,
    missing,
    require_split,
)
from deepfer.data.faces import Box, check_size, square
from deepfer.data.images import image_files, read_set
from deepfer.errors import DataError
from deepfer.labels import Expression

_SOURCE = "The publishers' page at mohammadmahoor.com/affectnet, by request"
_LICENCE = "Non-commercial research, by agreement; no redistribution."
_CITATION = (
    "Mollahosseini, Hasani and Mahoor, AffectNet: a database for facial expression, valence, and "
    "arousal computing in the wild, IEEE Transactions on Affective Computing 2019."
)
_LABELS = {
    "0": Expression.NEUTRAL,
    "1": Expression.HAPPY,
    "2": Expression.SAD,
    "3": Expression.SURPRISE,
    "4": Expression.FEAR,
    "5": Expression.DISGUST,
    "6": Expression.ANGRY,
    "7": Expression.CONTEMPT,
}
_NONE = {"8": "none", "9": "uncertain", "10": "no face"}  # of the lists, not of the folders
_FAULTS = (
    "classes of train are very uneven, those of val are even",
    "each label is one annotator's: two agree on about 60 in the hundred",
    "there is no test set; results are published on val",
)


class AffectNet(Dataset):
    """The eight-expression form: faces of 224 pixels and a label file for each.

    Args:
        root: The folder that holds ``train_set`` and ``val_set``.
        size: Height and width to which the faces are shrunk, in gray; at 96, train takes 2.7 GB.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="affectnet",
        title="AffectNet, eight expressions, folders of faces",
        source=_SOURCE,
        licence=_LICENCE,
        citation=_CITATION,
        layout=(
            "train_set/images/0.jpg and train_set/annotations/0_exp.npy, and so on",
            "val_set: the same",
        ),
        labels=_LABELS,
        counts={"train": 287651, "val": 3999},
        faults=_FAULTS,
    )
    splits: tuple[str, ...] = ("train", "val")

    def __init__(self, root: Path, *, size: int = 96) -> None:
        names = tuple(f"{folder}train_set/images" for folder in ("", "AffectNet/", "affectnet/"))
        self.root = find_file(root, names, self.info).parents[1]
        if not (self.root / "val_set" / "images").is_dir():
            raise missing(self.root / "val_set" / "images", self.info)
        self.size = check_size(self.info.name, size)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        folder = self.root / f"{split}_set"
        return read_set(
            [(path, self._label(folder, path)) for path in image_files(folder / "images")],
            root=self.root,
            name=self.info.name,
            expressions=tuple(Expression),
            prepare=lambda face, _: square(face, None, self.size),
        )

    def _label(self, folder: Path, image: Path) -> Expression:
        path = folder / "annotations" / f"{image.stem}_exp.npy"
        if not path.is_file():
            raise missing(path, self.info)
        try:
            label = str(np.load(path, allow_pickle=False).item())
        except (ValueError, OSError, EOFError):
            label = "no label"
        if label not in self.info.labels:
            raise DataError(
                f"affectnet: {path}: expected a label from 0 to 7, found {label[:20]!r}; get the "
                "file again"
            )
        return self.info.labels[label]


class AffectNetCsv(Dataset):
    """The manually annotated photos, cut by the boxes that the lists give, as gray squares.

    Rows without one of the eight expressions are left out and counted by ``deepfer data check``.
    `ImageSet.columns` tells valence and arousal.

    Args:
        root: The folder that holds the lists and the photos.
        size: Height and width of the faces in pixels; at 96, train takes 2.7 GB.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="affectnet_csv",
        title="AffectNet, manually annotated, photos with CSV lists",
        source=_SOURCE,
        licence=_LICENCE,
        citation=_CITATION,
        layout=(
            "Manually_Annotated_file_lists/training.csv and validation.csv, or without the folder",
            "their columns: subDirectory_filePath, face_x, face_y, face_width, face_height, "
            "expression, valence, arousal",
            "Manually_Annotated_Images/ or Manually_Annotated/Manually_Annotated_Images/",
        ),
        labels=_LABELS,
        counts={"train": 287651, "val": 4000},
        faults=(*_FAULTS, "about 128,000 rows have no expression: none, uncertain, no face"),
    )
    splits: tuple[str, ...] = ("train", "val")

    def __init__(self, root: Path, *, size: int = 96) -> None:
        folders = ("Manually_Annotated_file_lists/", "Manually_Annotated/", "")
        self._lists = {
            split: find_file(root, tuple(f"{folder}{name}.csv" for folder in folders), self.info)
            for split, name in (("train", "training"), ("val", "validation"))
        }
        inner = "Manually_Annotated_Images"
        self.root = find_file(root, (inner, f"Manually_Annotated/{inner}"), self.info)
        self.size = check_size(self.info.name, size)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        rows = [(n, row) for n, row in self._rows(split) if row["expression"] not in _NONE]
        boxes = [self._box(split, line, row) for line, row in rows]
        return read_set(
            [
                (self.root / row["subDirectory_filePath"], self.info.labels[row["expression"]])
                for _, row in rows
            ],
            root=self.root,
            name=self.info.name,
            expressions=tuple(Expression),
            columns={
                name: tuple(row.get(name, "") for _, row in rows) for name in ("valence", "arousal")
            },
            prepare=lambda photo, i: square(photo, boxes[i], self.size),
        )

    def faults(self) -> Iterator[Finding]:
        """Count the rows that have no expression."""
        for split in self.splits:
            labels = [row["expression"] for _, row in self._rows(split)]
            none = ", ".join(f"{what} {labels.count(label)}" for label, what in _NONE.items())
            yield Finding(f"rows of {split} that are left out", none)

    def _rows(self, split: str) -> Iterator[tuple[int, dict[str, str]]]:
        sides = ("face_x", "face_y", "face_width", "face_height")
        columns = ("subDirectory_filePath", *sides, "expression")
        path = self._lists[split]
        for line, row in csv_rows(path, self.info.name, columns):
            if row["expression"] not in {**self.info.labels, **_NONE}:
                raise self._bad(split, line, "expression", row["expression"])
            yield line, row

    def _box(self, split: str, line: int, row: dict[str, str]) -> Box:
        sides = [row[f"face_{side}"] for side in ("x", "y", "width", "height")]
        try:
            left, top, width, height = map(int, sides)
        except ValueError:
            width = height = 0
        if width <= 0 or height <= 0:
            raise self._bad(split, line, "face box", " ".join(sides))
        return left, top, left + width, top + height

    def _bad(self, split: str, line: int, what: str, found: str) -> DataError:
        return DataError(
            f"affectnet_csv: {self._lists[split]}: line {line}: {found[:40]!r} is no {what}; get "
            "the file again or mend the line"
        )
