"""Whole runs: reproducible, resumable after a kill at any moment, and the same over processes."""

import csv
import json
import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import train_recipe as train
from deepfer.classify import Classifier
from deepfer.errors import CheckpointError, DataError, DivergedError, InputError, RecipeError
from deepfer.files import claimed
from deepfer.training import checkpoint
from deepfer.training.average import average
from deepfer.training.export import export
from deepfer.training.recipe import (
    Augment,
    Distill,
    Loss,
    Optimizer,
    Recipe,
    load_recipe,
)
from small_copies import make_fer2013

pytestmark = pytest.mark.usefixtures("drawn_once")

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


def test_two_runs_in_one_folder(recipe: Recipe, tmp_path: Path) -> None:
    with claimed(tmp_path / "run"), pytest.raises(InputError, match="another deepfer is writing"):
        train(recipe, root=None, run=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_resume_ends_where_an_undisturbed_run_ends(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = replace(recipe, ema=0.9, loss=Loss(dense_penalty=1e-4), augment=Augment(mixup=0.2))
    train(full, root=None, run=tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(full, root=None, run=tmp_path / "parts", after_epoch=stop)
    train(full, root=None, run=tmp_path / "parts", resume=True)
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_resumes_to_nothing(recipe: Recipe, tmp_path: Path) -> None:
    best = train(recipe, root=None, run=tmp_path)
    before = (tmp_path / checkpoint.LAST).read_bytes()
    assert train(recipe, root=None, run=tmp_path, resume=True) == best
    assert (tmp_path / checkpoint.LAST).read_bytes() == before


def test_finished_weights_are_never_overwritten(recipe: Recipe, tmp_path: Path) -> None:
    """As in the folder of an average, or of a table's cell: weights without a state."""
    run = tmp_path / "run"
    train(recipe, root=None, run=run)
    (run / "last.safetensors").unlink()
    before = (run / "best.safetensors").read_bytes()
    for own, resume in ((recipe, False), (replace(recipe, seed=99), True)):
        with pytest.raises(CheckpointError, match="holds weights and nothing to go on from"):
            train(own, root=None, run=run, resume=resume)
    assert (run / "best.safetensors").read_bytes() == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_lost_weights_are_told_before_any_work(
    recipe: Recipe, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    train(recipe, root=None, run=tmp_path)
    damage(tmp_path / "best.safetensors")
    with pytest.raises(CheckpointError, match=r"best\.safetensors is missing or damaged"):
        train(recipe, root=None, run=tmp_path, resume=True)


def test_a_diverged_training_is_no_success(recipe: Recipe, tmp_path: Path) -> None:
    wild = replace(recipe, optimizer=Optimizer(name="sgd", lr=1e6))
    with pytest.raises(DivergedError, match=r"epoch \d: the loss is .*(nan|inf).*; lower "):
        train(wild, root=None, run=tmp_path)


def test_others_may_read_the_weights(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, root=None, run=tmp_path)
    modes = {
        (tmp_path / n).stat().st_mode
        for n in ("recipe.json", "best.safetensors", "last.safetensors")
    }
    assert len(modes) == 1


def test_learning_happens(tmp_path: Path) -> None:
    half = "model_options.widths=[16, 32, 48, 64, 96, 96, 128]"
    recipe = load_recipe("drawn_deepfer_fast", ["epochs=6", half])
    rows: list[dict[str, Any]] = []
    best = train(recipe, root=None, run=tmp_path, after_epoch=rows.append)
    assert best is not None
    assert best.figures["val_accuracy"] > 0.9
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert best.figures["val_accuracy"] == max(float(r["val_accuracy"]) for r in metrics(tmp_path))


def test_a_run_can_start_from_another(recipe: Recipe, tmp_path: Path) -> None:
    train(recipe, root=None, run=tmp_path / "first")
    still = replace(recipe, init=str(tmp_path / "first"), optimizer=Optimizer(lr=1e-9), epochs=1)
    train(still, root=None, run=tmp_path / "second")
    first, second = (load_file(tmp_path / n / checkpoint.BEST) for n in ("first", "second"))
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], atol=1e-6, rtol=0)
    train(replace(still, reset=("classifier",)), root=None, run=tmp_path / "third")
    third = load_file(tmp_path / "third" / checkpoint.BEST)
    for name, tensor in first.items():
        same = torch.allclose(tensor, third[name], atol=1e-6, rtol=0)
        assert same != name.startswith("classifier"), name


def test_frozen_parts_keep_their_weights(tmp_path: Path) -> None:
    """To the bit and with their batch norms, also in the averaged weights; the others learn."""
    recipe = load_recipe("drawn_deepfer_fast", [*TINY, "epochs=1", "ema=0.9"])
    train(recipe, root=None, run=tmp_path / "first")
    frozen = ("attention", "convolutions")
    own = replace(recipe, init=str(tmp_path / "first"), freeze=frozen)
    train(own, root=None, run=tmp_path / "second")
    first, second = (load_file(tmp_path / n / checkpoint.BEST) for n in ("first", "second"))
    for name, tensor in first.items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, second[name]) == name.startswith(frozen), name


def test_teachers_change_what_is_learnt(recipe: Recipe, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    train(recipe, root=None, run=teacher)
    distill = Distill(teachers=(str(teacher),), weight=0.7, temperature=2.0, mirror=True)
    train(replace(recipe, distill=distill), root=None, run=tmp_path / "student")
    train(replace(recipe, distill=replace(distill, weight=0.0)), root=None, run=tmp_path / "alone")
    losses = [metrics(tmp_path / n)[-1]["train_loss"] for n in ("teacher", "alone", "student")]
    assert losses[0] == losses[1]
    assert losses[2] != losses[1]


def test_teachers_that_look_once_agree_where_nothing_changes(
    recipe: Recipe, tmp_path: Path
) -> None:
    train(recipe, root=None, run=tmp_path / "teacher")
    distill = Distill(teachers=(str(tmp_path / "teacher"),), weight=0.7, mirror=True)
    always, once = (replace(distill, plain=plain) for plain in (False, True))
    for name, options, change in (
        ("always", always, Augment()),
        ("once", once, Augment()),
        ("moved", once, Augment(shift=0.2)),
        ("blended", once, Augment(mixup=0.5)),
    ):
        own = replace(recipe, distill=options, augment=change)
        train(own, root=None, run=tmp_path / name)
    loss = {
        n: metrics(tmp_path / n)[-1]["train_loss"] for n in ("always", "once", "moved", "blended")
    }
    assert float(loss["always"]) == pytest.approx(float(loss["once"]), rel=1e-6)
    assert float(loss["moved"]) != pytest.approx(float(loss["once"]), rel=1e-5)
    assert float(loss["blended"]) != pytest.approx(float(loss["once"]), rel=1e-5)


def test_averaged_weights(recipe: Recipe, tmp_path: Path) -> None:
    train(replace(recipe, epochs=1), root=None, run=tmp_path / "start")
    start = str(tmp_path / "start")
    for name, seed in (("a", 1), ("b", 2)):
        own = replace(recipe, seed=seed, epochs=1, init=start)
        train(own, root=None, run=tmp_path / name)
    about = average([tmp_path / "a", tmp_path / "b"], tmp_path / "mean", root=None)
    a, b, mean = (load_file(tmp_path / n / checkpoint.BEST) for n in ("a", "b", "mean"))
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, ((a[name].double() + b[name]) / 2).to(tensor.dtype))
    _, description = checkpoint.load_network(tmp_path / "mean")
    assert len(set(description.averaged)) == 2
    assert 0 <= about.figures["val_accuracy"] <= 1
    alone = average([tmp_path / "a"], tmp_path / "alone", root=None)
    stored = checkpoint.load(tmp_path / "a" / checkpoint.BEST)[1]
    assert alone.figures["val_accuracy"] == pytest.approx(stored["val_accuracy"], abs=0.02)
    both = average([start, tmp_path / "a"], tmp_path / "both", root=None)  # what it started from
    assert len(both.averaged) == 2
    with pytest.raises(CheckpointError, match="already"):
        average([tmp_path / "a"], tmp_path / "alone", root=None)
    other = replace(recipe, model_options={"localization": "3x3-3x3"}, epochs=1)
    train(other, root=None, run=tmp_path / "other")
    with pytest.raises(CheckpointError, match="model_options differs"):
        average([tmp_path / "a", tmp_path / "other"], tmp_path / "no", root=None)
    train(replace(recipe, seed=3, epochs=1), root=None, run=tmp_path / "far")
    with pytest.raises(CheckpointError, match="same weights"):
        average([tmp_path / "a", tmp_path / "far"], tmp_path / "no", root=None)


def test_other_forms_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    train(replace(recipe, epochs=1), root=None, run=tmp_path / "first")
    for change in (
        {"init": str(tmp_path / "first")},
        {"distill": Distill(teachers=(str(tmp_path / "first"),), weight=0.5)},
    ):
        wide = {"localization": "3x3-3x3"} if "init" in change else {"input_size": 256}
        model = "deep_emotion" if "init" in change else "deepfer"
        other = replace(recipe, model=model, model_options=wide, **change)
        with pytest.raises(CheckpointError, match=r"another form|pixels"):
            train(other, root=None, run=tmp_path / "second")


def test_a_cpu_without_bfloat16_trains_in_float32_and_says_so(
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    for asked in ("float32", "auto", "bfloat16"):
        train(replace(recipe, precision=asked), root=None, run=tmp_path / asked)
        environment = json.loads((tmp_path / asked / "environment.json").read_text())
        assert environment["precision"] == "torch.float32"
        assert ("training in float32" in capsys.readouterr().err) == (asked == "bfloat16")
        assert metrics(tmp_path / asked) == metrics(tmp_path / "float32")


def test_votes_in_bfloat16(tmp_path: Path) -> None:
    """The second head learns, and only the first is kept."""
    make_fer2013(tmp_path)
    recipe = load_recipe("fer2013_deepfer_fast_first", ["epochs=1", "batch_size=5"])
    best = train(recipe, root=tmp_path, run=tmp_path / "run")
    assert best is not None
    weights = load_file(tmp_path / "run" / checkpoint.BEST)
    assert not [name for name in weights if "votes" in name]


def test_what_people_see_in_bad_light_becomes_a_model(tmp_path: Path) -> None:
    make_fer2013(tmp_path / "data")
    changes = [
        "init=",
        "reset=[]",
        "epochs=1",
        "batch_size=4",
        "dataset_options.exclude_faults=false",
        "degrade.cover=0.5",
    ]
    recipe = load_recipe("ferplus_deepfer_fast", changes)
    train(recipe, root=tmp_path / "data", run=tmp_path / "run")
    target = tmp_path / "m.onnx"
    info, _ = export(tmp_path / "run", target, name="m", root=tmp_path / "data")
    assert info.input.standardize
    assert 0 < info.set_mass <= 1
    assert Classifier(target).info == info
    blind = replace(recipe, dataset_options={})
    with pytest.raises(DataError, match="perceived=true"):
        train(blind, root=tmp_path / "data", run=tmp_path / "blind")


@pytest.mark.parametrize(
    ("change", "error", "expected"),
    [
        ({"loss": Loss(votes=1.0)}, DataError, "no votes file"),
        ({"init": "nowhere"}, CheckpointError, "not a readable checkpoint"),
        ({"model_options": {"dropouts": 1}}, RecipeError, "dropouts"),
        ({"freeze": ("trunk",)}, RecipeError, "its parts: .*classifier"),
        ({"freeze": ("",)}, RecipeError, "freeze: the network has no part ''"),
    ],
)
def test_recipes_that_cannot_run(
    recipe: Recipe, tmp_path: Path, change: dict[str, Any], error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        train(replace(recipe, **change), root=None, run=tmp_path)


def test_freezing_everything_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    train(replace(recipe, epochs=1), root=None, run=tmp_path / "first")
    network, _ = checkpoint.load_network(tmp_path / "first")
    everything = tuple(name for name, _ in network.named_children())
    own = replace(recipe, init=str(tmp_path / "first"), freeze=everything)
    with pytest.raises(RecipeError, match="nothing is left to train"):
        train(own, root=None, run=tmp_path / "second")


def command(run: Path, *extra: str) -> list[str]:
    options = [word for value in (*TINY, *extra) for word in ("--set", value)]
    return ["-m", "deepfer", "train", "drawn_deep_emotion", "--out", str(run), "--resume", *options]


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """kill -9 whenever, resume, and the end is that of an undisturbed run."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    own = load_recipe("drawn_deep_emotion", [*TINY, "epochs=12", "ema=0.9"])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["deepfer.training.loop"])  # to kill trainings, not imports

    def training(folder: Path) -> multiprocessing.process.BaseProcess:
        options = {"root": None, "run": folder, "resume": True}
        process = context.Process(target=train, args=(own,), kwargs=options, daemon=True)
        process.start()
        return process

    training(tmp_path / "warm").join()  # which waits for the imports
    started = time.monotonic()
    training(undisturbed).join()
    duration = time.monotonic() - started
    moments = random.Random(0)  # noqa: S311
    for _ in range(10):
        process = training(disturbed)
        process.join(moments.uniform(0.2, 0.9) * duration)
        process.kill()
        process.join()
    last = training(disturbed)
    last.join()
    assert last.exitcode == 0
    assert metrics(undisturbed) == metrics(disturbed)
    assert_same_weights(undisturbed, disturbed)
    assert [p.name for p in disturbed.iterdir() if "partial" in p.name] == []


def in_two_processes(*arguments: str | Path) -> None:
    """Run Python under torchrun, and expect it to end well."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


THREADS = """
from pathlib import Path
from torch import nn
from deepfer.training.distributed import processes

with processes() as process:
    network = process.wrap(nn.Linear(2, 2))
    network.itself = network  # a cycle, as a run has
    del network
    process.wait()
names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
assert not any("gloo" in name for name in names), names
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads Linux's list of threads")
def test_no_thread_of_the_group_is_left(tmp_path: Path) -> None:
    """One that were would sometimes abort the process while Python ends."""
    script = tmp_path / "threads.py"
    script.write_text(THREADS)
    in_two_processes(script)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """torchrun with two gloo processes: half the batch each, the same gradients in sum."""
    extra = ("epochs=2", "model_options.dropout=0.0")
    in_two_processes(*command(tmp_path / "two", *extra, "batch_size=32"))
    train(load_recipe("drawn_deep_emotion", [*TINY, *extra]), root=None, run=tmp_path / "one")
    one, two = (load_file(tmp_path / n / checkpoint.LAST) for n in ("one", "two"))
    for name, tensor in one.items():
        if name.startswith("objective."):
            torch.testing.assert_close(tensor, two[name], atol=2e-3, rtol=0)
    _, description = checkpoint.load(tmp_path / "two" / checkpoint.BEST)
    counts = torch.tensor(description["val_confusion"])
    assert counts.sum() == 8 * 7 * 1  # every validation image once
    accuracy = float(counts.trace() / counts.sum())
    assert accuracy == pytest.approx(description["val_accuracy"])
