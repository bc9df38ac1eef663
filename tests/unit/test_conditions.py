"""Conditions: pictures in, pictures out, the same by seed, and worse where they say so."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from deepfer import Recognizer
from deepfer.data import open_dataset
from deepfer.data.drawing import draw_face
from deepfer.evaluation.conditions import CONDITIONS, generator, on_canvas
from deepfer.evaluation.robustness import (
    CLEAN,
    ModelSubject,
    Robustness,
    Row,
    measure,
    nearest,
    sample,
)
from deepfer.evaluation.robustness import changed as under
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from deepfer.types import Image

FACE = draw_face(Expression.HAPPY, "ada", size=64).image
GRAY = np.asarray(PillowImage.fromarray(FACE).convert("L"))
SHAPES = [(48, 48), (37, 61), (61, 37, 3), (1, 1), (1, 5, 3), (7, 1)]


def changed(name: str, image: Image, seed: int = 0) -> list[Image]:
    levels = CONDITIONS[name].levels.values()
    return [change(image, generator(seed, name, "id")) for change in levels]


def distances(pictures: Sequence[Image], image: Image) -> list[float]:
    """How far pictures are from `image`, at its size."""
    size = (image.shape[1], image.shape[0])
    same = [np.asarray(PillowImage.fromarray(x).resize(size)).astype(float) for x in pictures]
    return [float(np.abs(x - image).mean()) for x in same]


def test_every_condition_has_five_severities_and_the_ones_that_are_promised() -> None:
    assert {len(condition.levels) for condition in CONDITIONS.values()} == {5}
    promised = {
        "light": {"x 0.25", "x 0.5"},
        "gamma": {"0.5", "2"},
        "noise": {"25"},
        "size": {"16", "12"},
        "blur": {"3"},
        "JPEG": {"5"},
        "cover": {"mask", "sunglasses", "hand", "half"},
    }
    assert all(levels <= set(CONDITIONS[name].levels) for name, levels in promised.items())


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_picture_gives_a_picture(name: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    kept = image.copy()
    for picture in changed(name, image):
        assert picture.dtype == np.uint8
        colors = image.shape[2:] if name != "gray cast" else ()
        assert picture.shape[2:] == colors
        if name not in {"size", "whole path"}:
            assert picture.shape[:2] == image.shape[:2]
    assert (image == kept).all()


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_seed_decides(name: str) -> None:
    first, again, other = (changed(name, GRAY, seed) for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    fixed = {"light", "gamma", "blur", "JPEG", "size", "contrast"}
    same = all((a == b).all() for a, b in zip(first, other, strict=True))
    assert same == (name in fixed)


@pytest.mark.parametrize(
    "name",
    ["side light", "blur", "motion blur", "noise", "JPEG", "size", "roll", "contrast", "fog",
     "gray cast"],
)  # fmt: skip
def test_later_severities_are_worse(name: str) -> None:
    far = distances(changed(name, GRAY), GRAY)
    assert far[0] > 0
    assert far == sorted(far)
    assert far[-1] > 1.5 * far[0]


def test_light_and_gamma_go_from_one_side_to_the_other() -> None:
    means = [picture.mean() for picture in changed("light", GRAY)]
    assert means == sorted(means)
    assert means[1] == pytest.approx(GRAY.mean() / 4, abs=1)
    assert changed("light", GRAY)[3].max() == 255  # and nothing has come round past white
    means = [picture.mean() for picture in changed("gamma", GRAY)]
    assert means == sorted(means, reverse=True)


def test_units_are_what_they_say() -> None:
    flat = np.full((128, 128), 128, dtype=np.uint8)
    noise = changed("noise", flat)[3].astype(float) - 128
    assert noise.std() == pytest.approx(25, abs=0.5)
    colored = changed("noise", np.dstack([flat] * 3))[3]
    assert (colored[:, :, 0] == changed("noise", flat)[3]).all()  # sigma is that of the gray
    dot = np.zeros((129, 128), dtype=np.uint8)
    dot[64, 64] = 255
    lines = np.repeat(dot.max(axis=0)[None], 9, axis=0)
    blurred = changed("blur", lines)[2][4].astype(float)
    x = np.arange(128)
    assert np.sqrt((blurred * (x - 64) ** 2).sum() / blurred.sum()) == pytest.approx(3, abs=0.1)
    assert [p.shape[1] for p in changed("size", GRAY)] == [40, 32, 24, 16, 12]
    small = GRAY[:10, :10]
    assert all((p == small).all() for p in changed("size", small))
    ratio = changed("side light", np.full((64, 64), 250, dtype=np.uint8))[2]
    assert ratio.max() / ratio.min() == pytest.approx(4, rel=0.05)


def test_covers_hide_what_they_say_and_nothing_else() -> None:
    face = np.full((48, 48), 120, dtype=np.uint8)
    hair, glasses, _, mask, half = (p != 120 for p in changed("cover", face))
    assert hair[3].all()
    assert not hair[30:].any()
    assert glasses[18, 14:34].all()
    assert not glasses[28:].any()
    assert mask[35, 15:33].all()
    assert not mask[:22].any()
    assert half.mean() == pytest.approx(0.5, abs=0.05)


def test_gray_curves_rise_and_keep_black_and_white() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    for seed in range(20):
        curve = changed("gray cast", ramp, seed)[-1][0].astype(int)
        assert (np.diff(curve) >= 0).all()
        assert (curve[0], curve[-1]) == (0, 255)


class Told:
    """Answers what a function says."""

    name, labels, certainty = "told", BASIC_EXPRESSIONS, 0.5

    def __init__(self, answer: Callable[[Image], int | None]) -> None:
        self._answer = answer

    def searched(self, pictures: Sequence[Image]) -> list[Row | None]:
        answers = [self._answer(picture) for picture in pictures]
        rows = np.eye(7, dtype=np.float32)
        return [None if answer is None else rows[answer] for answer in answers]

    def crops(self, pictures: Sequence[Image]) -> np.ndarray:  # type: ignore[type-arg]
        return np.stack([row for row in self.searched(pictures) if row is not None])


def test_any_callable_can_be_measured() -> None:
    images = open_dataset("drawn", None, per_class=3).load("test")
    happy = BASIC_EXPRESSIONS.index(Expression.HAPPY)
    names = ("light", "whole path")
    result = measure(Told(lambda picture: happy), images, data="drawn", names=names)
    assert result.clean.accuracy == pytest.approx(1 / 7)
    assert result.kept == pytest.approx(1)
    assert result.clean.answers["happy"] == 1
    assert (result.clean.certain, result.clean.certain_right) == (1, result.clean.accuracy)
    assert [cell.severity for cell in result.of("light")] == list(CONDITIONS["light"].levels)
    # a face that is not found is a wrong answer
    big = Told(lambda picture: happy if picture.shape[0] != 80 else None)
    small = measure(big, images, data="drawn", names=("whole path",)).of("whole path")[-1]
    assert (small.found, small.accuracy, small.ece) == (0, 0, None)
    assert (small.certain, small.certain_right) == (None, None)
    # one that always sees what light tells is right on clean faces only
    dark = measure(
        Told(lambda picture: happy if picture.mean() > 60 else 0), images, data="", names=("light",)
    )
    assert dark.of("light")[0].answers["angry"] == 1
    assert isinstance(dark, Robustness)


def test_a_model_is_measured_the_same_twice_and_by_itself() -> None:
    drawn = open_dataset("drawn", None, per_class=3).load("test")
    subject = ModelSubject(Recognizer())
    images = sample(drawn, subject.labels, 12, 5)
    assert images.ids == sample(drawn, subject.labels, 12, 5).ids
    assert images.ids != sample(drawn, subject.labels, 12, 6).ids
    names = ("noise", "whole path")
    first, again = (measure(subject, images, data="d", seed=1, names=names) for _ in range(2))
    assert first == again
    # a picture is changed alike whatever else is measured
    few = images.take(np.arange(3))
    noise = CONDITIONS["noise"].levels["25"]
    whole, part = (list(under(x, "noise", noise, 1)) for x in (images, few))
    assert all((a == b).all() for a, b in zip(whole, part, strict=False))
    assert first.clean.condition == CLEAN


def test_the_face_in_the_middle_counts(astronaut: Path) -> None:
    recognizer = Recognizer()
    photo = np.asarray(PillowImage.open(astronaut).convert("RGB"))
    alone = recognizer.recognize(photo)
    row = nearest(alone)
    assert row is not None
    assert row.tolist() == pytest.approx(list(alone.faces[0].probabilities.values()))
    assert nearest(recognizer.recognize(on_canvas(np.full((48, 48), 90, np.uint8)))) is None
