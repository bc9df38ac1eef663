"""Comparisons of models on the same images."""

from pathlib import Path

import numpy as np
import pytest

from conftest import Run
from deepfer.bench.compare import compare, difference, write_comparison
from deepfer.classify import Classifier, model_path
from deepfer.data import open_dataset
from small_copies import make_ckplus

pytestmark = pytest.mark.usefixtures("drawn_once")


def test_differences() -> None:
    reference = np.array([True] * 60 + [False] * 40)
    better = np.array([True] * 55 + [False] * 5 + [True] * 25 + [False] * 15)
    gain, (low, high), p = difference(better, reference, np.arange(100))
    assert gain == pytest.approx(0.2)
    assert low == pytest.approx(0.2 - 1.96 * np.sqrt((0.3 - 0.04) / 100), abs=0.015)
    assert high == pytest.approx(0.2 + 1.96 * np.sqrt((0.3 - 0.04) / 100), abs=0.015)
    assert p == pytest.approx(0.000325, abs=1e-5)  # binomial test, 5 of 30
    assert difference(reference, reference, np.arange(100)) == (0, (0, 0), 1)


def test_frames_of_one_sequence_are_drawn_together() -> None:
    reference = np.array([True, False] * 150)
    better = np.array(([True, True] * 30 + [True, False] * 20) * 3)
    sequences = np.repeat(np.arange(50), 6)
    gain, (low, high), p = difference(better, reference, sequences)
    _, (low_apart, high_apart), _ = difference(better, reference, np.arange(300))
    assert gain == pytest.approx(0.3)
    assert high - low > high_apart - low_apart
    assert p is None


def test_a_model_does_not_differ_from_itself(tmp_path: Path) -> None:
    images = open_dataset("drawn", None, per_class=2).load("test")
    results = compare([Classifier(), Classifier()], images, data="drawn test")
    table = write_comparison(results, tmp_path)
    first, second = table.splitlines()[-2:]
    assert first.split("|")[2:9] == second.split("|")[2:9]
    assert "+0.00 to +0.00" in second
    assert len(list(tmp_path.glob("*/confusion_matrix.png"))) == 2
    assert (tmp_path / "report.html").read_text().count("data:image/png;base64,") == 2


def test_frames_and_images_left_out_are_told(deepfer: Run, tmp_path: Path) -> None:
    make_ckplus(tmp_path)
    options = ("--data", "ckplus", "--root", ".", "--split", "all")
    deepfer("evaluate", *options, "--out", "one")
    deepfer("compare", model_path(exact=True), *options, "--out", "two")
    for folder in ("one", "two"):
        text = (tmp_path / folder / "table.md").read_text()
        assert "left out: contempt, unknown to " in text
        assert "left out: contempt, unknown to " in (tmp_path / folder / "report.html").read_text()
    # of nine frames in three sequences, the interval is that of three
    interval = [
        (tmp_path / folder / "table.md").read_text().splitlines()[4].split("|")[4]
        for folder in ("one", "two")
    ]
    assert interval[0] == interval[1]
    low, high = (float(x) for x in interval[0].replace("%", "").split(" to "))
    assert high - low > 40


def test_compare_and_evaluate_from_the_command_line(deepfer: Run, tmp_path: Path) -> None:
    weights = Path(__file__).parents[2] / "src" / "deepfer" / "weights"
    done = deepfer("compare", weights / "deepfer_fast-fer2013.onnx", "--data", "drawn")
    assert done.returncode == 0, done.stderr
    assert "McNemar p" in done.stdout
    assert (tmp_path / "results" / "compare" / "report.html").exists()
    done = deepfer("evaluate", "--data", "drawn", "--out", "one")
    assert done.returncode == 0, done.stderr
    for name in ("metrics.json", "predictions.csv", "report.html", "confusion_matrix.png"):
        assert (tmp_path / "one" / name).exists()
    (tmp_path / "file").write_text("mine")
    for command in (("evaluate",), ("compare", weights / "deepfer_fast-fer2013.onnx")):
        done = deepfer(*command, "--data", "drawn", "--out", "file")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "--out file: cannot be written" in done.stderr
    done = deepfer("evaluate", "--data", "drawn", "--fold", 1)
    assert done.returncode == 2
    assert "need --protocol" in done.stderr
    done = deepfer("compare", "nowhere.onnx", "--data", "drawn")
    assert done.returncode == 1
    assert "nowhere.onnx" in done.stderr
