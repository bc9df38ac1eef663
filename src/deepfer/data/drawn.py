"""Drawn faces: an embedded data set for tests, tutorials and measured explanations.

Every face comes with a mask of the regions that carry its expression, so that an explanation can
be held against the truth. Nothing is downloaded; `drawing` is the pencil.
"""

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from deepfer.data.base import SPLITS, Dataset, DatasetInfo, ImageSet, require_split
from deepfer.data.copies import join
from deepfer.data.divide import Sides, by_character, cut, shuffled
from deepfer.data.drawing import CHARACTERS, DrawnFace, draw_face
from deepfer.data.protocols import Protocol
from deepfer.errors import DataError
from deepfer.files import write_text
from deepfer.labels import BASIC_EXPRESSIONS, Expression

_SPLIT_SEED = {"train": 1, "val": 2, "test": 3}


def _all(dataset: Dataset) -> ImageSet:
    return reduce(join, (dataset.load(split) for split in SPLITS))


def _by_character(dataset: Dataset, seed: int, fold: int) -> Sides:
    return by_character(_all(dataset), ("gus", "hana"), seed)


def _random(dataset: Dataset, seed: int, fold: int) -> Sides:
    images = _all(dataset)
    tenth = len(images) // 10
    return cut(images, shuffled(images, seed), len(images) - 4 * tenth, tenth, 3 * tenth)


class Drawn(Dataset):
    """The drawn data set: every character shows every expression in every split.

    Args:
        root: Not used; drawn faces need no files.
        size: Height and width of the faces in pixels.
        per_class: Training faces per expression and character; a third of it for validation
            and for test, at least one.
        seed: Decides every face.
        color: RGB instead of gray.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="drawn",
        title="Drawn faces (made by deepfer)",
        source="deepfer draws them; `deepfer data draw --out DIR` writes them as files",
        licence="MIT, as deepfer",
        citation="deepfer",
        layout=("none: nothing is read",),
        labels={str(e): e for e in BASIC_EXPRESSIONS},
        groups="character",
    )
    splits: tuple[str, ...] = SPLITS
    needs_root = False
    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(
            name="by-character",
            what="train six characters, a tenth of them for choosing; test two",
            leaks="characters stand in train and val, none in test",
            divide=_by_character,
        ),
        Protocol(
            name="random",
            what="all faces at random, 60 / 10 / 30 in the hundred",
            leaks="characters stand on both sides",
            divide=_random,
        ),
    )

    def __init__(
        self,
        root: Path | None = None,
        *,
        size: int = 48,
        per_class: int = 12,
        seed: int = 0,
        color: bool = False,
    ) -> None:
        numbers = size, per_class, seed
        if not all(isinstance(n, int) for n in numbers) or not (
            16 <= size <= 1024 and 1 <= per_class <= 100_000 and 0 <= seed < 2**63
        ):
            raise DataError(
                f"drawn: size {str(size)[:20]}, per_class {str(per_class)[:20]}, seed "
                f"{str(seed)[:20]}: expected 16 to 1,024, 1 to 100,000, and from 0"
            )
        self.size, self.per_class, self.seed, self.color = size, per_class, seed, color

    def load(self, split: str) -> ImageSet:
        """Draw one split; see `Dataset.load`."""
        require_split(self, split)
        faces, labels, subjects, ids = [], [], [], []
        for name, face, expression, character in self.faces(split):
            gray = np.asarray(PillowImage.fromarray(face.image).convert("L"))
            faces.append(face.image if self.color else gray)
            labels.append(BASIC_EXPRESSIONS.index(expression))
            subjects.append(character)
            ids.append(f"{split}/{name}")
        return ImageSet(
            images=np.stack(faces),
            labels=np.array(labels, dtype=np.int64),
            expressions=BASIC_EXPRESSIONS,
            ids=tuple(ids),
            subjects=tuple(subjects),
        )

    def masks(self, split: str) -> NDArray[np.bool_]:
        """Draw where the faces show their expressions; see `Dataset.masks`."""
        require_split(self, split)
        return np.stack([face.mask for _, face, _, _ in self.faces(split)])

    def faces(self, split: str) -> Iterator[tuple[str, DrawnFace, Expression, str]]:
        """Yield name, drawing, expression and character of every face of a split."""
        count = self.per_class if split == "train" else max(1, self.per_class // 3)
        for character in CHARACTERS:
            for expression in BASIC_EXPRESSIONS:
                for i in range(count):
                    number = (self.seed * 10 + _SPLIT_SEED[split]) * 100_000
                    number += BASIC_EXPRESSIONS.index(expression) * 10_000 + i
                    face = draw_face(expression, character, size=self.size, seed=number)
                    yield f"{character}/{character}_{expression}/{i}", face, expression, character


def write_folder(out: Path, *, per_class: int, size: int, seed: int) -> int:
    """Write drawn faces as files and return their number.

    The folder holds ``<character>/<character>_<expression>/*.png``, ``masks/`` with the same
    names, and ``manifest.csv``, by which `Manifest` reads them back.
    """
    rows = ["path,expression,subject"]
    for name, face, expression, character in Drawn(size=size, per_class=per_class, seed=seed).faces(
        "train"
    ):
        for target, pixels in (
            (out / f"{name}.png", face.image),
            (out / "masks" / f"{name}.png", face.mask),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            PillowImage.fromarray(pixels).save(target)
        rows.append(f"{name}.png,{expression},{character}")
    write_text(out / "manifest.csv", "\n".join(rows) + "\n")
    return len(rows) - 1
