"""What every method in the table must do, on drawn faces."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from conftest import ROOT
from deepfer.bench.run import run_cell
from deepfer.bench.table import Cell, Row, Table
from deepfer.data.base import ImageSet
from deepfer.data.drawing import CHARACTERS, draw_face
from deepfer.data.drawn import Drawn
from deepfer.errors import DataError
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.methods import create_method, list_methods, method_class
from deepfer.methods.base import NEEDS, Division, Fitted, Method, MethodInfo, Place, missing_needs
from deepfer.methods.network import NetworkMethod
from deepfer.methods.pixels_1nn import Pixels1nn
from deepfer.preprocess import to_gray

EXCEPTIONS = {
    "trained": "learns nothing: its weights may know other expressions",
    "reweighted": "learns nothing: its weights may know other expressions",
    **{
        name: "trains a recipe for minutes; what it does is tested with training"
        for name in list_methods()
        if issubclass(method_class(name), NetworkMethod)
    },
}
OPTIONS: dict[str, dict[str, Any]] = {
    "probe": {"weights": str(ROOT / "benchmarks" / "fer2013_deepfer_fast" / "final")},
    "cnn-svm": {"weights": str(ROOT / "benchmarks" / "fer2013_deepfer_fast" / "final")},
}
"""What a method cannot do without."""

METHODS = [name for name in list_methods() if name not in EXCEPTIONS]


@cache
def faces(first_seed: int, per_class: int) -> ImageSet:
    """Faces of all expressions, with all that a method may need."""
    drawn = [
        (e, CHARACTERS[i % 3], draw_face(e, CHARACTERS[i % 3], seed=first_seed + i).image)
        for e in BASIC_EXPRESSIONS
        for i in range(per_class)
    ]
    labels = np.array([BASIC_EXPRESSIONS.index(e) for e, _, _ in drawn])
    names = tuple(f"{first_seed}-{i}" for i in range(len(drawn)))
    return ImageSet(
        images=np.stack([to_gray(image) for _, _, image in drawn]),
        labels=labels,
        expressions=BASIC_EXPRESSIONS,
        ids=names,
        subjects=tuple(character for _, character, _ in drawn),
        sequences=names,
        votes=np.eye(len(BASIC_EXPRESSIONS), dtype=np.float32)[labels],
    )


def changed(images: ImageSet, start: int) -> ImageSet:
    """The same set with other pixels, other labels and other people from `start` on."""
    n = len(images) - start
    noise = np.random.default_rng(5).integers(0, 256, (n, 48, 48), dtype=np.uint8)
    return replace(
        images,
        images=np.concatenate([images.images[:start], noise]),
        labels=np.concatenate([images.labels[:start], np.zeros(n, dtype=np.int64)]),
        subjects=(images.subjects or ())[:start] + ("nobody",) * n,
    )


def fitted(name: str, folder: Path, train: ImageSet, val: ImageSet) -> Fitted:
    place = Place(Division("drawn", "random", seed=3, fold=0), folder)
    return create_method(name, OPTIONS.get(name, {})).fit(train, val, place)


@cache
def learnt(name: str, folder: Path) -> Fitted:
    return fitted(name, folder, faces(0, 6), faces(100, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("methods")


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_answers_are_probabilities(self, name: str, folder: Path) -> None:
        model, test = learnt(name, folder), faces(200, 2)
        found = model.probabilities(test)
        assert model.labels == BASIC_EXPRESSIONS
        assert found.dtype == np.float32
        assert found.shape == (len(test), len(model.labels))
        assert found.min() >= 0
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        assert (found.argmax(axis=1) == test.labels).mean() > 0.2  # one in seven is chance

    def test_the_order_of_images_does_not_matter(self, name: str, folder: Path) -> None:
        model, test = learnt(name, folder), faces(200, 2)
        order = np.random.default_rng(0).permutation(len(test))
        close(model.probabilities(test.take(order)), model.probabilities(test)[order])

    def test_no_image_that_is_tested_takes_part(self, name: str, folder: Path) -> None:
        """Neither the others beside it, nor those asked about before, nor labels and people."""
        model, test = learnt(name, folder), faces(200, 2)
        own = model.probabilities(test)
        close(model.probabilities(changed(test, 7))[:7], own[:7])
        close(model.probabilities(test.take(np.arange(3))), own[:3])
        close(model.probabilities(test), own)

    def test_the_same_seed_gives_the_same_answers(self, name: str, folder: Path) -> None:
        again = fitted(name, folder, faces(0, 6), faces(100, 2))
        test = faces(200, 2)
        close(again.probabilities(test), learnt(name, folder).probabilities(test))

    def test_an_expression_never_seen_gets_nothing(self, name: str, folder: Path) -> None:
        last = len(BASIC_EXPRESSIONS) - 1
        train, val = (s.take(s.labels != last) for s in (faces(0, 6), faces(100, 2)))
        found = fitted(name, folder, train, val).probabilities(faces(200, 2))
        assert found.shape[1] == last + 1
        assert found[:, last].max() < 1e-3

    def test_what_is_needed_and_missing_is_named(self, name: str, folder: Path) -> None:
        info = method_class(name).info
        assert set(info.needs) <= set(NEEDS)
        bare = replace(faces(200, 2), subjects=None, sequences=None, votes=None)
        assert list(missing_needs(info, bare)) == list(info.needs)
        assert list(missing_needs(info, faces(200, 2))) == []


@pytest.mark.parametrize("name", list_methods())
def test_facts_are_complete(name: str) -> None:
    info = method_class(name).info
    assert info.name == name
    assert info.title
    assert info.what.endswith(".")
    assert bool(info.reference) == (info.year is not None)
    assert not info.deviations.endswith(".")  # the table adds it
    assert info.deviations or not info.published


def test_exceptions_exist() -> None:
    assert set(EXCEPTIONS) | set(OPTIONS) <= set(list_methods())


@dataclass(frozen=True)
class _Needy(Method):
    info: ClassVar[MethodInfo] = MethodInfo(
        name="needy", title="n", what="Needs votes.", needs=("votes",)
    )

    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        raise AssertionError


def test_missing_needs_are_one_line_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Drawn, "load", lambda self, split: replace(faces(0, 6), votes=None))
    row = Row(title="needy", protocol="random", method=_Needy())
    table = Table(name="t", title="t", dataset="drawn", rows=[row])
    with pytest.raises(DataError, match=r"^needy: drawn does not say its votes$"):
        run_cell(table, Cell(row, 0, 0), root=None, results=tmp_path)


def test_a_method_that_looks_at_the_others_is_found_out(folder: Path) -> None:
    """The check above has teeth: answers relative to the images beside them do not pass it."""

    class Peeking(Fitted):
        def __init__(self, model: Fitted) -> None:
            self.model, self.labels = model, model.labels

        def probabilities(self, images: ImageSet) -> Any:
            mean = np.mean(np.asarray(images.images), axis=0)
            beside = np.clip(np.asarray(images.images) - mean + 128, 0, 255).astype(np.uint8)
            return self.model.probabilities(replace(images, images=beside))

    place = Place(Division("drawn", "random", seed=3, fold=0), folder)
    model = Peeking(Pixels1nn().fit(faces(0, 6), faces(100, 2), place))
    test = faces(200, 2)
    own, other = model.probabilities(test), model.probabilities(changed(test, 7))
    assert np.abs(own[:7] - other[:7]).max() > 1e-2
