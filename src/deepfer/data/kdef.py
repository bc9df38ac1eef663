"""KDEF: seventy Swedish actors, seven posed expressions, five angles, twice.

The meaning of the names was confirmed by the publishers' page on KDEF, as others quote it, and by
that on AKDEF; the two misnamed and some black files by people who list them. No copy of the data
was at hand.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image as PillowImage

from deepfer.data.base import Dataset, DatasetInfo, Finding, ImageSet, missing, require_split
from deepfer.data.images import image_files, read_set
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from deepfer.preprocess import to_gray
from deepfer.types import Image

_NAME = re.compile(
    r"(?P<session>[AB])(?P<sex>[FM])(?P<number>\d\d)"
    r"(?P<expression>AF|AN|DI|HA|NE|SA|SU)(?P<angle>FL|HL|S|HR|FR)",
    re.IGNORECASE,
)
_MISNAMED = ("AF31V", "AM31H")  # so published; what they show is not in their names
_SEXES = {"F": "female", "M": "male"}
_ANGLES = {
    "FL": "full left",
    "HL": "half left",
    "S": "straight",
    "HR": "half right",
    "FR": "full right",
}
_BLACK = 10  # mean gray level below which a picture shows nothing


class Kdef(Dataset):
    """The photos in gray and at half their size, such as ``AF01/AF01ANS.JPG``.

    Whole, in colour, they would take 6 GB. The faces stand in the middle of them and are to be
    found, as with ``deepfer evaluate --detected``. `ImageSet.columns` tells angle, sex and session.

    Args:
        root: The folder that holds those of the sessions and subjects.
        straight: Only faces that are seen from the front.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="kdef",
        title="KDEF (Karolinska Directed Emotional Faces)",
        source="The publishers' page at kdef.se",
        licence="Non-commercial research, on the publishers' conditions; no redistribution.",
        citation="Lundqvist, Flykt and Öhman, The Karolinska Directed Emotional Faces, CD ROM, "
        "Karolinska Institutet 1998, ISBN 91-630-7164-9.",
        layout=("KDEF/AF01/AF01ANS.JPG: session A or B, sex and number, expression, angle",),
        labels={
            "AF": Expression.FEAR,
            "AN": Expression.ANGRY,
            "DI": Expression.DISGUST,
            "HA": Expression.HAPPY,
            "NE": Expression.NEUTRAL,
            "SA": Expression.SAD,
            "SU": Expression.SURPRISE,
        },
        counts={"all": 4898},
        groups="subject",
        faults=(
            "posed: the label is what was asked for",
            "AF31V.JPG and AM31H.JPG are misnamed by the publishers; they are left out",
            "a few pictures are black",
        ),
    )

    def __init__(self, root: Path, *, straight: bool = False) -> None:
        places = [root / name for name in ("KDEF", "KDEF_and_AKDEF/KDEF", "")]
        found = (place for place in places if any(place.glob("[AB][FM][0-9][0-9]")))
        place = next(found, None)
        if place is None:
            raise missing(places[0] / "AF01" / "AF01ANS.JPG", self.info)
        self.root, self.straight = place, straight

    def load(self, split: str) -> ImageSet:
        """Read all photos; see `Dataset.load`."""
        require_split(self, split)
        photos = [
            (path, name)
            for path, name in ((path, self._read_name(path)) for path in self._files())
            if name is not None and (name["angle"] == "S" or not self.straight)
        ]
        return read_set(
            [(path, self.info.labels[name["expression"]]) for path, name in photos],
            root=self.root,
            name=self.info.name,
            expressions=BASIC_EXPRESSIONS,
            subjects=[name["sex"] + name["number"] for _, name in photos],
            columns={
                "angle": tuple(_ANGLES[name["angle"]] for _, name in photos),
                "sex": tuple(_SEXES[name["sex"]] for _, name in photos),
                "session": tuple(name["session"] for _, name in photos),
            },
            prepare=_half_gray,
        )

    def faults(self) -> Iterator[Finding]:
        """Count the subjects, the misnamed files that are left out, and the black pictures."""
        images = self.load("all")
        yield Finding("different subjects", str(len(set(images.subjects or ()))), "70")
        misnamed = sum(path.stem.upper() in _MISNAMED for path in self._files())
        yield Finding("misnamed files, left out", str(misnamed), "2")
        black = [n for n, x in zip(images.ids, images.images, strict=True) if x.mean() < _BLACK]
        example = f", such as {black[0]}" if black else ""
        yield Finding("black pictures", f"{len(black)}{example}")

    def _files(self) -> list[Path]:
        folders = sorted(self.root.glob("[AB][FM][0-9][0-9]"))
        return [path for folder in folders for path in image_files(folder)]

    def _read_name(self, path: Path) -> dict[str, str] | None:
        """Return what a name tells, by the parts of `_NAME`; None for the publishers' misnamed."""
        if path.stem.upper() in _MISNAMED:
            return None
        parts = _NAME.fullmatch(path.stem)
        if parts is None:
            raise DataError(
                f"kdef: {path} is not named <session><sex><number><expression><angle>, such as "
                "AF01ANS.JPG; restore the publishers' name or move the file away"
            )
        return {part: code.upper() for part, code in parts.groupdict().items()}


def _half_gray(photo: Image, place: int) -> Image:
    return np.asarray(PillowImage.fromarray(to_gray(photo)).reduce(2))
