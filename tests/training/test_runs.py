"""Whole runs: reproducible, resumable after a kill at any moment, and the same over processes."""

import csv
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from deepfer.errors import CheckpointError, DataError, RecipeError
from deepfer.training import checkpoint
from deepfer.training.loop import train
from deepfer.training.recipe import Augment, Distill, Loss, Recipe, load_recipe

TINY = ["dataset_options.per_class=3", "epochs=4", "batch_size=64"]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("drawn_deep_emotion", TINY)


def metrics(run: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (load_file(run / checkpoint.BEST) for run in (one, other))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_same_seed_same_result(recipe: Recipe, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(recipe, root=None, run=tmp_path / name)
    train(replace(recipe, seed=recipe.seed + 1), root=None, run=tmp_path / "c")
    assert metrics(tmp_path / "a") == metrics(tmp_path / "b")
    assert metrics(tmp_path / "a") != metrics(tmp_path / "c")
    assert_same_weights(tmp_path / "a", tmp_path / "b")


def test_resume_ends_where_an_undisturbed_run_ends(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = replace(recipe, ema=0.9, loss=Loss(dense_penalty=1e-4), augment=Augment(mixup=0.2))
    train(full, root=None, run=tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise StoppedError

    with pytest.raises(StoppedError):
        train(full, root=None, run=tmp_path / "parts", announce=stop)
    train(full, root=None, run=tmp_path / "parts", resume=True)
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_resumes_to_nothing(recipe: Recipe, tmp_path: Path) -> None:
    best = train(recipe, root=None, run=tmp_path)
    before = (tmp_path / checkpoint.LAST).read_bytes()
    assert train(recipe, root=None, run=tmp_path, resume=True) == best
    assert (tmp_path / checkpoint.LAST).read_bytes() == before


def test_learning_happens(tmp_path: Path) -> None:
    recipe = load_recipe("drawn_deepfer_fast", ["epochs=6"])
    lines: list[str] = []
    best = train(recipe, root=None, run=tmp_path, announce=lines.append)
    assert best["val_accuracy"] > 0.9
    assert len(lines) == 6
    assert best["val_accuracy"] == max(float(r["val_accuracy"]) for r in metrics(tmp_path))


def test_distillation_and_start_from_weights(recipe: Recipe, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    train(recipe, root=None, run=teacher)
    student = replace(
        recipe,
        init=str(teacher),
        distill=Distill(teachers=(str(teacher),), weight=0.7, temperature=2.0, mirror=True),
    )
    train(student, root=None, run=tmp_path / "student")
    first = metrics(tmp_path / "student")[0]
    assert float(first["val_accuracy"]) >= float(metrics(teacher)[0]["val_accuracy"])


@pytest.mark.parametrize(
    ("change", "error", "expected"),
    [
        ({"loss": Loss(votes=1.0)}, DataError, "no votes file"),
        ({"init": "nowhere"}, CheckpointError, "not a readable checkpoint"),
        ({"model_options": {"dropouts": 1}}, RecipeError, "dropouts"),
    ],
)
def test_recipes_that_cannot_run(
    recipe: Recipe, tmp_path: Path, change: dict[str, Any], error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        train(replace(recipe, **change), root=None, run=tmp_path)


def command(run: Path, *extra: str) -> list[str]:
    options = [word for value in (*TINY, *extra) for word in ("--set", value)]
    return ["-m", "deepfer", "train", "drawn_deep_emotion", "--out", str(run), "--resume", *options]


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """kill -9 whenever, resume, and the end is that of an undisturbed run."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    started = time.monotonic()
    extra = ("epochs=12", "ema=0.9")
    subprocess.run([sys.executable, *command(undisturbed, *extra)], check=True)
    duration = time.monotonic() - started
    moments = random.Random(0)  # noqa: S311
    for _ in range(3):
        process = subprocess.Popen([sys.executable, *command(disturbed, *extra)])
        time.sleep(moments.uniform(0.4, 0.95) * duration)
        process.kill()
        process.wait()
    subprocess.run([sys.executable, *command(disturbed, *extra)], check=True)
    assert metrics(undisturbed) == metrics(disturbed)
    assert_same_weights(undisturbed, disturbed)
    leftovers = [p.name for p in disturbed.iterdir() if "partial" in p.name]
    assert len(leftovers) <= 3  # a kill while writing may leave its own file, never a half one


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    """torchrun with two gloo processes learns, and counts every validation image once."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", *command(tmp_path / "two", "epochs=2")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    rows = metrics(tmp_path / "two")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    _, description = checkpoint.load(tmp_path / "two" / checkpoint.BEST)
    counts = torch.tensor(description["val_confusion"])
    assert counts.sum() == 8 * 7 * 1
    accuracy = float(counts.trace() / counts.sum())
    assert accuracy == pytest.approx(description["val_accuracy"])
