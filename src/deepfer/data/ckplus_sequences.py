"""CK+ as short recordings: the neutral frame, two frames before the peak, and the peak.

No distributed form holds them, so they are joined of two that `ckplus` reads.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image as PillowImage

from deepfer.data.base import Dataset, DatasetInfo, Finding, ImageSet, find_file, require_split
from deepfer.data.ckplus import CkPlus48, CkPlusPeaks
from deepfer.data.copies import join
from deepfer.data.divide import Sides, by_subject, only
from deepfer.data.faces import aligned
from deepfer.data.images import stack
from deepfer.data.protocols import Protocol
from deepfer.labels import Expression
from deepfer.types import Image

FRAMES = ("neutral", "peak-2", "peak-1", "peak")
"""What the frames of a sequence are, in order; `ImageSet.columns` says it of each as ``frame``."""

_SIDE = 48  # pixels of CK+48, which the others are brought to


def _subject_10fold(dataset: "CkPlusSequences", seed: int, fold: int) -> Sides:
    return by_subject(dataset.faces(), 10, seed, fold)


class CkPlusSequences(Dataset):
    """Four frames of every sequence that has all of them, one after the other, in order.

    Every frame, the neutral one too, carries the expression of its sequence, which is what a
    method for sequences answers; `ImageSet.sequences` says which frames belong together.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="ckplus_sequences",
        title="CK+ sequences: neutral, two frames before the peak, peak (48x48)",
        source="Joined of `ckplus` and `ckplus_peaks`",
        licence=CkPlus48.info.licence,
        citation=CkPlus48.info.citation,
        layout=("CK+48: as `ckplus`", "ckplus_peaks: as `ckplus_peaks`"),
        labels=CkPlusPeaks.info.labels,
        counts={"all": 1164},
        groups="subject",
        faults=(
            "neutral and peak are of one archive, the frames between of another, which frames "
            "faces a little tighter and has other gray levels",
            "a few labels do not fit the face, as in ckplus",
        ),
    )
    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="sequence-subject-10fold",
            what="aligned sequences of neutral, two frames before the peak and peak, six "
            "expressions; ten folds by subject: one tested, one for choosing, eight for training",
            leaks=None,
            divide=_subject_10fold,
            folds=10,
        ),
    )

    def __init__(self, root: Path) -> None:
        late = find_file(root, ("CK+48/anger",), self.info).parent
        pairs = find_file(root, ("ckplus_peaks/labels.csv",), self.info).parent
        self.root, self._late, self._pairs = root, CkPlus48(late), CkPlusPeaks(pairs)

    def load(self, split: str) -> ImageSet:
        """Read all sequences that have four frames; see `Dataset.load`."""
        require_split(self, split)
        frames, places = self._joined()
        order = np.array(list(places.values()), dtype=np.int64).reshape(-1, len(FRAMES))
        peaks = frames.labels[order[:, -1]]
        sequences = replace(
            frames.take(order.ravel()),
            labels=np.repeat(peaks, len(FRAMES)),
            columns={"frame": FRAMES * len(order)},
        )
        return only(sequences, {frames.expressions[k] for k in peaks})

    def faces(self) -> ImageSet:
        """Return all sequences, every frame aligned as other paths into the networks frame faces.

        Raises:
            DataError: No face is found on a frame.
        """
        return _faces(self.root)

    def faults(self) -> Iterator[Finding]:
        """Count the sequences, and those whose archives do not tell the same."""
        frames, places = self._joined()
        yield Finding("sequences with all four frames", str(len(places)), "291")
        last = Counter(
            Path(frames.ids[four[2]]).stem.rsplit("_", 1)[-1]
            < Path(frames.ids[four[3]]).stem.rsplit("_", 1)[-1]
            for four in places.values()
        )
        yield Finding("sequences whose peak comes last", str(last[True]), "291")
        alike = sum(frames.labels[four[2]] == frames.labels[four[3]] for four in places.values())
        yield Finding("sequences with one label in both archives", str(alike), "291")

    def _joined(self) -> tuple[ImageSet, dict[str, tuple[int, ...]]]:
        """Return the frames of both archives, and the places of four by sequence, in order."""
        late, pairs = self._late.load("all"), self._pairs.load("all")
        every = join(_counted_in(late, "CK+48"), _counted_in(pairs, "ckplus_peaks"))
        found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        order = sorted(range(len(every)), key=lambda i: Path(every.ids[i]).name)
        for i in order:
            neutral = every.expressions[every.labels[i]] is Expression.NEUTRAL
            kind = "late" if i < len(late) else "neutral" if neutral else "peak"
            found[(every.sequences or ())[i]][kind].append(i)
        places = {
            name: (*kinds["neutral"], *kinds["late"][:2], *kinds["peak"])
            for name, kinds in sorted(found.items())
        }
        return every, {name: four for name, four in places.items() if len(four) == len(FRAMES)}


def _counted_in(images: ImageSet, folder: str) -> ImageSet:
    """Return frames of 48 pixels that count in all expressions; ids are below the folder."""
    positions = np.array([list(Expression).index(e) for e in images.expressions])
    return replace(
        images,
        images=stack([_small(image) for image in images.images]),
        labels=positions[images.labels],
        expressions=tuple(Expression),
        ids=tuple(f"{folder}/{name}" for name in images.ids),
    )


def _small(frame: Image) -> Image:
    if frame.shape == (_SIDE, _SIDE):
        return frame
    picture = PillowImage.fromarray(frame)
    return np.asarray(picture.resize((_SIDE, _SIDE), PillowImage.Resampling.BOX))


@cache
def _faces(root: Path) -> ImageSet:
    images = CkPlusSequences(root).load("all")
    return aligned(images, _SIDE, name=CkPlusSequences.info.name)
