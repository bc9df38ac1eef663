"""FER2013 in its three distributed forms, with FER+ votes where their file is there too.

The CSV forms keep the challenge's row order, which the FER+ file is joined by: the image names
inside ``fer2013new.csv`` are not row numbers. The folder form loses that order, so it has no
votes and no validation split.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

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
from deepfer.data.fer2013_protocols import PROTOCOLS
from deepfer.data.images import class_files, read_set
from deepfer.data.protocols import Protocol
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


class Fer2013(Dataset):
    """The challenge's CSV file, or its later variant.

    Args:
        root: A folder that holds the file, or the file itself.
        exclude_faults: Leave out blank images, images whose identical copies carry other
            labels, and training images that stand in validation or test as well.
        majority: Use the FER+ majority label instead of the original one, as its authors do:
            single votes are dropped, and images stay where more than half of the remaining
            votes agree on one of the eight expressions (25,060 / 3,199 / 3,153 images).
        perceived: Say what people see: votes are those for the seven expressions, in the order
            of `expressions`, and labels the expression with the most of them. Images stay where
            more than half of the votes are for one of the seven.
    """

    info: ClassVar[DatasetInfo] = _INFO
    splits: tuple[str, ...] = ("train", "val", "test")
    protocols: ClassVar[tuple[Protocol, ...]] = PROTOCOLS

    def __init__(
        self,
        root: Path,
        *,
        exclude_faults: bool = False,
        majority: bool = False,
        perceived: bool = False,
    ) -> None:
        names = ("fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv")
        self.path = root if root.is_file() else find_file(root, names, self.info)
        self.exclude_faults, self.majority, self.perceived = exclude_faults, majority, perceived
        folder = self.path.parent
        votes = (
            folder / "fer2013new.csv",
            folder / "ferplus" / "fer2013new.csv",
            folder.parent / "ferplus" / "fer2013new.csv",
        )
        self.votes_path = next((p for p in votes if p.is_file()), None)
        if (majority or perceived) and self.votes_path is None:
            raise missing(votes[0], self.info)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`. Votes are None without the FER+ file."""
        images, labels, _ = self._rows
        everything = ImageSet(
            images=images,
            labels=labels,
            expressions=BASIC_EXPRESSIONS,
            ids=tuple(f"row {i}" for i in range(len(labels))),
            votes=self._votes,
        )
        kept = self._kept(split)
        if self.majority and self._votes is not None:
            top = majority_labels(self._votes)
            everything = replace(everything, labels=top, expressions=tuple(Expression))
            kept &= top >= 0
        if self.perceived and self._votes is not None:
            shown = votes_for(BASIC_EXPRESSIONS, self._votes)
            everything = replace(everything, labels=shown.argmax(axis=1), votes=shown)
            kept &= 2 * shown.sum(axis=1) > self._votes.sum(axis=1)
        return everything.take(kept)

    def leaked(self, split: str) -> NDArray[np.bool_]:
        """Find the copies; see `Dataset.leaked`."""
        images, _, usage = self._rows
        train = {x.tobytes() for x in images[usage == "train"]}
        return np.array([x.tobytes() in train for x in self.load(split).images], dtype=bool)

    def _kept(self, split: str) -> NDArray[np.bool_]:
        require_split(self, split)
        images, labels, usage = self._rows
        kept = np.asarray(usage == split, dtype=bool)
        return kept & ~_faulty(images, labels, usage) if self.exclude_faults else kept

    def faults(self) -> Iterator[Finding]:
        """Count blank images, copies across splits and copies with conflicting labels."""
        images, labels, usage = self._rows
        blank = sum(_is_blank(image) for image in images)
        train = {x.tobytes() for x in images[usage == "train"]}
        yield Finding("blank images", str(blank), "12")
        for split, expected in (("val", "280"), ("test", "288")):
            copies = sum(x.tobytes() in train for x in images[usage == split])
            yield Finding(f"{split} images that stand in train", str(copies), expected)
        conflicts = _conflicting(_copies(images), labels)
        yield Finding("groups of copies with different labels", str(len(conflicts)), "57")
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


class Fer2013Images(Dataset):
    """The image-folder copy of FER2013: ``train/<class>/`` and ``test/<class>/``.

    Its test folder joins the challenge's two test sets where the copy was made from all rows.

    Args:
        root: The folder that holds ``train`` and ``test``.
        exclude_faults: As for `Fer2013`.
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

    def __init__(self, root: Path, *, exclude_faults: bool = False) -> None:
        self.exclude_faults = exclude_faults
        self.root = find_file(root, ("train", "fer2013_images/train"), self.info).parent
        if not (self.root / "test").is_dir():
            raise missing(self.root / "test", self.info)

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        if not self.exclude_faults:
            return self._read(split)
        both = {name: self._read(name) for name in self.splits}
        pixels = [np.asarray(x) for part in both.values() for x in part.images]
        labels = np.concatenate([part.labels for part in both.values()])
        usage = np.repeat(list(both), [len(part) for part in both.values()])
        return both[split].take(~_faulty(pixels, labels, usage)[usage == split])

    def faults(self) -> Iterator[Finding]:
        """Count the test images that stand in train."""
        train = {np.asarray(x).tobytes() for x in self._read("train").images}
        copies = sum(np.asarray(x).tobytes() in train for x in self._read("test").images)
        yield Finding("test images that stand in train", str(copies))

    def _read(self, split: str) -> ImageSet:
        files = class_files(self.root / split, self.info.labels, self.info.name)
        return read_set(files, root=self.root, name=self.info.name, expressions=BASIC_EXPRESSIONS)


def majority_labels(votes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return int64 (N,): the FER+ majority as a position in `Expression`, or -1 without one.

    Source:
        Barsoum et al. 2016: single votes are outliers; a majority is more than half.
    """
    kept = np.where(votes > 1, votes, 0)
    top = kept.argmax(axis=1)
    clear = kept.max(axis=1) > kept.sum(axis=1) / 2
    order = list(Expression)
    position = np.array([*(order.index(e) for e in VOTE_EXPRESSIONS), -1, -1], dtype=np.int64)
    return np.where(clear, position[top], -1)


def votes_for(labels: Sequence[Expression], votes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return FER+ votes, (N, 10), as (N, K): people per expression of `labels`, others left out."""
    columns = [VOTE_EXPRESSIONS.index(label) for label in labels]
    return np.asarray(votes[:, columns])


def _copies(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> list[list[int]]:
    """Group the positions of images that are equal pixel for pixel."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for i, image in enumerate(images):
        groups[image.tobytes()].append(i)
    return list(groups.values())


def _conflicting(groups: list[list[int]], labels: NDArray[np.int64]) -> list[list[int]]:
    return [group for group in groups if len(set(labels[group].tolist())) > 1]


def _faulty(
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    labels: NDArray[np.int64],
    usage: NDArray[np.str_],
) -> NDArray[np.bool_]:
    """Mark blank images, copies with other labels, and training images of the other splits."""
    faulty = np.array([_is_blank(image) for image in images], dtype=bool)
    groups = _copies(images)
    for group in _conflicting(groups, labels):
        faulty[group] = True
    for group in groups:
        if set(usage[group].tolist()) - {"train"}:
            faulty[[i for i in group if usage[i] == "train"]] = True
    return faulty


def _is_blank(image: NDArray[np.uint8]) -> bool:
    return bool(image.min() == image.max())


def _read_csv(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.str_]]:
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    usage: list[str] = []
    for line, row in csv_rows(path, "fer2013", ("emotion", "pixels", "Usage")):
        try:
            images.append(_pixels(row["pixels"]))
            labels.append(_label(row["emotion"]))
            usage.append(_usage(row["Usage"]))
        except ValueError as error:
            raise _bad_row(path, line, str(error)) from None
    if not images:
        raise DataError(f"fer2013: {path} holds no rows; download the file again")
    return np.stack(images), np.array(labels, dtype=np.int64), np.array(usage)


def _usage(text: str) -> str:
    if text not in _USAGE:
        raise ValueError(f"Usage {text!r} instead of Training, PublicTest or PrivateTest")
    return _USAGE[text]


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
    rows = list(csv_rows(path, "fer2013", ("Usage", *VOTE_NAMES)))
    advice = "download fer2013new.csv again, or move it away to train without votes"
    if len(rows) != len(usage):
        raise DataError(f"fer2013: {path} has {len(rows)} rows, expected {len(usage)}; {advice}")
    votes = np.zeros((len(rows), len(VOTE_NAMES)), dtype=np.float32)
    for i, (line, row) in enumerate(rows):
        try:
            own = _usage(row["Usage"])
            votes[i] = [float(row[name]) for name in VOTE_NAMES]
        except ValueError:
            raise DataError(
                f"fer2013: {path}: line {line}: expected Usage and ten vote counts; {advice}"
            ) from None
        if own != usage[i]:
            raise DataError(
                f"fer2013: {path}: line {line}: {own} where the image file has {usage[i]}; "
                f"the two files must have the same row order; {advice}"
            )
    return votes
