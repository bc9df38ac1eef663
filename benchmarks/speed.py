"""Measure how fast recognition is, beside another package in the same run.

    python benchmarks/speed.py [--fer-python PATH] [--json FILE]

PATH is a Python with the package ``fer`` 25.10.3, which needs
``setuptools<81`` and ``opencv-contrib-python<5``. Rounds alternate between the packages, so that a
machine whose speed drifts does so for both; medians are printed. One thread each.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

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
}))
"""

FER_COLD = """
import sys, cv2
from fer.fer import FER
print(FER(use_tflite=True).detect_emotions(cv2.imread(sys.argv[1])))
"""


def inside(python: str, code: str) -> dict[str, float]:
    """Run a measuring script and return the figures it prints last."""
    command = [python, "-c", code, ASTRONAUT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)  # noqa: S603
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def cold(command: list[str]) -> float:
    """Return the seconds of a whole command."""
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=ENVIRONMENT)  # noqa: S603
    return time.perf_counter() - start


def main() -> None:
    """Print a table of medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fer-python", help="a Python that has the package fer")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    sides = {"deepfer": (sys.executable, DEEPFER, ["-m", "deepfer", "predict", ASTRONAUT])}
    if options.fer_python:
        sides["fer"] = (options.fer_python, FER, ["-c", FER_COLD, ASTRONAUT])
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in sides}
    for _ in range(ROUNDS):
        for name, (python, code, start) in sides.items():
            row = inside(python, code) | {"cold command (s)": cold([python, *start])}
            for key, value in row.items():
                figures[name].setdefault(key, []).append(value)
    medians = {
        name: {key: statistics.median(values) for key, values in rows.items()}
        for name, rows in figures.items()
    }
    for key in medians["deepfer"]:
        row = "  ".join(f"{name} {medians[name][key]:10.2f}" for name in sides)
        ratio = ""
        if "fer" in sides:
            ratio = f"  ratio {medians['deepfer'][key] / medians['fer'][key]:8.3f}"
        print(f"{key:<32} {row}{ratio}")  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
