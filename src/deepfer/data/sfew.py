"""SFEW 2.0: faces from films, as the EmotiW challenge of 2015 gave them out.

The folders and the names of the files were confirmed by readers that others have published, 891
training faces by one of them; that 431 are for validation is remembered from papers. No copy of
the data was at hand.
"""

from pathlib import Path
from typing import ClassVar

from deepfer.data.base import Dataset, DatasetInfo, ImageSet, missing, require_split
from deepfer.data.images import class_files, read_set
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_FOLDERS = {
    "train": ("Train_Aligned_Faces",),
    "val": ("Val_Aligned_Faces", "Val_Aligned_Faces_new"),
}


class Sfew(Dataset):
    """The publishers' aligned faces of train and val; labels of test were never given out.

    `ImageSet.sequences` is the scene of the film that a face was taken from.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="sfew",
        title="SFEW 2.0 (Static Facial Expressions in the Wild), aligned faces",
        source="The publishers of AFEW and SFEW, by request",
        licence="Research only, by agreement; no redistribution.",
        citation="Dhall, Goecke, Lucey and Gedeon, Static facial expression analysis in tough "
        "conditions, ICCV workshops 2011; Dhall et al., Video and image based emotion recognition "
        "challenges in the wild: EmotiW 2015, ICMI 2015.",
        layout=(
            "Train/Train_Aligned_Faces/<class>/Airheads_000519240_00000005.png: film, time, frame",
            "Val/Val_Aligned_Faces/<class>/ (or Val_Aligned_Faces_new)",
        ),
        labels={
            "Angry": Expression.ANGRY,
            "Disgust": Expression.DISGUST,
            "Fear": Expression.FEAR,
            "Happy": Expression.HAPPY,
            "Sad": Expression.SAD,
            "Surprise": Expression.SURPRISE,
            "Neutral": Expression.NEUTRAL,
        },
        counts={"train": 891, "val": 431},
        faults=(
            "958 and 436 photos are published; on the others no face was found to align",
            "the labels of test are with the publishers, so results are published on val",
        ),
    )
    splits: tuple[str, ...] = ("train", "val")

    def __init__(self, root: Path) -> None:
        self._folders = {split: self._find(root, split) for split in self.splits}
        self.root = root

    def load(self, split: str) -> ImageSet:
        """Read one split; see `Dataset.load`."""
        require_split(self, split)
        files = class_files(self._folders[split], self.info.labels, self.info.name)
        return read_set(
            files,
            root=self.root,
            name=self.info.name,
            expressions=BASIC_EXPRESSIONS,
            sequences=[path.stem.rpartition("_")[0] or path.stem for path, _ in files],
        )

    def _find(self, root: Path, split: str) -> Path:
        places = [
            root / outer / own / name
            for outer in ("", "SFEW", "SFEW 2.0")
            for own in (split.title(), "")
            for name in _FOLDERS[split]
        ]
        for place in places:
            if place.is_dir():
                return place
        raise missing(places[0], self.info)
