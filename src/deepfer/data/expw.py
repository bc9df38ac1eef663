"""ExpW: faces in photos that image searches for emotions, occasions and people gave.

The list's columns and the meaning of the labels were confirmed by the publishers' note on the
list, as others quote it, and by their readers. No copy of the data was at hand.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from deepfer.data.base import (
    Dataset,
    DatasetInfo,
    Finding,
    ImageSet,
    find_file,
    missing,
    require_split,
    word_rows,
)
from deepfer.data.faces import Box, check_size, square
from deepfer.data.images import read_set
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_COLUMNS = ("file", "face", "top", "left", "right", "bottom", "confidence", "label")


class ExpW(Dataset):
    """The listed faces, cut out of their photos as gray squares.

    A photo may show several; its name is that of their sequence, since faces of one photo must
    not stand on both sides of a split. `ImageSet.columns` tells the detector's confidence.

    Args:
        root: The folder that holds the list and the photos.
        size: Height and width of the faces in pixels; at 96 they take 0.9 GB.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="expw",
        title="ExpW (Expression in the Wild)",
        source="The publishers' page at mmlab.ie.cuhk.edu.hk/projects/socialrelation",
        licence="Non-commercial research; the photos were collected from the web.",
        citation="Zhang, Luo, Loy and Tang, From facial expression recognition to interpersonal "
        "relation prediction, International Journal of Computer Vision 2018.",
        layout=(
            "label/label.lst: " + " ".join(_COLUMNS),
            "image/origin/*.jpg: the photos",
        ),
        labels={
            "0": Expression.ANGRY,
            "1": Expression.DISGUST,
            "2": Expression.FEAR,
            "3": Expression.HAPPY,
            "4": Expression.SAD,
            "5": Expression.SURPRISE,
            "6": Expression.NEUTRAL,
        },
        counts={"all": 91793},
        faults=(
            "some boxes hold no face, or none whole",
            "38 in the hundred are neutral and 1 in the hundred shows fear",
        ),
    )

    def __init__(self, root: Path, *, size: int = 96) -> None:
        folders = ("", "data/", "ExpW/", "ExpW/data/")
        names = tuple(f"{folder}{own}label.lst" for folder in folders for own in ("label/", ""))
        self.path = find_file(root, names, self.info)
        near = (self.path.parent, self.path.parents[1])
        places = [place / own for place in near for own in ("image/origin", "origin")]
        found = next((place for place in places if place.is_dir()), None)
        if found is None:
            raise missing(self.path.parents[1] / "image" / "origin", self.info)
        self.root, self.size = found, check_size(self.info.name, size)

    def load(self, split: str) -> ImageSet:
        """Read all faces; see `Dataset.load`."""
        require_split(self, split)
        rows = list(word_rows(self.path, self.info.name, _COLUMNS))
        boxes = [self._box(line, row) for line, row in rows]
        faces = read_set(
            [(self.root / row["file"], self.info.labels[row["label"]]) for _, row in rows],
            root=self.root,
            name=self.info.name,
            expressions=BASIC_EXPRESSIONS,
            sequences=[row["file"] for _, row in rows],
            columns={"confidence": tuple(row["confidence"] for _, row in rows)},
            prepare=lambda photo, i: square(photo, boxes[i], self.size),
        )
        # not the number of the face: other readers drop lines that stand in the list twice
        return replace(faces, ids=tuple(f"{row['file']} line {line}" for line, row in rows))

    def faults(self) -> Iterator[Finding]:
        """Count the faces that stand in the list more than once."""
        rows = [tuple(row.values()) for _, row in word_rows(self.path, self.info.name, _COLUMNS)]
        yield Finding("lines that stand in the list twice", str(len(rows) - len(set(rows))))

    def _box(self, line: int, row: dict[str, str]) -> Box:
        try:
            left, top, right, bottom = (
                int(row[side]) for side in ("left", "top", "right", "bottom")
            )
        except ValueError:
            left = top = right = bottom = 0
        if row["label"] not in self.info.labels or left >= right or top >= bottom:
            raise DataError(
                f"expw: {self.path}: line {line}: expected a box and a label from 0 to 6, found "
                f"{' '.join(row.values())[:80]!r}; get the file again or mend the line"
            )
        return left, top, right, bottom
