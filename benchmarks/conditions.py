r"""Measure recognition under conditions and by groups, beside other packages.

    python benchmarks/conditions.py ROOT [--model FILE]... [--fer-python PATH] [--human DIR]
        [--manifest FILE --column NAME]

ROOT holds FER2013 with its FER+ votes, CK+'s neutral and peak frames, and JAFFE. The groups are
JAFFE's ten women, or those of a manifest's column; whole pictures are searched. The conditions are
those of `deepfer evaluate --conditions`; every package gets the same changed pictures.
`speed.py --help` says how to install fer and human. Their networks get crops as gray 64x64 pixels
(bilinear, by Pillow), as there; on canvases they search with their own detectors (fer for faces
from 20 pixels on: its usual 50 would find none).

What the other packages answer is kept in the folder --cache, by the pixels that they were given and
their versions, so a new model of ours is measured alone.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from deepfer import Recognizer
from deepfer.bench.conditions import write_conditions
from deepfer.bench.groups import write_groups
from deepfer.data import open_dataset
from deepfer.data.base import ImageSet
from deepfer.evaluation.conditions import on_canvas
from deepfer.evaluation.groups import Grouped, by_groups
from deepfer.evaluation.report import groups_text
from deepfer.evaluation.robustness import ModelSubject, Row, Subject, measure, sample
from deepfer.evaluation.run import measured
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.types import Image

DATA = {
    "ferplus": ("fer2013", {"majority": True}, "val", "FER2013 PublicTest by FER+ majority"),
    "ckplus_peaks": ("ckplus_peaks", {}, "all", "CK+ neutral and peaks"),
}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}

FER = """
import json, sys
from importlib.metadata import version
import numpy as np
from fer.fer import FER
network = FER(use_tflite=True, min_face_size=20)
print(json.dumps(version("fer")), flush=True)
for line in sys.stdin:
    task, file, *shape = json.loads(line)
    pixels = np.fromfile(file, dtype=np.uint8).reshape(shape)
    if task == "crops":
        faces = pixels / np.float32(127.5) - 1
        answer = np.asarray(network._classify_emotions(faces)).tolist()
    else:
        middle = np.array(shape[1::-1]) / 2
        found = network.detect_emotions(np.ascontiguousarray(pixels[:, :, ::-1]))
        centre = lambda box: np.array(box[:2]) + np.array(box[2:]) / 2
        far = lambda face: np.abs(centre(face["box"]) - middle).sum()
        answer = list(min(found, key=far)["emotions"].values()) if found else None
    print(json.dumps(answer), flush=True)
"""


class Peer:
    """Another package, running as a process that is asked in lines of JSON.

    Args:
        name: What reports call it, its version aside.
        command: Starts it; it prints its version, then an answer per question.
        cache: Where its answers are kept.
        folder: For the pixels it is given.
    """

    labels = BASIC_EXPRESSIONS
    certainty = 0.0  # they do not say

    def __init__(self, name: str, command: list[str], cache: Path, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
            stderr=(folder / f"{name}.log").open("w"),
        )  # fmt: skip
        self._file = folder / f"{name}.raw"
        self.name = f"{name} {self._line()}"
        self._cache = cache / self.name.replace(" ", "-")
        self._cache.mkdir(parents=True, exist_ok=True)

    def crops(self, pictures: Sequence[Image]) -> np.ndarray:
        """Return the probabilities of face crops."""
        faces = np.stack([_gray64(picture) for picture in pictures])
        rows = np.array(self._ask("crops", faces), dtype=np.float32)
        return rows / rows.sum(axis=1, keepdims=True)

    def searched(self, pictures: Sequence[Image]) -> list[Row | None]:
        """Return those of the face nearest to each picture's middle, as its detector finds it."""
        answers = [self._ask("photo", _rgb(picture)) for picture in pictures]
        rows = [None if a is None else np.array(a, dtype=np.float32) for a in answers]
        return [None if row is None else row / row.sum() for row in rows]

    def _ask(self, task: str, pixels: Image) -> Any:
        question = f"{task} {pixels.shape}".encode() + pixels.tobytes()
        kept = self._cache / f"{hashlib.sha256(question).hexdigest()[:32]}.json"
        if not kept.exists():
            self._file.write_bytes(pixels.tobytes())
            self._process.stdin.write(json.dumps([task, str(self._file), *pixels.shape]) + "\n")
            self._process.stdin.flush()
            kept.write_text(json.dumps(self._line()))
        return json.loads(kept.read_text())

    def _line(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(
                f"{self._file.stem} stopped: {self._file.with_suffix('.log').read_text()[-600:]}"
            )
        return json.loads(line)


def _gray64(picture: Image) -> Image:
    face = PillowImage.fromarray(picture).convert("L")
    return np.asarray(face.resize((64, 64), PillowImage.Resampling.BILINEAR))


def _rgb(picture: Image) -> Image:
    return np.asarray(PillowImage.fromarray(picture).convert("RGB"))


def main() -> None:
    """Measure, print the tables and write the reports."""
    here = Path(__file__)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="the folder of the data sets")
    parser.add_argument("--model", type=Path, action="append", help="a model file; repeatable")
    parser.add_argument("--fer-python", help="a Python that has the package fer")
    parser.add_argument("--human", type=Path, help="a Node project that has @vladmandic/human")
    parser.add_argument("--manifest", type=Path, help="pictures with a column to compare")
    parser.add_argument("--column", default="sex", help="of the manifest; age=30,60 bins numbers")
    parser.add_argument("--faces", type=int, default=500, help="of each data set, by seed")
    parser.add_argument("--seed", type=int, default=0, help="of sample and conditions")
    parser.add_argument("--cache", type=Path, default=Path("results/peers"))
    parser.add_argument("--out", type=Path, default=here.with_name("conditions"))
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        subjects: list[Subject] = [ModelSubject(Recognizer(m)) for m in options.model or [None]]
        commands = {
            "fer": options.fer_python and [options.fer_python, "-c", FER],
            "human": options.human
            and ["node", str(here.with_name("human.mjs")), str(options.human), "answer"],
        }
        for name, command in commands.items():
            if command:
                subjects.append(Peer(name, command, options.cache, Path(temporary)))
            else:
                print(f"{name}: left out, see --help", file=sys.stderr)  # noqa: T201
        for folder, (name, more, split, title) in DATA.items():
            images = open_dataset(name, options.root, **more).load(split)
            common = [e for e in BASIC_EXPRESSIONS if all(e in s.labels for s in subjects)]
            chosen = sample(images, common, options.faces, options.seed)
            what = f"{title}, {len(chosen)} of {len(images)} images"
            results = [measure(s, chosen, data=what, seed=options.seed) for s in subjects]
            print(write_conditions(results, options.out / folder))  # noqa: T201
        if options.manifest:
            divided, column = open_dataset("manifest", options.manifest), options.column
        else:
            divided, column = open_dataset("jaffe", options.root), "subject"
        for subject in subjects:
            grouped = groups(subject, divided.load("all"), column)
            print(groups_text(grouped))  # noqa: T201
            name = subject.name.partition(" ")[0]
            write_groups(grouped, options.out / f"by_{column.partition('=')[0]}" / name)


def groups(subject: Subject, images: ImageSet, column: str) -> Grouped:
    """Search the pictures of a subject's expressions on canvases, and divide the answers."""
    known = sample(images, subject.labels, None, 0)
    rows = subject.searched([on_canvas(image) for image in known.images])
    found = np.array([i for i, row in enumerate(rows) if row is not None])
    given = np.array([row for row in rows if row is not None])
    seen = known.take(found)
    missed = {"not found": len(known) - len(seen)}
    data = "pictures on canvases"
    return by_groups(
        measured(subject.name, subject.labels, given, seen, data, missed), seen, column
    )


if __name__ == "__main__":
    main()
