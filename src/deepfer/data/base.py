"""What every data set is: its facts, its integrity report and its images. No torch here."""

import csv
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from deepfer.errors import DataError
from deepfer.labels import Expression
from deepfer.types import Image

if TYPE_CHECKING:
    from deepfer.data.protocols import Protocol

SPLITS = ("train", "val", "test")
"""The names of splits. FER2013's Training, PublicTest and PrivateTest, in this order."""


@dataclass(frozen=True)
class ImageSet:
    """Labelled images in memory.

    Attributes:
        images: N images, each uint8 (H, W) or (H, W, 3) RGB; one (N, H, W) array where all
            have one size.
        labels: int64 (N,), positions in `expressions`.
        expressions: The expressions that `labels` counts in.
        ids: N names that find an image again: a path below the data set's root or ``row 17``.
        subjects: N names of the person or character shown, or None where unknown.
        sequences: N names of the recording an image was taken from, or None where unknown.
            Images of one sequence are near twins: they must not stand on both sides of a split.
        votes: float32 (N, 10), raw counts per column of `fer2013.VOTE_NAMES`, or (N, K), those
            for each of `expressions`, where the data set was asked for them; or None.
        columns: What else the data set says of each image, N texts by the name of their column.
    """

    images: Sequence[Image] | NDArray[np.uint8]
    labels: NDArray[np.int64]
    expressions: tuple[Expression, ...]
    ids: tuple[str, ...]
    subjects: tuple[str, ...] | None = None
    sequences: tuple[str, ...] | None = None
    votes: NDArray[np.float32] | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> "ImageSet":
        """Return the images that `keep` (a mask or positions) selects."""
        index = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep
        images = (
            self.images[index]
            if isinstance(self.images, np.ndarray)
            else [self.images[i] for i in index]
        )
        return ImageSet(
            images=images,
            labels=self.labels[index],
            expressions=self.expressions,
            ids=tuple(self.ids[i] for i in index),
            subjects=None if self.subjects is None else tuple(self.subjects[i] for i in index),
            sequences=None if self.sequences is None else tuple(self.sequences[i] for i in index),
            votes=None if self.votes is None else self.votes[index],
            columns={name: tuple(c[i] for i in index) for name, c in self.columns.items()},
        )

    def counts(self) -> dict[Expression, int]:
        """Return the number of images per expression."""
        totals = np.bincount(self.labels, minlength=len(self.expressions))
        return {e: int(n) for e, n in zip(self.expressions, totals, strict=True)}

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change with any pixel, label, vote or order."""
        digest = hashlib.sha256(",".join(self.expressions).encode())
        for image in self.images:
            digest.update(image.tobytes())
        digest.update(self.labels.tobytes())
        if self.votes is not None:
            digest.update(self.votes.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known about a data set before a single file is read.

    Attributes:
        name: The word used on the command line.
        title: The name its publishers use.
        source: Where to get it.
        licence: Terms of use, in one sentence.
        citation: The publication to cite.
        layout: The files a reader expects below the root, one line each.
        labels: How the publishers' labels (as text) map to expressions.
        counts: Images per split, as published. Empty where the user brings the data.
        groups: What `ImageSet.subjects` holds, or None: 'subject' or 'character'.
        interval_over_groups: Whether intervals of results are over them rather than over images:
            few, each with many images, and the next one is what a result is to hold for.
        faults: Known faults, one sentence each.
    """

    name: str
    title: str
    source: str
    licence: str
    citation: str
    layout: tuple[str, ...]
    labels: dict[str, Expression]
    counts: dict[str, int] = field(default_factory=dict)
    groups: str | None = None
    interval_over_groups: bool = False
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One line of an integrity report.

    Attributes:
        what: The fact that was looked at.
        found: What the files hold.
        expected: What they should hold, or None where there is nothing to compare with.
    """

    what: str
    found: str
    expected: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the files hold what they should."""
        return self.expected is None or self.found == self.expected


class Dataset(ABC):
    """A reader for one data set in the layout its publishers distribute.

    Constructing one finds the files and fails with `DataError` where they are missing.
    """

    info: ClassVar[DatasetInfo]
    splits: tuple[str, ...] = ("all",)
    """The splits the publishers define; ``("all",)`` where they define none."""
    protocols: ClassVar[tuple["Protocol", ...]] = ()
    """The ways to divide it that results are published on."""
    needs_root: ClassVar[bool] = True
    """Whether it reads files, which the user must say the folder of."""

    def __init__(self, root: Path | None) -> None:  # noqa: B027 (what is drawn has no files)
        """Find the files below `root`."""

    @abstractmethod
    def load(self, split: str) -> ImageSet:
        """Read one split.

        Raises:
            DataError: A file is damaged, with its name, line and what to do; or the data set
                has no such split.
        """

    def faults(self) -> Iterator[Finding]:
        """Look for the faults that are particular to this data set; most have none to look for."""
        yield from ()

    def leaked(self, split: str) -> NDArray[np.bool_] | None:
        """Return, per image that `load` gives of `split`, whether its pixels stand in train.

        None where nobody has found that any do.
        """
        return None

    def masks(self, split: str) -> NDArray[np.bool_] | None:
        """Return bool (N, H, W): where each face of the split shows its expression.

        None where the data set does not tell.
        """
        return None


def check(dataset: Dataset) -> list[Finding]:
    """Read a whole data set and compare it with what its publishers promise."""
    findings = []
    for split in dataset.splits:
        images = dataset.load(split)
        expected = dataset.info.counts.get(split)
        findings.append(
            Finding(
                f"images in {split}", str(len(images)), None if expected is None else str(expected)
            )
        )
        per_class = ", ".join(f"{e} {n}" for e, n in images.counts().items())
        findings.append(Finding(f"expressions in {split}", per_class))
        if images.subjects is not None:
            people = len(set(images.subjects))
            findings.append(Finding(f"{dataset.info.groups}s in {split}", str(people)))
        findings.append(Finding(f"fingerprint of {split}", images.fingerprint()))
    findings.extend(dataset.faults())
    return findings


def csv_rows(
    path: Path, name: str, required: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the cells by column name of a CSV file's rows.

    Lines without content are passed over, names and cells stripped, missing cells empty.

    Raises:
        DataError: The first line does not name the required columns, or names one twice, or the
            file is no UTF-8 text or no CSV; names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [cell.strip() for cell in next(reader, [])]
            if not set(required) <= set(header):
                raise DataError(
                    f"{name}: {path}: line 1: expected the columns {', '.join(required)}, found "
                    f"{', '.join(header)[:80] or 'nothing'}; get the file again or add a header"
                )
            if twice := [column for column in required if header.count(column) > 1]:
                raise DataError(f"{name}: {path}: line 1: names {twice[0]!r} twice; drop one")
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield (
                        reader.line_num,
                        dict.fromkeys(header, "") | dict(zip(header, cells, strict=False)),
                    )
    except UnicodeDecodeError:
        raise DataError(
            f"{name}: {path}: line {_undecodable(path)}: not UTF-8 text; save it as CSV in UTF-8, "
            "or get the file again"
        ) from None
    except csv.Error as error:
        raise DataError(
            f"{name}: {path}: line {reader.line_num}: not CSV text ({error}); get the file again"
        ) from None


def word_rows(
    path: Path, name: str, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the words by column of a text file without a header.

    Words are set apart by blanks; lines without content are passed over.

    Raises:
        DataError: A line has more or fewer words than there are columns, or is no UTF-8 text;
            names it.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line, text in enumerate(file, start=1):
                words = text.split()
                if words and len(words) != len(columns):
                    raise DataError(
                        f"{name}: {path}: line {line}: expected {' '.join(columns)}, found "
                        f"{text.strip()[:80]!r}; get the file again or mend the line"
                    )
                if words:
                    yield line, dict(zip(columns, words, strict=True))
    except UnicodeDecodeError:
        raise DataError(
            f"{name}: {path}: line {_undecodable(path)}: not UTF-8 text; get the file again"
        ) from None


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is no UTF-8; readers decode ahead in blocks."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def find_file(root: Path, candidates: Sequence[str], info: DatasetInfo) -> Path:
    """Return the first of `candidates` that exists below `root`.

    Raises:
        DataError: None of them exists; the message says how to get the data set.
    """
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise missing(root / candidates[0], info)


def missing(path: Path, info: DatasetInfo) -> DataError:
    """Return the error for a file or folder of a data set that is not there."""
    return DataError(
        f"{info.name}: {path} not found; get the data as `deepfer data info {info.name}` says "
        f"and check it with `deepfer data check {info.name} --root DIR`"
    )


def require_split(dataset: Dataset, split: str) -> None:
    """Fail with `DataError` unless the data set has this split."""
    if split not in dataset.splits:
        raise DataError(
            f"{dataset.info.name} has no split {split!r}; choose from {', '.join(dataset.splits)}"
        )
