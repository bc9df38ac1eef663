"""Measure what docs/answers.md says: priors, certainty, sets of expressions, notes and pose.

    python benchmarks/answers.py ROOT [--model NAME] [--write]

ROOT holds FER2013 with its votes, CK+ and JAFFE. Prints the tables; ``--write`` puts them into the
page. Faces are of FER2013's PublicTest, CK+ neutral and peaks, and JAFFE; those of FER2013 count by
the FER+ majority.
"""

import argparse
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from deepfer import Recognizer
from deepfer.certainty import set_coverage, set_members
from deepfer.classify import Classifier
from deepfer.data import open_dataset
from deepfer.data.base import ImageSet
from deepfer.data.fer2013 import majority_labels, votes_for
from deepfer.labels import Expression
from deepfer.prior import read_prior
from deepfer.quality import NOTES, poses
from deepfer.types import FaceExpression

PAGE = Path(__file__).parents[1] / "docs" / "answers.md"
FACES = 250  # of PublicTest, in each condition
PRIORS = ("photos", "balanced")
Picture = Image.Image
Rows = list[list[str]]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default=None)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    recognizer = Recognizer(options.model)
    fer = with_majority(open_dataset("fer2013", options.root).load("val"))
    studies = {
        name: open_dataset(name, options.root).load("all") for name in ("ckplus_peaks", "jaffe")
    }
    tables = {
        "model": [["measured with"], [recognizer.model]],
        "priors": priors(recognizer, fer, studies),
        "certainty": certainty(recognizer.classifier, fer),
        "notes": notes(recognizer, fer),
        "pose": pose(recognizer, fer, studies),
    }
    for rows in tables.values():
        print(markdown(rows), end="\n\n")  # noqa: T201
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        for name, rows in tables.items():
            marker = f"<!-- table: {name} -->\n"
            found = re.escape(marker) + r"\n?(\|.*\n)*"
            text = re.sub(found, lambda _, m=marker, r=rows: f"{m}\n{markdown(r)}\n", text)
        PAGE.write_text(text, encoding="utf-8")


def with_majority(images: ImageSet) -> ImageSet:
    """Return the faces whose FER+ majority is one of FER2013's expressions, with it as label."""
    assert images.votes is not None  # noqa: S101
    found = majority_labels(images.votes)
    place = np.array(
        [images.expressions.index(e) if e in images.expressions else -1 for e in Expression]
    )
    labels = np.where(found >= 0, place[found], -1)
    kept = images.take(labels >= 0)
    kept.labels[:] = labels[labels >= 0]
    return kept


# --- priors ------------------------------------------------------------------------------------


def priors(recognizer: Recognizer, fer: ImageSet, studies: dict[str, ImageSet]) -> Rows:
    """Accuracy and unweighted recall under each prior."""
    rows = [["faces", "number", *(f"{p}: {what}" for p in PRIORS for what in ("accuracy", "UAR"))]]
    labels = recognizer.labels
    whole = {"PublicTest, FER+ majority": fer_faces(recognizer, fer)}
    for name, images in {
        **whole,
        **{n: study_faces(recognizer, s) for n, s in studies.items()},
    }.items():
        faces, true = images
        cells = []
        for asked in PRIORS:
            found = read_prior(asked, recognizer.classifier.info)(faces).argmax(axis=1)
            hits = found == true
            recalls = [hits[true == k].mean() for k in range(len(labels)) if (true == k).any()]
            cells += [f"{100 * hits.mean():.1f}", f"{100 * np.mean(recalls):.1f}"]
        rows.append([name, str(len(true)), *cells])
    return rows


def fer_faces(
    recognizer: Recognizer, images: ImageSet
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return probabilities under ``photos`` and true columns of faces given as whole pictures."""
    place = np.array([recognizer.labels.index(e) for e in images.expressions])
    faces = recognizer.classifier.under("photos")(np.array(images.images))
    return faces, place[images.labels]


def study_faces(
    recognizer: Recognizer, images: ImageSet
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the same of the best face of each picture, found and aligned."""
    known = [i for i, k in enumerate(images.labels) if images.expressions[k] in recognizer.labels]
    crops, true = [], []
    for i in known:
        prepared = recognizer.prepare(images.images[i])
        if prepared.faces:
            crops.append(prepared.pixels[0])
            true.append(recognizer.labels.index(images.expressions[images.labels[i]]))
    return recognizer.classifier.under("photos")(np.array(crops)), np.array(true)


# --- certainty and sets ------------------------------------------------------------------------


def certainty(classifier: Classifier, fer: ImageSet) -> Rows:
    """How many faces are certain and right, and what the sets hold."""
    assert fer.votes is not None  # noqa: S101
    info = classifier.info
    votes = votes_for(info.labels, fer.votes)
    true = np.array([info.labels.index(e) for e in fer.expressions])[fer.labels]
    rows = [
        [
            "prior",
            "certain",
            "right of certain",
            "right of uncertain",
            "votes in the sets",
            "expressions",
        ]
    ]
    for asked in PRIORS:
        faces = classifier.under(asked)(np.array(fer.images))
        certain = faces.max(axis=1) >= info.certainty
        hits = faces.argmax(axis=1) == true
        members = set_members(faces, info.set_mass)
        shares = (
            certain.mean(),
            hits[certain].mean(),
            hits[~certain].mean(),
            set_coverage(members, votes),
        )
        rows.append(
            [asked, *(f"{100 * v:.1f} %" for v in shares), f"{members.sum(axis=1).mean():.2f}"]
        )
    return rows


# --- notes -------------------------------------------------------------------------------------


def notes(recognizer: Recognizer, fer: ImageSet) -> Rows:
    """Accuracy with each note, over faces as they are and made worse, through the whole path."""
    chosen = fer.take(np.random.default_rng(0).permutation(len(fer))[:FACES])
    seen: list[tuple[FaceExpression, bool]] = []
    rng = np.random.default_rng(1)
    for worsen in conditions(rng):
        pictures = (on_canvas(worsen(Image.fromarray(image))) for image in chosen.images)
        answers = recognizer.recognize_many(pictures, workers=1)
        for answer, k in zip(answers, chosen.labels, strict=True):
            if isinstance(answer, Exception):
                raise answer
            seen += [(f, f.expression == chosen.expressions[k]) for f in answer.faces[:1]]
    rows = [["note", "a face gets it", "faces", "right", "certain", "right of certain"]]
    for note, meaning in {"none": "nothing is poor", **NOTES}.items():
        own = [(f, hit) for f, hit in seen if note in (f.quality.notes or ("none",))]
        rows.append([note, meaning, *counted(own)])
    return rows


def counted(faces: list[tuple[FaceExpression, bool]]) -> list[str]:
    """Return number, share right, share certain and share right of these."""
    sure = [hit for face, hit in faces if face.certain]
    share = f"{100 * len(sure) / len(faces):.0f} %" if faces else "-"
    return [str(len(faces)), percent(hit for _, hit in faces), share, percent(sure)]


def percent(hits: Iterable[bool]) -> str:
    """Return a share in percent, or a dash for nothing."""
    values = list(hits)
    return f"{100 * np.mean(values):.1f} %" if values else "-"


def conditions(rng: np.random.Generator) -> list[Callable[[Picture], Picture]]:
    """Return what makes a 48-pixel face worse, beginning with nothing."""

    def jpeg(picture: Picture, quality: int) -> Picture:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("L")

    def noisy(picture: Picture, sigma: float) -> Picture:
        values = np.asarray(picture) + rng.normal(0, sigma, picture.size[::-1])
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))

    def lit(picture: Picture, factor: float) -> Picture:
        return picture.point(lambda v: min(255, round(v * factor)))

    return [
        lambda p: p,
        *(lambda p, s=s: p.filter(ImageFilter.GaussianBlur(s)) for s in (1, 1.5, 2)),
        *(lambda p, n=n: p.resize((n, n), Image.Resampling.BOX) for n in (36, 28, 20, 14)),
        *(lambda p, s=s: noisy(p, s) for s in (15, 25, 40)),
        *(lambda p, q=q: jpeg(p, q) for q in (15, 5)),
        *(lambda p, f=f: lit(p, f) for f in (0.12, 0.25, 0.5, 2, 3)),
    ]


def on_canvas(face: Picture) -> NDArray[np.uint8]:
    """Put a face on a plain gray canvas of three times its size."""
    width, height = face.size
    canvas = Image.new("L", (3 * width, 3 * height), 127)
    canvas.paste(face, (width, height))
    return np.asarray(canvas)


# --- pose --------------------------------------------------------------------------------------


def pose(recognizer: Recognizer, fer: ImageSet, studies: dict[str, ImageSet]) -> Rows:
    """Spread of faces that look ahead, error of simulated turns, and of photos turned by hand."""
    rows = [["measured on", "yaw", "pitch", "roll"]]
    noise = []
    for name, images in studies.items():
        found = landmarks_of(recognizer, images.images)
        rows.append([f"{name}, who look ahead: mean ± deviation", *spread(poses(found))])
        noise.append(mirror_noise(recognizer, images.images[::5]))
    for distance in (0, 20, 40):
        errors = simulated(distance, float(np.mean(noise)))
        title = f"a turn of {distance}° simulated, landmark noise {np.mean(noise):.3f}: error"
        rows.append([title, *spread(errors)])
    for angle in (10, 20, 30):
        for name, images in studies.items():
            turned = [rotated(image, angle) for image in images.images[::8]]
            upright = poses(landmarks_of(recognizer, [rotated(i, 0) for i in images.images[::8]]))
            found = poses(landmarks_of(recognizer, turned))
            if len(found) == len(upright):
                rows.append([f"{name} turned by {angle}°: change", *spread(found - upright)])
    return rows


def landmarks_of(
    recognizer: Recognizer, images: Iterable[NDArray[np.uint8]]
) -> NDArray[np.float64]:
    """Return (N, 5, 2), the landmarks of the best face of each picture with one."""
    found = [recognizer.prepare(image).faces[:1] for image in images]
    return np.array([faces[0].landmarks for faces in found if faces], np.float64)


def mirror_noise(recognizer: Recognizer, images: Iterable[NDArray[np.uint8]]) -> float:
    """Return the landmarks' error in eye distances: how mirrored pictures differ, over root two."""
    errors = []
    for image in images:
        own, other = (landmarks_of(recognizer, [p]) for p in (image, image[:, ::-1].copy()))
        if len(own) and len(other):
            back = other[0][[1, 0, 2, 4, 3]] * [-1, 1] + [image.shape[1], 0]
            errors.append((own[0] - back) / np.linalg.norm(own[0][0] - own[0][1]))
    return float(np.std(errors) / np.sqrt(2))


def simulated(yaw: float, noise: float) -> NDArray[np.float64]:
    """Return errors (N, 3) in degrees of faces turned in space, seen from ten widths away.

    People differ: the nose reaches 0.4 ± 0.05 of the height ahead, 0.55 ± 0.03 down.
    """
    rng = np.random.default_rng(0)
    flat = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.55, 0.4], [-0.45, 1.0, 0], [0.45, 1.0, 0]])
    found = []
    for _ in range(500):
        face = flat.copy()
        face[2] += [0, rng.normal(0, 0.03), rng.normal(0, 0.05)]
        y = np.radians(yaw)
        turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
        points = (face - [0, 0.5, 0]) @ turn.T
        seen = points[:, :2] * (10 / (10 - points[:, 2:])) + rng.normal(0, noise, (5, 2))
        found.append(poses(1000 * seen[None])[0] - [yaw, 0, 0])
    return np.array(found)


def rotated(image: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """Return a picture turned clockwise on a plain canvas of twice its size."""
    padded = np.pad(
        image, [(side // 2, side // 2) for side in image.shape[:2]], constant_values=127
    )
    turned = Image.fromarray(padded).rotate(-angle, Image.Resampling.BICUBIC, fillcolor=127)
    return np.asarray(turned)


def spread(values: NDArray[np.float64]) -> list[str]:
    """Return mean and deviation of each column."""
    pairs = zip(values.mean(axis=0), values.std(axis=0), strict=True)
    return [f"{mean:+.1f} ± {deviation:.1f}" for mean, deviation in pairs]


def markdown(rows: Rows) -> str:
    """Return rows as a Markdown table, the first one its header."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "| " + " | ".join("---" for _ in rows[0]) + " |", *body])


if __name__ == "__main__":
    main()
