"""Comic faces: eight characters by five artists, and a ninth put together of heads and features.

They come with the package: ``comic.png`` holds them as tiles and ``comic.txt`` names these, both
made by ``tools/make_comic.py``; credits are in ``LICENSE-COMIC.txt``.
"""

import cmath
import math
from collections.abc import Collection, Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image as PillowImage

from deepfer.data import open_dataset
from deepfer.data.base import Dataset, DatasetInfo, ImageSet, require_split
from deepfer.data.divide import Sides, shuffled
from deepfer.data.protocols import Protocol
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from deepfer.types import Image

TILE, FACE = 128, 96
"""Pixels of a tile, and of the face in its middle; the rest is for turned and moved faces."""

LABELS = {
    "angry": Expression.ANGRY,
    "afraid": Expression.FEAR,
    "scared": Expression.FEAR,
    "smile": Expression.HAPPY,
    "happy": Expression.HAPPY,
    "laugh": Expression.HAPPY,
    "sad": Expression.SAD,
    "cry": Expression.SAD,
    "surprised": Expression.SURPRISE,
    "shocked": Expression.SURPRISE,
    "neutral": Expression.NEUTRAL,
}
"""The artists' names of expressions that mean ours."""

WIDE = {
    "irritated": Expression.ANGRY,
    "annoyed": Expression.ANGRY,
    "worried": Expression.FEAR,
    "excited": Expression.HAPPY,
    "cryingloudly": Expression.SAD,
    "loudcry": Expression.SAD,
    "ooh": Expression.SURPRISE,
}
"""Names of expressions that come near ours."""

_AAVATAR = "aavatar"
_STYLES = ("sketchy", "strokes", "thinlines")
_FOLDS = 8
_COPIES = 12  # turned and moved renders of each training drawing
_BACKGROUND = 200


# --- Pictures ----------------------------------------------------------------------------------

Layers = tuple[str, ...]
"""Names of tiles that lie on each other, the one with the expression last."""


@cache
def _tiles() -> dict[str, PillowImage.Image]:
    """Return the tiles, each gray and cover (LA), by names such as ``dee/side/happy``."""
    folder = resources.files(__package__)
    names = (folder / "comic.txt").read_text(encoding="utf-8").split()
    with (folder / "comic.png").open("rb") as file, PillowImage.open(file) as sheet:
        places = [
            (x, y, x + TILE, y + TILE)
            for y in range(0, sheet.height, TILE)
            for x in range(0, sheet.width, TILE)
        ]
        return {name: sheet.crop(place) for name, place in zip(names, places, strict=False)}


def _drawings(known: Collection[str]) -> list[str]:
    return [name for name in _tiles() if name.rpartition("/")[2] in known]


def _heads() -> list[str]:
    return [name for name in _tiles() if name.startswith(f"{_AAVATAR}/head/")]


def _character(drawing: str) -> str:
    return drawing.partition("/")[0]


def _layers(drawing: str, heads: Sequence[str]) -> list[Layers]:
    """Return a face, or one per head for features that lie on heads."""
    return [(h, drawing) for h in heads] if _character(drawing) == _AAVATAR else [(drawing,)]


def _rendered(faces: Sequence[Layers], random: np.random.Generator | None = None) -> ImageSet:
    """Render faces; with `random` each turned, moved and scaled a little, before any gray."""
    drawings = [layers[-1] for layers in faces]
    expressions = [{**LABELS, **WIDE}[name.rpartition("/")[2]] for name in drawings]
    ids = ["/".join([d, *(h.rpartition("/")[2] for h in heads)]) for *heads, d in faces]
    return ImageSet(
        images=np.stack([_picture(layers, random) for layers in faces]),
        labels=np.array([BASIC_EXPRESSIONS.index(e) for e in expressions], dtype=np.int64),
        # with disgust, which nobody draws, so that networks for photos go on with all their parts
        expressions=BASIC_EXPRESSIONS,
        ids=tuple(ids if random is None else (f"{name}#{i}" for i, name in enumerate(ids))),
        subjects=tuple(map(_character, drawings)),
        sequences=tuple(drawings),
    )


def _picture(layers: Layers, random: np.random.Generator | None) -> Image:
    background, turn, across, shift = _BACKGROUND, complex(1), 1, 0j
    if random is not None:
        background = int(random.integers(120, 256))
        turn = cmath.rect(random.uniform(0.92, 1.08), math.radians(random.uniform(-8, 8)))
        across = int(random.choice((-1, 1)))  # -1 mirrors
        shift = complex(*random.uniform(-3, 3, 2))
    # from pixels of the picture to those of a tile, whose middle it shows
    a, b, d, e = turn.real * across, -turn.imag, turn.imag * across, turn.real
    origin = complex(TILE, TILE) / 2 + shift - complex(a + b, d + e) * FACE / 2
    face = np.full((FACE, FACE), background, dtype=np.int64)
    for name in layers:
        tile = _tiles()[name].transform(
            (FACE, FACE),
            PillowImage.Transform.AFFINE,
            (a, b, origin.real, d, e, origin.imag),
            PillowImage.Resampling.BILINEAR,
        )
        gray, cover = np.asarray(tile, dtype=np.int64).transpose(2, 0, 1)
        face = (gray * cover + face * (255 - cover) + 127) // 255
    return face.astype(np.uint8)


# --- Protocols ---------------------------------------------------------------------------------


def _learnt(
    train: Sequence[str], val: Sequence[str], seed: int, copies: int = _COPIES
) -> tuple[ImageSet, ImageSet]:
    """Return changed renders of the drawings to train on, and those to choose on once each."""
    random = np.random.default_rng(seed)

    def faces(drawing: str, count: int) -> list[Layers]:
        found = _layers(drawing, random.permutation(_heads())[:count].tolist())
        return found * (count // len(found))

    return (
        _rendered([layers for drawing in train for layers in faces(drawing, copies)], random),
        _rendered([layers for drawing in val for layers in faces(drawing, 1)]),
    )


def _by_character(comic: Dataset, seed: int, fold: int) -> Sides:
    images = comic.load("all")
    tested = sorted(set(images.subjects or ()))[fold]
    train, val = (
        [name for name in _drawings(known) if _character(name) != tested]
        for known in (LABELS, WIDE)
    )
    own = np.array([name == tested for name in images.subjects or ()])
    return *_learnt(train, val, seed), images.take(own)


def _random(comic: Dataset, seed: int, fold: int) -> Sides:
    images = comic.load("all")
    own = shuffled(images, seed) % _FOLDS == fold
    test = images.take(own)
    train = [name for name in _drawings(LABELS) if name not in test.ids]
    return *_learnt(train, _drawings(WIDE), seed), test


def _by_style(comic: Dataset, seed: int, fold: int) -> Sides:
    own, wide = (
        [name for name in _drawings(known) if _character(name) == _AAVATAR]
        for known in (LABELS, WIDE)
    )
    tested = f"{_AAVATAR}/{_STYLES[fold]}/"
    train, val = ([n for n in names if not n.startswith(tested)] for names in (own, wide))
    test = [layers for name in own if name not in train for layers in _layers(name, _heads())]
    return *_learnt(train, val, seed, copies=len(_heads())), _rendered(test)


def _from_elsewhere(comic: "Comic", seed: int, fold: int, *, name: str) -> Sides:
    train, val = (open_dataset(name, comic.root).load(side) for side in ("train", "val"))
    disgust = BASIC_EXPRESSIONS.index(Expression.DISGUST)
    return train.take(train.labels != disgust), val.take(val.labels != disgust), comic.load("all")


_PROTOCOLS = (
    Protocol(
        name="by-character",
        what="train seven characters and aavatar, 12 changed renders a drawing, their drawings of "
        "near names for choosing; test the eighth",
        leaks="characters stand in train and val, none in test; an artist's other characters do",
        divide=_by_character,
        folds=_FOLDS,
    ),
    Protocol(
        name="random",
        what="as by-character, but test an eighth of the 97 drawings, at random",
        leaks="characters, and drawings that differ little, stand on both sides",
        divide=_random,
        folds=_FOLDS,
    ),
    Protocol(
        name="by-style",
        what="train two of aavatar's styles, test the third, on 27 heads each",
        leaks="all heads stand on both sides; only the features are drawn in another style",
        divide=_by_style,
        folds=len(_STYLES),
    ),
    Protocol(
        name="zero-shot",
        what="train and choose on FER2013 without disgust, below the root; test the 97 drawings",
        leaks=None,
        divide=partial(_from_elsewhere, name="fer2013"),
    ),
    Protocol(
        name="from-drawn",
        what="train and choose on the drawn faces without disgust; test the 97 drawings",
        leaks=None,
        divide=partial(_from_elsewhere, name="drawn"),
    ),
)


# --- Reader ------------------------------------------------------------------------------------


class Comic(Dataset):
    """Eight characters, every drawing once, on plain gray.

    Args:
        root: Not used by the faces, which come with the package; where ``zero-shot`` finds FER2013.
        wide: Also the drawings that `WIDE` names: 144 instead of 97.
        aavatar: Also the ninth character, whose 30 drawings of eyes, brows and mouth (wide: 48), in
            three styles, lie on each of 27 heads.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="comic",
        title="Comic characters (comicgen 1.9.9)",
        source="comes with deepfer; made by tools/make_comic.py from the npm package comicgen",
        licence="CC0 1.0; LICENSE-COMIC.txt beside the reader has the package's list and credits.",
        citation="Drawings from comicgen 1.9.9 (Gramener) by Ramya Mylavarapu, Devarani B, Swetha "
        "Mylavarapu, Renel McCullum and Shawf Designs, CC0.",
        layout=("none: nothing is read",),
        labels=LABELS,
        counts={"all": 97},
        groups="character",
        interval_over_groups=True,
        faults=(
            "no disgust, and little fear and neutral",
            "labels are the names of the drawings, judged by nobody: some are pleasantly "
            "surprised, and fear and shock differ little",
            "four of the eight characters, and a part of aavatar, are by one artist",
        ),
    )
    protocols: ClassVar[tuple[Protocol, ...]] = _PROTOCOLS
    needs_root: ClassVar[bool] = False

    def __init__(
        self, root: Path | None = None, *, wide: bool = False, aavatar: bool = False
    ) -> None:
        self.root, self.wide, self.aavatar = root, wide, aavatar

    def load(self, split: str) -> ImageSet:
        """Render every drawing; see `Dataset.load`."""
        require_split(self, split)
        names = _drawings({**LABELS, **WIDE} if self.wide else LABELS)
        shown = [name for name in names if self.aavatar or _character(name) != _AAVATAR]
        return _rendered([layers for name in shown for layers in _layers(name, _heads())])
