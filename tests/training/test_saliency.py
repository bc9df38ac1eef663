"""Saliency as a training option: its pieces, and short runs of every variant."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import train_recipe as train
from deepfer.bench.run import run_cell
from deepfer.bench.table import Cell, load_table
from deepfer.data import open_dataset
from deepfer.errors import CheckpointError
from deepfer.training import checkpoint
from deepfer.training.build import training_sets
from deepfer.training.export import export
from deepfer.training.recipe import Recipe, Saliency, load_recipe
from deepfer.training.saliency import FIRST, SaliencyView, box, dimmed, hard_weight, soft_weight

pytestmark = pytest.mark.usefixtures("drawn_once")

VARIANTS = ("mean", "box", "soft", "hard")


def test_weights() -> None:
    values = np.linspace(0, 0.5, 48 * 48, dtype=np.float32).reshape(48, 48)
    soft, hard = soft_weight(values, 0.25), hard_weight(values, 0.25)
    assert (soft.min(), soft.max()) == (pytest.approx(0.25), pytest.approx(1))
    assert set(np.unique(hard)) == {0.25, 1}
    assert (hard == 1).mean() == pytest.approx(0.5)
    assert hard[-1, -1] == 1
    mostly_zero = np.zeros((48, 48), dtype=np.float32)
    mostly_zero[:4] = 1
    kept = hard_weight(mostly_zero, 0.25)
    assert (kept == 1).mean() == pytest.approx(0.5)
    assert (kept[:4] == 1).all()


def test_dimming_keeps_the_mean_and_lowers_contrast() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    np.testing.assert_array_equal(dimmed(face, np.ones((48, 48), np.float32)), face)
    gray = dimmed(face, np.zeros((48, 48), np.float32))
    assert (gray == round(face.mean())).all()


def test_the_box_of_a_map() -> None:
    values = np.zeros((48, 48), dtype=np.float32)
    values[10:20, 5:9] = 1
    values[30, 30] = 0.4
    assert box(values) == (10, 20, 5, 9)


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe(
        "drawn_deep_emotion",
        [
            "epochs=1",
            "dataset_options.per_class=3",
            "batch_size=64",
            "saliency.patch=24",
            "saliency.stride=24",
        ],
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant: str, recipe: Recipe, tmp_path: Path) -> None:
    own = replace(recipe, saliency=replace(recipe.saliency, variant=variant))
    train(own, root=None, run=tmp_path)
    assert (tmp_path / FIRST / checkpoint.BEST).exists()
    train_set, _ = training_sets(own, None)
    assert list((tmp_path / FIRST).glob(f"saliency-24-24-{train_set.fingerprint()}.npz"))
    images = open_dataset("drawn", None, per_class=3).load("test")
    view = SaliencyView(own.saliency, tmp_path / FIRST, train_set)
    seen = view(images)
    assert seen.ids == images.ids
    assert np.asarray(seen.images).shape == (56, 48, 48)
    if variant != "box":  # which may be the whole face after one epoch
        assert not np.array_equal(np.asarray(seen.images), np.asarray(images.images))
    # the true label of a test image is not used
    other = view(replace(images, labels=(images.labels + 1) % 7))
    np.testing.assert_array_equal(np.asarray(seen.images), np.asarray(other.images))
    train(own, root=None, run=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="weighted by another network"):
        export(tmp_path, tmp_path / "m.onnx", name="m", root=None)


def test_a_row_with_saliency(tmp_path: Path) -> None:
    row = (
        '[[methods]]\ntitle = "{}"\noptions.recipe = "drawn_deep_emotion"\noptions.set = {}\n'
        "on.random = {{}}\n"
    )
    saliency = ["saliency.variant=box", "saliency.patch=24", "saliency.stride=24"]
    (tmp_path / "t.toml").write_text(
        'title = "t"\ndataset = "drawn"\n'
        + row.format("plain", ["epochs=1"])
        + row.format("box", ["epochs=1", *saliency])
    )
    table = load_table(str(tmp_path / "t.toml"))
    plain, boxed = (Cell(row, 0, 0) for row in table.rows)
    for name, runs in (("alone", [boxed]), ("together", [plain, boxed])):
        for cell in runs:
            run_cell(table, cell, root=None, results=tmp_path / name)
    alone, together = (boxed.folder(tmp_path / name) for name in ("alone", "together"))
    assert (alone / "run" / FIRST).exists()
    assert not (together / "run" / FIRST).exists()  # the plain row's network looked first
    same = [(folder / "predictions.csv").read_text() for folder in (alone, together)]
    assert same[0] == same[1]


def test_without_saliency_nothing_is_trained_twice(recipe: Recipe, tmp_path: Path) -> None:
    train(replace(recipe, saliency=Saliency()), root=None, run=tmp_path)
    assert not (tmp_path / FIRST).exists()
