"""CK+ in two distributed forms: CK+48, and pairs of a neutral first frame and the peak."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

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
from deepfer.data.divide import Sides, by_subject, cut, only, shuffled, ten_subject_folds
from deepfer.data.images import class_files, in_order, read_set
from deepfer.data.protocols import Protocol
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_LICENCE = "Research only, by agreement with the publishers; no redistribution."
_CITATION = (
    "Lucey et al., The Extended Cohn-Kanade Dataset (CK+), CVPR workshops 2010; "
    "Kanade, Cohn and Tian, Comprehensive database for facial expression analysis, FG 2000."
)
_LABELS = {
    "anger": Expression.ANGRY,
    "contempt": Expression.CONTEMPT,
    "disgust": Expression.DISGUST,
    "fear": Expression.FEAR,
    "happy": Expression.HAPPY,
    "sadness": Expression.SAD,
    "surprise": Expression.SURPRISE,
}


def _random_frames(dataset: Dataset, seed: int, fold: int) -> Sides:
    frames = dataset.load("all")
    return cut(frames, shuffled(frames, seed), 691, 99, 191)


def _six_peaks(dataset: Dataset, seed: int, fold: int) -> Sides:
    peaks = only(dataset.load("all"), set(BASIC_EXPRESSIONS) - {Expression.NEUTRAL})
    return by_subject(peaks, 10, seed, fold)


class CkPlus48(Dataset):
    """CK+48: the last three frames of each labelled sequence, 48x48 gray, in class folders."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="ckplus",
        title="CK+48 (Extended Cohn-Kanade, last three frames, 48x48)",
        source="The publishers' page for CK+; the 48-pixel crops are on Kaggle as CK+48",
        licence=_LICENCE,
        citation=_CITATION,
        layout=("<class>/S010_004_00000017.png: subject, sequence, frame",),
        labels=_LABELS,
        counts={"all": 981},
        groups="subject",
        faults=(
            "three nearly equal frames per sequence: random splits put twins on both sides",
            "has no neutral, and contempt instead",
            "a few labels do not fit the face: S129_002, under surprise, shows pressed lips",
            "folder names sort differently from the label order that is often printed with them",
        ),
    )
    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="random-frames",
            what="981 frames at random 691 / 99 / 191",
            leaks="frames of one sequence, and subjects, stand on both sides",
            divide=_random_frames,
        ),
        Protocol(
            name="subject-10fold",
            what="ten folds by subject: one tested, one for choosing, eight for training",
            leaks=None,
            divide=ten_subject_folds,
            folds=10,
        ),
    )

    def __init__(self, root: Path) -> None:
        self.root = find_file(root, ("anger", "CK+48/anger"), self.info).parent

    def load(self, split: str) -> ImageSet:
        """Read all frames; see `Dataset.load`."""
        require_split(self, split)
        files = class_files(self.root, self.info.labels, self.info.name)
        for path, _ in files:
            if len(path.stem.split("_")) != 3:
                raise DataError(
                    f"ckplus: {path} is not named subject_sequence_frame, so its subject is "
                    "unknown; restore the publishers' name"
                )
        return read_set(
            files,
            root=self.root,
            name=self.info.name,
            expressions=in_order(_LABELS.values()),
            subjects=[path.stem.split("_")[0] for path, _ in files],
            sequences=[path.stem.rsplit("_", 1)[0] for path, _ in files],
        )

    def faults(self) -> Iterator[Finding]:
        """Count sequences, and those that do not have three frames."""
        frames = Counter(self.load("all").sequences)
        yield Finding("sequences", str(len(frames)), "327")
        odd = sum(n != 3 for n in frames.values())
        yield Finding("sequences without exactly three frames", str(odd), "0")


class CkPlusPeaks(Dataset):
    """CK+ as single images listed in ``labels.csv``: neutral first frames and peaks.

    The neutral frame and the peak of one recording share their name in `ImageSet.sequences`.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="ckplus_peaks",
        title="CK+ neutral and peak frames",
        source="Made from CK+ originals, which are available from the publishers' page",
        licence=_LICENCE,
        citation=_CITATION,
        layout=("labels.csv: file,subject,sequence,frame,expression", "the files it names"),
        labels={**{str(e): e for e in Expression}, **_LABELS},
        counts={"all": 617},
        groups="subject",
        faults=("neutral and peak of one sequence show the same person minutes apart",),
    )
    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="six-subject-10fold",
            what="the peaks, six expressions without neutral; ten folds by subject",
            leaks=None,
            divide=_six_peaks,
            folds=10,
        ),
        Protocol(
            name="seven-subject-10fold",
            what="peaks and neutral frames, seven expressions; ten folds by subject",
            leaks=None,
            divide=ten_subject_folds,
            folds=10,
        ),
    )

    def __init__(self, root: Path) -> None:
        names = ("labels.csv", "ckplus_peaks/labels.csv")
        self.path = find_file(root, names, self.info)

    def load(self, split: str) -> ImageSet:
        """Read all images; see `Dataset.load`."""
        require_split(self, split)
        files, subjects, sequences = [], [], []
        columns = ("file", "subject", "sequence", "expression")
        for line, row in csv_rows(self.path, self.info.name, columns):
            label = row.get("expression", "").casefold()
            if not row.get("file") or not row.get("subject") or label not in self.info.labels:
                raise DataError(
                    f"ckplus_peaks: {self.path}: line {line}: expected file, subject and a "
                    f"known expression, found {label or 'none'!r}; mend the line"
                )
            path = self.path.parent / row["file"]
            if not path.is_file():
                raise missing(path, self.info)
            files.append((path, self.info.labels[label]))
            subjects.append(row["subject"])
            sequences.append(f"{row['subject']}_{row['sequence']}")
        return read_set(
            files,
            root=self.path.parent,
            name=self.info.name,
            expressions=in_order(e for _, e in files),
            subjects=subjects,
            sequences=sequences,
        )

    def faults(self) -> Iterator[Finding]:
        """Count the sequences that have both a neutral frame and a peak."""
        images = self.load("all")
        frames = Counter(images.sequences)
        yield Finding("sequences with neutral and peak", str(sum(n == 2 for n in frames.values())))
