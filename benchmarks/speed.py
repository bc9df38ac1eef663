r"""Measure how fast recognition is, beside other packages in the same run.

    python benchmarks/speed.py [--fer-python PATH] [--human DIR] [--accuracy ROOT] [--json FILE]

PATH is a Python with the package ``fer`` 25.10.3, which needs
``setuptools<81`` and ``opencv-contrib-python<5``. DIR is a Node project with
``@vladmandic/human``:

    npm install --prefix DIR @vladmandic/human@3.3.6 @tensorflow/tfjs-core@4.22.0 \
        @tensorflow/tfjs-converter@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 pngjs@7.0.0

Rounds alternate between the packages, so that a machine whose speed drifts does so for all; medians
are printed. One thread each.

ROOT holds FER2013, to print which share of the PrivateTest faces each package gets right. fer and
human get them as their networks take them, 64x64 (bilinear, by Pillow), past their face detectors.
Of the ways tried, human does best so: enlarged by its own code it loses 0.2 points, and through its
detector four or more (on 400 faces of PublicTest).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from deepfer.classify import Classifier
from deepfer.data.fer2013 import Fer2013

ROUNDS = 5
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
ASTRONAUT = str(Path(__file__).parents[1] / "examples" / "astronaut.png")

DEEPFER = """
import json, sys, time, resource
import numpy as np
from deepfer import Recognizer
from deepfer.classify import Classifier
photo = np.asarray(__import__("PIL.Image").Image.open(sys.argv[1]).convert("RGB"))
faces = np.random.default_rng(0).integers(0, 256, (2048, 48, 48), dtype=np.uint8)
classify, recognizer = Classifier(), Recognizer()
classify(faces[:64]), recognizer.recognize(photo)
def best(work, count):
    times = []
    for _ in range(count):
        start = time.perf_counter(); work(); times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
big = np.asarray(__import__("PIL.Image").Image.fromarray(photo).resize((1920, 1080)))
print(json.dumps({
    "crops per second": 2048 / best(lambda: classify(faces), 3),
    "crops per second, one by one": 200 / best(lambda: [classify(f[None]) for f in faces[:200]], 3),
    "photo 512x512 (ms)": 1000 * best(lambda: recognizer.recognize(photo), 30),
    "photo 1920x1080 (ms)": 1000 * best(lambda: recognizer.recognize(big), 20),
    "peak memory (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "JPEG file of 4000x3000 (ms)": 1000 * best(lambda: recognizer.recognize(sys.argv[2]), 10),
}))
"""

FER = """
import json, sys, time, resource
import cv2
import numpy as np
from fer.fer import FER
detector = FER(use_tflite=True)
photo = cv2.imread(sys.argv[1])
faces = np.random.default_rng(0).uniform(-1, 1, (2048, 64, 64)).astype("float32")
detector._classify_emotions(faces[:64]), detector.detect_emotions(photo)
def best(work, count):
    times = []
    for _ in range(count):
        start = time.perf_counter(); work(); times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
big = cv2.resize(photo, (1920, 1080))
print(json.dumps({
    "crops per second": 2048 / best(lambda: detector._classify_emotions(faces), 3),
    "crops per second, one by one":
        200 / best(lambda: [detector._classify_emotions(f[None]) for f in faces[:200]], 3),
    "photo 512x512 (ms)": 1000 * best(lambda: detector.detect_emotions(photo), 10),
    "photo 1920x1080 (ms)": 1000 * best(lambda: detector.detect_emotions(big), 5),
    "peak memory (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "JPEG file of 4000x3000 (ms)":
        1000 * best(lambda: detector.detect_emotions(cv2.imread(sys.argv[2])), 3),
}))
"""

FER_COLD = """
import sys, cv2
from fer.fer import FER
print(FER(use_tflite=True).detect_emotions(cv2.imread(sys.argv[1])))
"""

FER_CLASSES = """
import json, sys
import numpy as np
from fer.fer import FER
faces = np.fromfile(sys.argv[1], dtype=np.uint8).reshape(-1, 64, 64) / np.float32(127.5) - 1
print(json.dumps(np.argmax(FER(use_tflite=True)._classify_emotions(faces), axis=1).tolist()))
"""


class Side(NamedTuple):
    """The commands of one package: print its figures, one photo's result, classes of faces."""

    figures: list[str]
    photo: list[str]
    classes: list[str]


def sides(fer_python: str | None, human: Path | None, folder: Path) -> dict[str, Side]:
    """Return the packages to measure; their photos lie in `folder`, human's as pixels."""
    python, large = [sys.executable], folder / "large.jpg"
    with Image.open(ASTRONAUT) as photo:
        photo.convert("RGB").resize((4000, 3000)).save(large, quality=90)
    table = {
        "deepfer": Side(
            [*python, "-c", DEEPFER, ASTRONAUT, str(large)],
            [*python, "-m", "deepfer", "predict", ASTRONAUT],
            [],
        )
    }
    if fer_python:
        python = [fer_python, "-c"]
        table["fer"] = Side(
            [*python, FER, ASTRONAUT, str(large)],
            [*python, FER_COLD, ASTRONAUT],
            [*python, FER_CLASSES],
        )
    if human:
        node = ["node", str(Path(__file__).with_name("human.mjs")), str(human)]
        table["human"] = Side(
            [*node, "speed", str(folder)], [*node, "photo", ASTRONAUT], [*node, "classes"]
        )
        with Image.open(ASTRONAUT) as photo:
            for size in ((512, 512), (1920, 1080)):
                pixels = photo.convert("RGB").resize(size).tobytes()
                (folder / f"{size[0]}x{size[1]}.raw").write_bytes(pixels)
    return table


def printed(command: list[str]) -> Any:
    """Run a command and return the JSON that it prints last."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])


def cold(command: list[str]) -> float:
    """Return the seconds of a whole command."""
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=ENVIRONMENT)  # noqa: S603
    return time.perf_counter() - start


def accuracy(table: dict[str, Side], root: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Return the percentages of PrivateTest that each package gets right."""
    data = Fer2013(root)
    test, known = data.load("test"), data.leaked("test")
    crops, faces = np.asarray(test.images), folder / "faces.raw"
    faces.write_bytes(
        b"".join(
            Image.fromarray(x).resize((64, 64), Image.Resampling.BILINEAR).tobytes() for x in crops
        )
    )
    classifier = Classifier("fer2013")  # the others, too, learnt FER2013's labels
    order = np.array([test.expressions.index(x) for x in classifier.info.labels])
    found = {}
    for name, side in table.items():
        if side.classes:
            classes = np.array(printed([*side.classes, str(faces)]))
        else:
            classes = order[classifier.logits(crops).argmax(axis=1)]
        right = classes == test.labels
        found[name] = {
            "PrivateTest (%)": 100 * float(right.mean()),
            "PrivateTest, not in train (%)": 100 * float(right[~known].mean()),
        }
    return found


def main() -> None:
    """Print a table of medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fer-python", help="a Python that has the package fer")
    parser.add_argument("--human", type=Path, help="a Node project that has @vladmandic/human")
    parser.add_argument("--accuracy", type=Path, help="the folder of FER2013")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    for name, given in (("fer", options.fer_python), ("human", options.human)):
        if not given:
            print(f"{name}: left out, see --help")  # noqa: T201
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = sides(options.fer_python, options.human, folder)
        figures: dict[str, dict[str, list[float]]] = {name: {} for name in table}
        for _ in range(ROUNDS):
            for name, side in table.items():
                row = printed(side.figures) | {"cold command (s)": cold(side.photo)}
                for key, value in row.items():
                    figures[name].setdefault(key, []).append(value)
        if options.human:
            blocks = sum(x.lstat().st_blocks for x in (options.human / "node_modules").rglob("*"))
            figures["human"]["node_modules (MB)"] = [blocks * 512 / 2**20]
        if options.accuracy:
            for name, shares in accuracy(table, options.accuracy, folder).items():
                figures[name] |= {key: [value] for key, value in shares.items()}
    medians = {
        name: {key: statistics.median(values) for key, values in rows.items()}
        for name, rows in figures.items()
    }
    for key in dict.fromkeys(key for rows in medians.values() for key in rows):
        row = f"{key:<30}"
        for name, rows in medians.items():
            if key in rows:
                row += f"  {name} {rows[key]:8.2f}"
                if name != "deepfer" and key in medians["deepfer"]:
                    row += f" (ratio {medians['deepfer'][key] / rows[key]:7.3f})"
        print(row)  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
