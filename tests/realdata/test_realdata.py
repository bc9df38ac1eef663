"""What holds on the real data sets. Skipped unless DEEPFER_DATA names their folder."""

import json
from pathlib import Path

import pytest

from deepfer.classify import Classifier
from deepfer.data import open_dataset
from deepfer.data.base import check
from deepfer.detect import FaceDetector
from deepfer.evaluation.run import add_own_figures, evaluate

pytestmark = [pytest.mark.realdata, pytest.mark.slow]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "fer2013_deepfer_fast" / "metrics.json"


@pytest.mark.parametrize(
    "name",
    ["fer2013", "fer2013_images", "ckplus", "ckplus_peaks", "ckplus_sequences", "jaffe", "ferg"],
)
def test_the_published_data_passes_its_check(data_root: Path, name: str) -> None:
    if name == "ferg" and not (data_root / "FERG_DB_256").is_dir():
        pytest.skip("FERG is not among the research data")
    bad = [f for f in check(open_dataset(name, data_root)) if not f.ok]
    assert bad == []


def test_csv_and_folders_hold_as_many_pictures(data_root: Path) -> None:
    csv_counts = open_dataset("fer2013", data_root).load("train").counts()
    assert open_dataset("fer2013_images", data_root).load("train").counts() == csv_counts


def test_every_face_of_jaffe_is_found(data_root: Path) -> None:
    detector = FaceDetector()
    images = open_dataset("jaffe", data_root).load("all").images
    assert [len(detector(image)) for image in images] == [1] * 213


def test_shipped_weights_give_the_published_figures(data_root: Path) -> None:
    classifier = Classifier("fer2013")
    dataset = open_dataset("fer2013", data_root)
    images = dataset.load("test")
    result = evaluate(classifier, images, data="fer2013 test")
    add_own_figures(result, images, dataset.leaked("test"), classifier.info)
    stored = json.loads(RESULTS.read_text())
    assert stored["fingerprint"] == result.fingerprint
    found = {name: result.figures[name] for name in stored["figures"]}
    assert found == pytest.approx(stored["figures"], abs=1e-3)
    assert result.figures["ECE"] <= 0.03
