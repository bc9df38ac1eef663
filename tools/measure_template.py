"""Measure where the five landmarks lie in FER2013's training faces: the template of align.py.

    python tools/measure_template.py ROOT      # ROOT holds fer2013.csv

Each 48-pixel face is put on a plain 160x160 canvas and searched; the template is the mean over
the faces found with a score above 0.8, made symmetric by averaging with its mirror image.
"""

import sys
from pathlib import Path

import numpy as np

from deepfer.data import open_dataset
from deepfer.detect import FaceDetector


def main(root: Path) -> None:
    """Print the template."""
    detector = FaceDetector(min_score=0.8)
    found = []
    faces = open_dataset("fer2013", root).load("train").images[::4]
    for face in faces:
        canvas = np.full((160, 160), 127, dtype=np.uint8)
        canvas[56:104, 56:104] = face
        if best := detector(canvas):
            found.append(best[0].landmarks - 56)
    mean = np.mean(found, axis=0)
    mirrored = mean[[1, 0, 2, 4, 3]] * [-1, 1] + [48, 0]
    print(f"{len(found)} of {len(faces)} faces")  # noqa: T201
    print(np.round((mean + mirrored) / 2, 1).tolist())  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
