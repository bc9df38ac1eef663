"""RAF-DB: faces from the web, labelled by about forty people each; the basic expressions.

Layout, names of the files and meaning of the labels were confirmed by independent readers that
others have published, sizes of the splits by papers; no copy of the data was at hand.
"""

from pathlib import Path
from typing import ClassVar

from deepfer.data.base import (
    Dataset,
    DatasetInfo,
    ImageSet,
    find_file,
    missing,
    require_split,
    word_rows,
)
from deepfer.data.images import read_set
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression


class RafDb(Dataset):
    """The single-label subset, in the publishers' aligned crops of 100x100 pixels."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="rafdb",
        title="RAF-DB (Real-world Affective Faces), basic, aligned",
        source="The publishers' page at whdeng.cn/RAF/model1.html, by request",
        licence="Non-commercial research, by agreement; no redistribution.",
        citation="Li, Deng and Du, Reliable crowdsourcing and deep locality-preserving learning "
        "for expression recognition in the wild, CVPR 2017.",
        layout=(
            "basic/EmoLabel/list_patition_label.txt: train_00001.jpg 5 (spelled so)",
            "basic/Image/aligned/train_00001_aligned.jpg and so on",
        ),
        labels={
            "1": Expression.SURPRISE,
            "2": Expression.FEAR,
            "3": Expression.DISGUST,
            "4": Expression.HAPPY,
            "5": Expression.SAD,
            "6": Expression.ANGRY,
            "7": Expression.NEUTRAL,
        },
        counts={"train": 12271, "test": 3068},
        faults=("nobody knows who is shown: one person may stand in train and test",),
    )
    splits: tuple[str, ...] = ("train", "test")

    def __init__(self, root: Path) -> None:
        below = "EmoLabel/list_patition_label.txt"
        names = tuple(f"{folder}{below}" for folder in ("basic/", "", "RAF-DB/basic/"))
        self.path = find_file(root, names, self.info)
        self.root = self.path.parents[1]

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        files = []
        for line, row in word_rows(self.path, self.info.name, ("file", "label")):
            name = Path(row["file"])
            own = name.stem.partition("_")[0]
            if own not in self.splits or row["label"] not in self.info.labels:
                raise DataError(
                    f"rafdb: {self.path}: line {line}: expected a file of train or test and a "
                    f"label from 1 to 7, found {' '.join(row.values())[:80]!r}; get the file again"
                )
            if own != split:
                continue
            path = self.root / "Image" / "aligned" / f"{name.stem}_aligned.jpg"
            if not path.is_file():
                raise missing(path, self.info)
            files.append((path, self.info.labels[row["label"]]))
        return read_set(files, root=self.root, name=self.info.name, expressions=BASIC_EXPRESSIONS)
