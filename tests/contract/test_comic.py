"""Comic characters: what is shown, and that nothing of what is tested was learnt."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from deepfer.data import open_dataset
from deepfer.data.audit import audit
from deepfer.data.base import ImageSet
from deepfer.data.comic import TILE, Comic
from deepfer.data.protocols import find_protocol
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from small_copies import make_fer2013

COUNTS = {  # angry, disgust, fear, happy, sad, surprise, neutral
    "aryan": (1, 0, 0, 2, 2, 1, 0),
    "bill": (1, 0, 1, 3, 2, 2, 1),
    "sophie": (1, 0, 1, 3, 2, 2, 1),
    "dee": (2, 0, 2, 5, 4, 4, 2),
    "dey": (2, 0, 2, 4, 2, 4, 2),
    "ethan": (2, 0, 2, 4, 4, 3, 2),
    "priya": (1, 0, 1, 3, 2, 2, 1),
    "ringo": (1, 0, 0, 3, 2, 2, 1),
}


def counted(images: ImageSet) -> dict[str, tuple[int, ...]]:
    names = np.array(images.subjects)
    return {
        str(name): tuple(images.take(names == name).counts().values()) for name in np.unique(names)
    }


def test_drawings_per_character_and_expression() -> None:
    images = Comic().load("all")
    assert images.expressions == BASIC_EXPRESSIONS
    assert counted(images) == COUNTS
    every = counted(Comic(aavatar=True).load("all"))
    assert every.pop("aavatar") == tuple(27 * 3 * n for n in (1, 0, 2, 2, 2, 2, 1))
    assert every == COUNTS
    assert len(Comic(wide=True).load("all")) == 144
    assert len(Comic(wide=True, aavatar=True).load("all")) == 144 + 27 * 3 * 16


def test_the_pictures_are_those_that_the_tool_made() -> None:
    assert Comic().load("all").fingerprint() == "fa38974f4dfdac5a"
    folder = resources.files("deepfer.data")
    names = (folder / "comic.txt").read_text(encoding="utf-8").split()
    assert names == sorted(set(names))
    assert "CC0" in (folder / "LICENSE-COMIC.txt").read_text(encoding="utf-8")


def test_faces_are_faces_on_gray() -> None:
    images = Comic(aavatar=True).load("all")
    assert len({x.tobytes() for x in images.images}) == len(images)
    assert all(x.std() > 20 for x in images.images)
    bill = images.images[images.ids.index("bill/neutral")]
    assert bill[-1, 0] == 200
    assert TILE > bill.shape[0] == bill.shape[1] == 96


@pytest.mark.parametrize("name", [p.name for p in Comic.protocols if p.name != "zero-shot"])
def test_no_drawing_stands_on_two_sides(name: str) -> None:
    split = find_protocol("comic", name).split(None)
    sequences = [set(images.sequences or ()) for images in split.sides.values()]
    assert sequences[2]
    assert sum(map(len, sequences)) == len(set.union(*sequences))


def test_nothing_of_a_character_stands_on_both_sides() -> None:
    protocol = find_protocol("comic", "by-character")
    seen: list[str] = []
    for fold in range(protocol.folds):
        sides = protocol.split(None, fold=fold).sides
        (tested,) = set(sides["test"].subjects or ())
        others = set(COUNTS) - {tested} | {"aavatar"}
        assert set(sides["train"].subjects or ()) == others
        assert set(sides["val"].subjects or ()) <= others
        assert len(sides["train"]) == 12 * (97 + 30 - len(sides["test"]))
        assert all(
            overlap.images == 0
            for overlap in audit(sides)
            if overlap.second == "test" and overlap.kind != "near copies, exact ones aside"
        )
        seen += sides["test"].ids
    assert sorted(seen) == sorted(Comic().load("all").ids)


def test_at_random_every_drawing_is_tested_once() -> None:
    protocol = find_protocol("comic", "random")
    sides = [protocol.split(None, seed=3, fold=f).sides for f in range(protocol.folds)]
    assert sorted(n for s in sides for n in s["test"].ids) == sorted(Comic().load("all").ids)
    assert set(sides[0]["test"].subjects or ()) < set(sides[0]["train"].subjects or ())


def test_a_style_is_tested_on_all_heads() -> None:
    sides = find_protocol("comic", "by-style").split(None, fold=1).sides
    assert [len(s) for s in sides.values()] == [2 * 10 * 27, 2 * 6, 10 * 27]
    assert all(name.startswith("aavatar/strokes/") for name in sides["test"].ids)
    assert not any(name.startswith("aavatar/strokes/") for name in sides["train"].ids)


def test_faces_from_elsewhere_are_learnt_without_disgust(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fer2013: say where the data is with --root"):
        find_protocol("comic", "zero-shot").split(None)
    make_fer2013(tmp_path)
    for name, root in (("zero-shot", tmp_path), ("from-drawn", None)):
        sides = find_protocol("comic", name).split(root).sides
        assert len(sides["test"]) == 97
        assert sides["train"].counts()[Expression.DISGUST] == 0
        assert sides["train"].counts()[Expression.HAPPY] > 0


def test_changed_renders_follow_the_seed() -> None:
    protocol = find_protocol("comic", "by-character")
    one, same, other = (protocol.split(None, seed=s).to_json()["train"] for s in (0, 0, 1))
    assert one == same
    assert one["fingerprint"] != other["fingerprint"]


def test_the_root_is_not_needed_for_the_faces(tmp_path: Path) -> None:
    here = open_dataset("comic", tmp_path).load("all")
    assert here.fingerprint() == open_dataset("comic", None).load("all").fingerprint()
