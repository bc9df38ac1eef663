"""Searches: the space, the trials, stopping and going on."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from conftest import Run
from deepfer.bench import tune as module
from deepfer.bench.tune import Search, parse_space, tune
from deepfer.errors import CheckpointError, DivergedError, InputError, RecipeError
from deepfer.files import claimed
from deepfer.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("drawn_once")

SMALL = ("epochs=1", "dataset_options.per_class=3", "batch_size=64")


def test_spaces() -> None:
    space = parse_space(["a=1..8", "b=1e-6..1e-1 log", "c.d=[0, 0.5]", 'e=["sgd", "adam"]'])
    assert space == {
        "a": IntDistribution(1, 8),
        "b": FloatDistribution(1e-6, 1e-1, log=True),
        "c.d": CategoricalDistribution([0, 0.5]),
        "e": CategoricalDistribution(["sgd", "adam"]),
    }


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a=1",
        "b=3..4",
        "a=nan..1",
        'a="text"',
        "a={x = 1}",
        "a=2..1",
        "a=0..1 log",
        "a=[2020-01-01]",
        "a=x..y",
        "a=[1",
        "a=[]",
    ],
)
def test_unclear_spaces(text: str) -> None:
    with pytest.raises(RecipeError, match="not clear"):
        parse_space(["b=1..2", text])


def test_trials_differ_in_seed_and_fold_alone() -> None:
    fixed = ("dataset=ckplus", "protocol=subject-10fold", "fold=9")
    search = Search("published_deepfer_ckplus", fixed, parse_space(["epochs=1..9"]), repeats=2)
    first, second = search.recipes({"epochs": 4})
    assert (first.epochs, first.fold, first.seed, first.split_seed) == (4, 9, 0, 0)
    assert (second.epochs, second.fold, second.seed, second.split_seed) == (4, 0, 1, 1)


def search(*space: str) -> Search:
    return Search("drawn_deep_emotion", SMALL, parse_space(space))


def trials(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))


def test_two_searches_in_one_folder(tmp_path: Path) -> None:
    with claimed(tmp_path), pytest.raises(InputError, match="another deepfer is writing"):
        tune(search("loss.dense_penalty=[0]"), trials=1, root=None, out=tmp_path)


@pytest.mark.slow
def test_choices_are_tried_in_full_and_a_stopped_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = search("loss.dense_penalty=[0, 0.01, 1.0]")
    original, calls = module.train, []

    def stopped(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(module, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        tune(plan, trials=1, root=None, out=tmp_path)
    assert len(trials(tmp_path)) == 1
    said = tune(plan, trials=1, root=None, out=tmp_path)
    values = [float(t["loss.dense_penalty"]) for t in trials(tmp_path)]
    assert sorted(values) == [0, 0.01, 1.0]
    assert len(calls) == 4
    assert said.startswith("best of 3 trials: loss.dense_penalty=")
    assert (tmp_path / "search.png").stat().st_size > 5000
    assert json.loads((tmp_path / "search.json").read_text())["repeats"] == 1
    assert tune(plan, trials=1, root=None, out=tmp_path) == said
    assert len(calls) == 4
    with pytest.raises(CheckpointError, match="another search"):
        tune(search("loss.dense_penalty=[0, 0.02]"), trials=1, root=None, out=tmp_path)


@pytest.mark.slow
def test_a_trial_that_diverges_is_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = module.train

    def diverging(recipe: Recipe, *sides: Any, **options: Any) -> Any:
        if recipe.loss.dense_penalty:
            raise DivergedError("epoch 1: the loss is nan")
        return original(recipe, *sides, **options)

    monkeypatch.setattr(module, "train", diverging)
    tune(search("loss.dense_penalty=[0, 1.0]"), trials=2, root=None, out=tmp_path)
    states = {t["loss.dense_penalty"]: t["state"] for t in trials(tmp_path)}
    assert states == {"0": "complete", "1.0": "pruned"}


def test_a_damaged_study_is_told(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(CheckpointError, match=r"study\.db: damaged, or no study"):
        tune(search("loss.dense_penalty=[0]"), trials=1, root=None, out=tmp_path)


def test_a_range_from_the_command_line(deepfer: Run, tmp_path: Path) -> None:
    options = [word for change in SMALL for word in ("--set", change)]
    space = ("--search", "loss.dense_penalty=1e-6..1e-1 log")
    for count in (2, 3):
        done = deepfer(
            "tune", "drawn_deep_emotion", *space, *options, "--trials", count, "--out", "study"
        )
        assert done.returncode == 0, done.stderr
    found = trials(tmp_path / "study")
    assert len({t["loss.dense_penalty"] for t in found}) == 3
    assert all(1e-6 <= float(t["loss.dense_penalty"]) <= 1e-1 for t in found)
    bad = deepfer("tune", "drawn_deep_emotion", "--search", "loss.dense=[1]", "--out", "study2")
    assert bad.returncode == 1
    assert "loss.dense" in bad.stderr
    assert not (tmp_path / "study2").exists()
