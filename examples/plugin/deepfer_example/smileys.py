"""A data set with a protocol: a reader that gives labelled images."""

from typing import ClassVar

import numpy as np

from deepfer.data.base import Dataset, DatasetInfo, ImageSet, require_split
from deepfer.data.divide import Sides, cut, shuffled
from deepfer.data.protocols import Protocol
from deepfer.labels import Expression

EXPRESSIONS = (Expression.HAPPY, Expression.SAD, Expression.SURPRISE)


def _random(dataset: Dataset, seed: int, fold: int) -> Sides:
    images = dataset.load("all")
    return cut(images, shuffled(images, seed), 60, 15, 15)


class Smileys(Dataset):
    """Ninety smileys: two dots and a mouth, on noise."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="example_smileys",
        title="Smileys",
        source="comes with deepfer-example",
        licence="MIT.",
        citation="none",
        layout=("none: nothing is read",),
        labels={str(e): e for e in EXPRESSIONS},
        counts={"all": 90},
    )
    protocols: ClassVar[tuple[Protocol, ...]] = (
        Protocol(name="random", what="at random 60 / 15 / 15", leaks=None, divide=_random),
    )
    needs_root = False

    def load(self, split: str) -> ImageSet:
        """Draw them all."""
        require_split(self, split)
        random = np.random.default_rng(0)
        labels = np.arange(90) % 3
        return ImageSet(
            images=np.stack([_smiley(EXPRESSIONS[k], random) for k in labels]),
            labels=labels,
            expressions=EXPRESSIONS,
            ids=tuple(f"smiley {i}" for i in range(90)),
        )


def _smiley(expression: Expression, random: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:48, :48] + random.uniform(-2, 2, (2, 1, 1))
    bend = {Expression.HAPPY: -1, Expression.SAD: 1}.get(expression)
    mouth = (
        np.abs(np.hypot(x - 24, y - 34) - 5) < 1.5
        if bend is None
        else (np.abs(y - 34 - bend * ((x - 24) ** 2 / 20 - 2)) < 1.5) & (np.abs(x - 24) < 10)
    )
    eyes = np.hypot(np.abs(x - 24) - 9, y - 18) < 2.5
    face = np.where(mouth | eyes, 40, 200) + random.normal(0, 20, (48, 48))
    return np.clip(face, 0, 255).astype(np.uint8)
