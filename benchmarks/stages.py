"""Show where the time of one photo goes: import, decode, detect, align, classify, draw.

    python benchmarks/stages.py [--json FILE]

The portrait is enlarged to the size of a screen and of a camera; medians in milliseconds, one
thread.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from deepfer import Recognizer
from deepfer.align import cut_face
from deepfer.find import QUICK
from deepfer.media import decode_photo, read_photo
from deepfer.preprocess import to_pixels
from deepfer.render import annotate, encode

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.png"
SIZES = {"512x512": (512, 512), "1920x1080": (1920, 1080), "4000x3000": (4000, 3000)}


def median(work: Callable[[], object], rounds: int = 15) -> float:
    """Return the median time of some work in milliseconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def command(code: str) -> float:
    """Return the median time of a new Python that runs some code, in milliseconds."""
    return median(lambda: subprocess.run([sys.executable, "-c", code], check=True), rounds=7)  # noqa: S603


def stages(recognizer: Recognizer, data: bytes) -> dict[str, float]:
    """Return the milliseconds of each stage for one JPEG file of one face."""
    spec = recognizer.classifier.info.input
    photo = decode_photo(data, long_side=QUICK).pixels
    whole, (face,) = read_photo(data), recognizer.find(photo)
    crops = to_pixels([cut_face(photo, face, spec.height)], spec)
    prediction = recognizer.recognize(data)
    return {
        "decode whole": median(lambda: read_photo(data)),
        "decode": median(lambda: decode_photo(data, long_side=QUICK)),
        "detect": median(lambda: recognizer.find(photo)),
        "align": median(lambda: to_pixels([cut_face(photo, face, spec.height)], spec)),
        "classify": median(lambda: recognizer.classifier(crops)),
        "file to result": median(lambda: recognizer.recognize(data)),
        "draw and encode a copy": median(lambda: encode(annotate(whole, prediction), ".jpg"), 5),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    empty = command("pass")
    found: dict[str, dict[str, float]] = {
        "once": {
            "start Python": empty,
            "import deepfer and what it needs": command("import deepfer.pipeline") - empty,
            "load both networks": median(Recognizer),
        }
    }
    recognizer = Recognizer()
    with Image.open(ASTRONAUT) as portrait:
        for name, size in SIZES.items():
            buffer = io.BytesIO()
            portrait.convert("RGB").resize(size).save(buffer, "JPEG", quality=90)
            found[name] = stages(recognizer, buffer.getvalue())
    for name, row in found.items():
        told = ", ".join(f"{stage} {np.round(value, 2)}" for stage, value in row.items())
        print(f"{name}: {told} ms", flush=True)  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
