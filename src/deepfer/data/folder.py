"""The user's own images: one folder per expression, or a CSV manifest."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from deepfer.data.base import (
    SPLITS,
    Dataset,
    DatasetInfo,
    Finding,
    ImageSet,
    csv_rows,
    missing,
    require_split,
)
from deepfer.data.images import class_files, in_order, read_set
from deepfer.errors import DataError
from deepfer.files import is_file
from deepfer.labels import Expression
from deepfer.media import IMAGE_SUFFIXES

_SYNONYMS = {
    "anger": Expression.ANGRY,
    "happiness": Expression.HAPPY,
    "joy": Expression.HAPPY,
    "sadness": Expression.SAD,
    "surprised": Expression.SURPRISE,
    "disgusted": Expression.DISGUST,
    "fearful": Expression.FEAR,
}
_LABELS = {**{str(e): e for e in Expression}, **_SYNONYMS}
_SPLIT_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}
_OWN = ("path", "expression", "split", "subject")  # a manifest's columns that mean something here


class Folder(Dataset):
    """``<expression>/*`` below the root, or below its folders ``train``, ``val`` and ``test``."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="folder",
        title="Your own images, a folder per expression",
        source="you",
        licence="yours",
        citation="-",
        layout=(
            "<expression>/*.png or *.jpg, or train|val|test/<expression>/*.png or *.jpg",
            "case does not matter; training, valid, validation and testing are understood",
        ),
        labels=_LABELS,
    )
    splits: tuple[str, ...] = (*SPLITS, "all")

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise missing(root, self.info)
        self.root = root
        self._folders = self._split_folders() or {"all": root}
        self.splits = tuple(split for split in (*SPLITS, "all") if split in self._folders)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        parts = {
            part: class_files(folder, self.info.labels, self.info.name)
            for part, folder in self._folders.items()
        }
        if not parts[split]:
            raise DataError(
                f"folder: no images below {self._folders[split]}; see `deepfer data info folder`"
            )
        # one label order for all splits, whichever expressions a split lacks
        expressions = in_order(e for files in parts.values() for _, e in files)
        return read_set(parts[split], root=self.root, name=self.info.name, expressions=expressions)

    def faults(self) -> Iterator[Finding]:
        """Look for files that are not read, as their names do not end like an image's."""
        others = [
            path
            for folder in self._folders.values()
            for path in sorted(folder.glob("*/*"))
            if path.is_file() and path.name[0] != "." and path.suffix.lower() not in IMAGE_SUFFIXES
        ]
        example = f", such as {others[0].relative_to(self.root)}" if others else ""
        yield Finding("files that are no images", f"{len(others)}{example}")

    def _split_folders(self) -> dict[str, Path]:
        """Return the folders of splits; with any of them, every other folder is an error."""
        found: dict[str, Path] = {}
        others = []
        for folder in sorted(
            p for p in self.root.iterdir() if p.is_dir() and p.name[0] not in "._"
        ):
            split = _SPLIT_NAMES.get(folder.name.casefold())
            if split is None:
                others.append(folder.name)
            elif split in found:
                raise DataError(
                    f"folder: {found[split]} and {folder.name} are both {split}; join them"
                )
            else:
                found[split] = folder
        if found and others:
            raise DataError(
                f"folder: {self.root / others[0]} stands beside {', '.join(found)} but is none of "
                "train, val and test; rename it, or move it away"
            )
        return found


class Manifest(Dataset):
    """A CSV file with the columns ``path``, ``expression`` and, if known, subject and split.

    Further columns, such as sex, age or site, come with the images as they are.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="manifest",
        title="Your own images, listed in a CSV file",
        source="you",
        licence="yours",
        citation="-",
        layout=(
            "manifest.csv (or the file that --root names): path,expression[,subject][,split]",
            "paths are relative to the file; split is train, val or test",
            "further columns (sex, age, site) are for `deepfer evaluate --groups COLUMN`",
        ),
        labels=_LABELS,
        groups="subject",
    )
    splits: tuple[str, ...] = (*SPLITS, "all")

    def __init__(self, root: Path) -> None:
        self.path = root / "manifest.csv" if root.is_dir() else root
        if not self.path.is_file():
            raise missing(self.path, self.info)
        self._rows = self._read()
        present = {row["split"] for row in self._rows}
        self.splits = tuple(s for s in (*SPLITS, "all") if s in present)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        rows = [row for row in self._rows if row["split"] == split]
        subjects = [row["subject"] for row in rows]
        return read_set(
            [(self.path.parent / row["path"], _LABELS[row["expression"]]) for row in rows],
            root=self.path.parent,
            name=self.info.name,
            expressions=in_order(_LABELS[row["expression"]] for row in self._rows),
            subjects=subjects if subjects[0] else None,
            columns={
                name: tuple(row[name] for row in rows) for name in rows[0] if name not in _OWN
            },
        )

    def _read(self) -> list[dict[str, str]]:
        rows = []
        for line, row in csv_rows(self.path, self.info.name, ("path", "expression")):
            path = row.get("path", "")
            expression = row.get("expression", "").casefold()
            split = row.get("split") or "all"
            problem = None
            if expression not in _LABELS:
                problem = f"unknown expression {expression!r}; known: {', '.join(_LABELS)}"
            elif split not in (*SPLITS, "all"):
                problem = f"unknown split {split!r}; known: train, val, test"
            elif not is_file(self.path.parent / path):
                problem = f"{path!r} is no file below {self.path.parent}; mend the path"
            if problem:
                raise DataError(f"manifest: {self.path}: line {line}: {problem}")
            subject = row.get("subject", "")
            own = {"path": path, "expression": expression, "split": split, "subject": subject}
            rows.append({name: cell for name, cell in row.items() if name} | own)
        if not rows:
            raise DataError(f"manifest: {self.path}: lists no images; add lines")
        for column, ambiguous in (("split", "all"), ("subject", "")):
            without = [row["path"] for row in rows if row[column] == ambiguous]
            if 0 < len(without) < len(rows):
                raise DataError(
                    f"manifest: {self.path}: {len(without)} of {len(rows)} lines have no "
                    f"{column}, the first is {without[0]!r}; fill in all of them or none"
                )
        return rows
