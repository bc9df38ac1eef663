"""FER2013 in its three distributed forms, with FER+ votes where their file is there too.

The CSV forms keep the challenge's row order, which the FER+ file is joined by: the image names
inside ``fer2013new.csv`` are not row numbers. The folder form loses that order, so it has no
votes and no validation split.
"""

import csv
import warnings
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import (
    DatasetInfo,
    Finding,
    ImageSet,
    find_file,
    missing,
    require_split,
)
from deepfer.data.images import class_files, read_set
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_USAGE = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_SIDE = 48

VOTE_NAMES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""Columns of the FER+ votes; the last two are 'unknown' and 'not a face'."""

VOTE_EXPRESSIONS: tuple[Expression, ...] = tuple(
    Expression(name)
    for name in ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
)
"""The expressions that the first eight vote columns mean."""

_INFO = DatasetInfo(
    name="fer2013",
    title="FER2013 (Facial Expression Recognition Challenge 2013)",
    source="Kaggle: 'Challenges in Representation Learning: Facial Expression Recognition "
    "Challenge'; FER+ votes: the microsoft/FERPlus repository",
    licence="Challenge data of Kaggle, for research; the images were collected from the web. "
    "FER+ votes: MIT.",
    citation="Goodfellow et al., Challenges in representation learning, ICONIP 2013. "
    "FER+: Barsoum et al., Training deep networks for facial expression recognition with "
    "crowd-sourced label distribution, ICMI 2016.",
    layout=(
        "fer2013.csv (emotion,pixels,Usage), or",
        "icml_face_data.csv (emotion, Usage, pixels)",
        "fer2013new.csv beside it or below ferplus/: FER+ votes, optional, joined by row order",
    ),
    labels={str(i): e for i, e in enumerate(BASIC_EXPRESSIONS)},
    counts={"train": 28709, "val": 3589, "test": 3589},
    faults=(
        "12 images are blank",
        "280 validation and 288 test images stand in train pixel for pixel",
        "57 groups of identical images carry different labels",
    ),
)


class Fer2013:
    """The challenge's CSV file, or its later variant.

    Args:
        root: A folder that holds the file, or the file itself.
        exclude_faults: Leave out blank images, images whose identical copies carry other
            labels, and training images that stand in validation or test as well.
    """

    info: ClassVar[DatasetInfo] = _INFO
    splits: tuple[str, ...] = ("train", "val", "test")

    def __init__(self, root: Path, *, exclude_faults: bool = False) -> None:
        names = ("fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv")
        self.path = root if root.is_file() else find_file(root, names, self.info)
        self.exclude_faults = exclude_faults
        folder = self.path.parent
        votes = (
            folder / "fer2013new.csv",
            folder / "ferplus" / "fer2013new.csv",
            folder.parent / "ferplus" / "fer2013new.csv",
        )
        self.votes_path = next((p for p in votes if p.is_file()), None)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`. Votes are None without the FER+ file."""
        require_split(self, split)
        images, labels, usage = self._rows
        keep = usage == split
        if self.exclude_faults:
            keep &= ~self._faulty
        return ImageSet(
            images=images,
            labels=labels,
            expressions=BASIC_EXPRESSIONS,
            ids=tuple(f"row {i}" for i in range(len(labels))),
            votes=self._votes,
        ).take(keep)

    def leaked(self, split: str) -> NDArray[np.bool_]:
        """Return, per image of `split`, whether the same pixels stand in train."""
        require_split(self, split)
        images, _, usage = self._rows
        train = {x.tobytes() for x in images[usage == "train"]}
        return np.array([x.tobytes() in train for x in images[usage == split]], dtype=bool)

    def faults(self) -> Iterator[Finding]:
        """Count blank images, copies across splits and copies with conflicting labels."""
        images, _, _ = self._rows
        yield Finding("blank images", str(int(_blank(images).sum())), "12")
        yield Finding("val images that stand in train", str(int(self.leaked("val").sum())), "280")
        yield Finding("test images that stand in train", str(int(self.leaked("test").sum())), "288")
        yield Finding(
            "groups of copies with different labels", str(len(self._conflicting_groups())), "57"
        )
        yield Finding(
            "FER+ votes", "not found" if self.votes_path is None else str(self.votes_path)
        )

    @cached_property
    def _rows(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
        return _read_csv(self.path)

    @cached_property
    def _votes(self) -> NDArray[np.float32] | None:
        if self.votes_path is None:
            return None
        return _read_votes(self.votes_path, self._rows[2])

    @cached_property
    def _copies(self) -> dict[bytes, list[int]]:
        groups: dict[bytes, list[int]] = defaultdict(list)
        for i, image in enumerate(self._rows[0]):
            groups[image.tobytes()].append(i)
        return groups

    def _conflicting_groups(self) -> list[list[int]]:
        labels = self._rows[1]
        return [g for g in self._copies.values() if len(set(labels[g].tolist())) > 1]

    @property
    def _faulty(self) -> NDArray[np.bool_]:
        images, _, usage = self._rows
        faulty = _blank(images)
        for group in self._conflicting_groups():
            faulty[group] = True
        for group in self._copies.values():
            if set(usage[group].tolist()) & {"val", "test"}:
                faulty[[i for i in group if usage[i] == "train"]] = True
        return faulty


class Fer2013Images:
    """The image-folder copy of FER2013: ``train/<class>/`` and ``test/<class>/``.

    Its test folder joins the challenge's two test sets where the copy was made from all rows.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="fer2013_images",
        title="FER2013 as image folders",
        source="Kaggle copies of FER2013 such as msambare/fer2013",
        licence=_INFO.licence,
        citation=_INFO.citation,
        layout=("train/<class>/*.png or *.jpg", "test/<class>/*.png or *.jpg"),
        labels={str(e): e for e in BASIC_EXPRESSIONS},
        counts={"train": 28709, "test": 7178},
        faults=(*_INFO.faults[1:], "has no validation split; FER+ votes cannot be joined"),
    )
    splits: tuple[str, ...] = ("train", "test")

    def __init__(self, root: Path) -> None:
        self.root = find_file(root, ("train", "fer2013_images/train"), self.info).parent
        if not (self.root / "test").is_dir():
            raise missing(self.root / "test", self.info)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        files = class_files(self.root / split, self.info.labels, self.info.name)
        return read_set(files, root=self.root, name=self.info.name, expressions=BASIC_EXPRESSIONS)

    def faults(self) -> Iterator[Finding]:
        """Count the test images that stand in train."""
        train = {np.asarray(x).tobytes() for x in self.load("train").images}
        copies = sum(np.asarray(x).tobytes() in train for x in self.load("test").images)
        yield Finding("test images that stand in train", str(copies))


def _blank(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    flat = images.reshape(len(images), -1)
    return np.asarray(flat.min(axis=1) == flat.max(axis=1), dtype=bool)


def _read_csv(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    usage: list[str] = []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        if not {"emotion", "pixels", "Usage"} <= set(header):
            raise DataError(
                f"fer2013: {path}: line 1: expected the columns emotion, pixels and Usage, "
                f"found {', '.join(header)[:80] or 'nothing'}; download the file again"
            )
        at = {name: header.index(name) for name in ("emotion", "pixels", "Usage")}
        for line, row in enumerate(reader, start=2):
            try:
                images.append(_pixels(row[at["pixels"]]))
                labels.append(_label(row[at["emotion"]]))
                usage.append(_USAGE[row[at["Usage"]].strip()])
            except IndexError:
                raise _bad_row(path, line, f"{len(row)} columns instead of {len(header)}") from None
            except KeyError as error:
                found = f"Usage {error} instead of Training, PublicTest or PrivateTest"
                raise _bad_row(path, line, found) from None
            except ValueError as error:
                raise _bad_row(path, line, str(error)) from None
    if not images:
        raise DataError(f"fer2013: {path} holds no rows; download the file again")
    return np.stack(images), np.array(labels, dtype=np.int64), np.array(usage)


def _bad_row(path: Path, line: int, found: str) -> DataError:
    return DataError(
        f"fer2013: {path}: line {line}: {found}; download the file again or mend the line"
    )


def _pixels(text: str) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns where a word is not a number
        try:
            values = np.fromstring(text, dtype=np.int64, sep=" ")
        except (DeprecationWarning, ValueError):
            raise ValueError("pixels holds something that is not a whole number") from None
    if values.size != _SIDE * _SIDE:
        raise ValueError(f"{values.size} pixels instead of {_SIDE * _SIDE}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"pixel value {values[(values < 0) | (values > 255)][0]} outside 0..255")
    return values.astype(np.uint8).reshape(_SIDE, _SIDE)


def _label(text: str) -> int:
    if text.strip() not in _INFO.labels:
        raise ValueError(f"emotion {text.strip()!r} instead of a number from 0 to 6")
    return int(text)


def _read_votes(path: Path, usage: NDArray[np.str_]) -> NDArray[np.float32]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    advice = "download fer2013new.csv again, or move it away to train without votes"
    if len(rows) != len(usage):
        raise DataError(f"fer2013: {path} has {len(rows)} rows, expected {len(usage)}; {advice}")
    votes = np.zeros((len(rows), len(VOTE_NAMES)), dtype=np.float32)
    for i, row in enumerate(rows):
        try:
            if _USAGE[row["Usage"]] != usage[i]:
                raise DataError(
                    f"fer2013: {path}: line {i + 2}: Usage {row['Usage']} where the image file "
                    f"has {usage[i]}; the two files must have the same row order"
                )
            votes[i] = [float(row[name]) for name in VOTE_NAMES]
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"fer2013: {path}: line {i + 2}: expected Usage and ten vote counts; {advice}"
            ) from None
    return votes
