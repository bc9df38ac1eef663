"""The other verbs, as processes."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from children import child
from conftest import Run
from deepfer.data import list_datasets
from deepfer.data.fer2013 import VOTE_NAMES
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.models import list_models
from deepfer.training import checkpoint
from small_copies import pixel_text

TINY = ["--set", "epochs=2", "--set", "dataset_options.per_class=3"]


def test_info(deepfer: Run) -> None:
    first, second = deepfer("info").stdout.splitlines()
    assert first.startswith("ferplus")
    assert "(default)" in first
    assert second.startswith("fer2013  deepfer_fast-fer2013@3-int8: FER2013")
    assert "prior                angry 13.9%, disgust 1.5%" in deepfer("info", "fer2013").stdout
    assert "known: ferplus, fer2013" in deepfer("info", "none").stderr


def test_lists(deepfer: Run) -> None:
    names = deepfer("data", "list").stdout
    assert all(name in names for name in list_datasets())
    models = deepfer("models").stdout
    assert all(name in models for name in list_models())
    assert "drawn_deep_emotion" in models


@pytest.mark.parametrize("name", list_datasets())
def test_data_info(deepfer: Run, name: str) -> None:
    done = deepfer("data", "info", name)
    assert done.returncode == 0
    for key in ("source", "licence", "citation", "layout", "labels", "splits"):
        assert key in done.stdout


def test_data_check(deepfer: Run, tmp_path: Path) -> None:
    assert deepfer("data", "check", "drawn").returncode == 0
    done = deepfer("data", "check", "fer2013", "--root", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: fer2013: ")
    assert "fer2013.csv not found" in done.stderr
    row = f"0,{pixel_text(0)},Training"
    rows = ["emotion,pixels,Usage", row, f"0,{pixel_text(1)},PublicTest", "0,1 2,PrivateTest"]
    (tmp_path / "fer2013.csv").write_text("\n".join(rows))
    done = deepfer("data", "check", "fer2013", "--root", tmp_path)
    assert "line 4: 2 pixels instead of 2304" in done.stderr
    rows[3] = f"0,{pixel_text(2)},PrivateTest"
    (tmp_path / "fer2013.csv").write_text("\n".join(rows))
    done = deepfer("data", "check", "fer2013", "--root", tmp_path)
    assert done.returncode == 1
    assert "EXPECTED 28709" in done.stdout


def test_data_draw_can_be_read_back(deepfer: Run, tmp_path: Path) -> None:
    done = deepfer("data", "draw", "--out", "faces", "--per-class", 1, "--size", 32)
    assert done.returncode == 0
    faces = list((tmp_path / "faces").glob("[!m]*/*/*.png"))
    assert len(faces) == 56
    assert len(list((tmp_path / "faces" / "masks").rglob("*.png"))) == 56
    done = deepfer("data", "check", "manifest", "--root", "faces")
    assert done.returncode == 0
    assert "images in all" in done.stdout
    assert " 56" in done.stdout


def test_unknown_names(deepfer: Run) -> None:
    for arguments in (("data", "info", "emotionet"), ("train", "fer2013_best")):
        done = deepfer(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("error: unknown ")
        assert "known: " in done.stderr


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        (
            'model = "deep_emotion"\nseed = "one"\nepoch = 3\nbatch_size = 1\n'
            '[optimizer]\nname = "rmsprop"\n',
            ("dataset", "seed", "epoch", "batch_size", "optimizer.name"),
        ),
        (
            'model = "resnet"\ndataset = "drawn"\nepochs = 0\n'
            "[dataset_options]\nsides = 3\n[loss]\nvotes = -1\n[augment]\nflip = 1\n",
            ("model", "epochs", "dataset_options.sides", "loss.votes", "augment.flip"),
        ),
    ],
)
def test_recipe_with_five_mistakes_names_all_five(
    deepfer: Run, tmp_path: Path, recipe: str, named: tuple[str, ...]
) -> None:
    (tmp_path / "bad.toml").write_text(recipe)
    done = deepfer("train", "bad.toml")
    assert done.returncode == 1
    assert "bad.toml: 5 problem(s)" in done.stderr
    for name in named:
        assert f"  {name}: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_train_export_evaluate_predict(deepfer: Run, tmp_path: Path, astronaut: Path) -> None:
    done = deepfer("train", "drawn_deep_emotion", "--out", "run", *TINY)
    assert done.returncode == 0, done.stderr
    assert "validation accuracy" in done.stdout
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert (tmp_path / "run" / "environment.json").exists()
    assert list((tmp_path / "run" / "tensorboard").iterdir())

    again = deepfer("train", "drawn_deep_emotion", "--out", "run", *TINY)
    assert again.returncode == 1
    assert "--resume" in again.stderr
    other = deepfer(
        "train", "drawn_deep_emotion", "--out", "run", *TINY, "--resume", "--set", "seed=5"
    )
    assert other.returncode == 1
    assert "other recipe" in other.stderr

    done = deepfer("export", "run", "--to", "m.onnx", "--name", "mine@1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "differs from torch by" in done.stdout
    assert "mine@1" in deepfer("info", "m.onnx").stdout
    done = deepfer("export", "run", "--to", "small.onnx", "--int8")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "small.onnx").stat().st_size < (tmp_path / "m.onnx").stat().st_size
    done = deepfer("compare", "m.onnx", "small.onnx", "--data", "drawn")
    assert done.returncode == 0, done.stderr
    done = deepfer("evaluate", "--data", "drawn", "--model", "m.onnx", "--out", "result")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "result" / "metrics.json").read_text())
    assert metrics["counts"]["images"] == sum(map(sum, metrics["confusion"])) == 224
    assert (tmp_path / "result" / "predictions.csv").read_text().count("\n") == 225
    assert deepfer("predict", astronaut, "--model", "m.onnx").returncode == 0
    done = deepfer("evaluate", "--data", "drawn", "--model", "m.onnx", "--detected")
    assert done.returncode == 0, done.stderr
    assert "accuracy before detection" in done.stdout

    with_other_data = tmp_path / "run" / "best.safetensors"
    tensors, description = checkpoint.load(with_other_data)
    description["data"]["val"] = "0" * 16
    checkpoint.save(with_other_data, tensors, description)
    done = deepfer("export", "run", "--to", "other.onnx")
    assert done.returncode == 1
    assert "not the data it was trained with" in done.stderr
    assert not (tmp_path / "other.onnx").exists()


def test_evaluate_on_fer2013(
    deepfer: Run, tmp_path: Path, write_fer2013: Callable[..., Path]
) -> None:
    rows: list[tuple[object, str, str]] = [
        (i % 7, pixel_text(i), "Training" if i < 7 else "PrivateTest") for i in range(21)
    ]
    rows[20] = (rows[0][0], rows[0][1], "PrivateTest")
    write_fer2013(tmp_path, [*rows, (0, pixel_text(99), "PublicTest")])
    done = deepfer("evaluate", "--data", "fer2013", "--root", ".", "--out", "result")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "result" / "metrics.json").read_text())
    assert metrics["counts"] == {"images": 14, "images for leak-free accuracy": 13}
    done = deepfer("evaluate", "--data", "fer2013", "--root", ".", "--exclude-faults")
    assert done.returncode == 0, done.stderr
    done = deepfer("evaluate", "--data", "jaffe", "--root", ".", "--exclude-faults")
    assert done.returncode == 1
    assert "jaffe" in done.stderr


def test_evaluate_against_votes(
    deepfer: Run, tmp_path: Path, write_fer2013: Callable[..., Path]
) -> None:
    rows: list[tuple[object, str, str]] = [(3, pixel_text(i), "PrivateTest") for i in range(6)]
    write_fer2013(tmp_path, [(0, pixel_text(50), "Training"), *rows])
    names = ",".join(VOTE_NAMES)
    happy, contempt, split, nothing = ("0,10" + ",0" * 8, "0,0,0,0,0,0,0,10,0,0",
                                       "0,5,5,0,0,0,0,0,0,0", "0,0,0,0,0,0,0,0,0,10")  # fmt: skip
    votes = [happy, happy, happy, contempt, split, nothing]
    lines = [f"Training,,{happy}", *(f"PrivateTest,,{row}" for row in votes)]
    text = "\n".join([f"Usage,Image name,{names}", *lines]) + "\n"
    (tmp_path / "fer2013new.csv").write_text(text)
    done = deepfer("evaluate", "--data", "fer2013", "--root", ".", "--out", "result")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "result" / "metrics.json").read_text())
    figures, counts = content["figures"], content["counts"]
    assert counts["images for FER+ majority accuracy"] == 3
    assert counts["images for FER+ majority of eight accuracy"] == 4  # contempt counts, as missed
    expected = figures["FER+ majority accuracy"] * 3 / 4
    assert figures["FER+ majority of eight accuracy"] == pytest.approx(expected, abs=1e-6)
    with (tmp_path / "result" / "predictions.csv").open() as file:
        faces = list(csv.DictReader(file))
    own = [max(float(face[str(e)]) for e in BASIC_EXPRESSIONS) for face in faces]
    happier = [face["predicted"] == "happy" for face in faces]
    shares = (
        [1.0 * h for h in happier[:3]]
        + [0.0]
        + [0.5 if faces[4]["predicted"] in {"happy", "surprise"} else 0.0]
    )
    gaps = [abs(p - s) for p, s in zip(own, shares, strict=False)]
    # at most the mean distance of each face, and at least that of all of them
    assert abs(sum(own[:5]) - sum(shares)) / 5 - 1e-5 <= figures["FER+ votes ECE"]
    assert figures["FER+ votes ECE"] <= sum(gaps) / 5 + 1e-5
    assert "FER+ majority ECE" in figures


def test_explain_photos(deepfer: Run, tmp_path: Path, astronaut: Path) -> None:
    done = deepfer("explain", astronaut, "--set", "stride=4")
    assert done.returncode == 0, done.stderr
    assert "face 1: happy" in done.stdout
    assert "mouth" in done.stdout
    assert (tmp_path / "explained" / "astronaut-face1.png").stat().st_size > 10_000
    (tmp_path / "bad.jpg").write_text("text")
    done = deepfer(
        "explain", astronaut, "bad.jpg", "--json", "--method", "attention", "--target", "sad"
    )
    assert done.returncode == 3
    assert "bad.jpg" in done.stderr
    content = json.loads(done.stdout)
    assert (content["expression"], content["target"]) == ("happy", "sad")
    assert np.array(content["map"]).shape == (48, 48)
    assert np.array(content["window"]).shape == (4, 2)
    assert sum(content["regions"].values()) == pytest.approx(1, abs=0.01)
    PillowImage.new("L", (64, 64), 90).save(tmp_path / "gray.png")
    done = deepfer("explain", "gray.png")
    assert (done.returncode, done.stdout) == (0, "gray.png: no face\n")
    PillowImage.new("L", (20, 20), 90).save(tmp_path / "tiny.png")
    (tmp_path / "x").mkdir()
    PillowImage.new("L", (20, 20), 70).save(tmp_path / "x" / "tiny.png")
    done = deepfer("explain", "tiny.png", "x/tiny.png", "--no-detect", "--out", "two")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "two").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--method", "gradcam"), "known: occlusion"),
        (("--target", "joy"), "unknown expression 'joy'"),
        (("--set", "patch=99"), "patch 99"),
        (("--set", "patch"), "expected key=value"),
        (("--set", "size=3"), "has no setting size"),
        (("--set", "patch=4.5"), "expected int"),
        (("--root", "x"), "--root, --split"),
        (("--dataset", "drawn"), "only one"),
    ],
)
def test_explain_with_bad_options(
    deepfer: Run, astronaut: Path, arguments: tuple[str, ...], expected: str
) -> None:
    done = deepfer("explain", astronaut, *arguments)
    assert done.returncode in {1, 2}
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_looks_at_its_options_before_any_face(deepfer: Run, tmp_path: Path) -> None:
    PillowImage.new("L", (64, 64), 90).save(tmp_path / "nobody.png")
    for option in (("--method", "gradcam"), ("--target", "joy")):
        done = deepfer("explain", "nobody.png", *option)
        assert done.returncode == 1
        assert "known: " in done.stderr
    done = deepfer("explain", "nobody.png", "--out", "empty")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("more", [(), ("--detected",)])
def test_explain_a_data_set(deepfer: Run, tmp_path: Path, more: tuple[str, ...]) -> None:
    options = ("--per-expression", "1", "--set", "stride=8", "--out", "means", *more)
    done = deepfer("explain", "--dataset", "drawn", *options)
    assert done.returncode == 0, done.stderr
    assert "surprise" in done.stdout
    for name in ("mean_maps.png", "mean_maps.csv", "region_shares.csv"):
        assert (tmp_path / "means" / name).exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_training_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "deepfer", "train", "drawn_deep_emotion", "--out", "run"]
    with child(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / "last.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in stderr
    assert "Traceback" not in stderr


def test_damaged_checkpoints(deepfer_here: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for content in (None, b"", b"garbage"):
        if content is not None:
            (tmp_path / "run" / "best.safetensors").write_bytes(content)
        done = deepfer_here("export", "run", "--to", "m.onnx")
        assert done.returncode == 1
        assert "not a readable checkpoint" in done.stderr
        assert not (tmp_path / "m.onnx").exists()
