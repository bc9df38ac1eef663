"""A model file and a data set to predictions, figures and a confusion matrix.

Nothing is dropped in silence: a face that is not found is reported in its own figure, and images
of an expression that the model does not know are counted and named.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer import metrics
from deepfer.certainty import set_coverage, set_members
from deepfer.classify import Classifier
from deepfer.data.base import ImageSet
from deepfer.data.fer2013 import VOTE_EXPRESSIONS, VOTE_NAMES, majority_labels, votes_for
from deepfer.data.images import stack
from deepfer.errors import DataError
from deepfer.evaluation.conditions import on_canvas
from deepfer.files import csv_text, git_commit, sweep, write_text
from deepfer.labels import Expression
from deepfer.modelfile import ModelInfo
from deepfer.pipeline import Recognizer
from deepfer.preprocess import to_pixels
from deepfer.prior import PHOTOS


@dataclass(frozen=True)
class Evaluation:
    """What a model did on one split.

    Attributes:
        model: The model's name.
        data: Such as ``fer2013 test``.
        fingerprint: Of the images and labels.
        labels: The expressions that rows and columns of the confusion matrix count in.
        ids: Names of the images that were classified.
        true: int64 (N,), positions in `labels`.
        probabilities: float32 (N, K), calibrated.
        figures: Figures by name; shares run from 0 to 1.
        counts: Numbers of images by name.
        prior: How often each expression was expected, as in `Prediction`.
    """

    model: str
    data: str
    fingerprint: str
    labels: tuple[Expression, ...]
    ids: tuple[str, ...]
    true: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    figures: dict[str, float]
    counts: dict[str, int]
    prior: str = PHOTOS

    @property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,), positions in `labels`."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confusion(self) -> metrics.Counts:
        """(K, K) counts, rows true, columns predicted."""
        return metrics.confusion_matrix(self.true, self.predicted, len(self.labels))

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures must know: images that are not in them."""
        left_out = [f"{name}: {n} images" for name, n in self.counts.items() if "left out" in name]
        found = self.figures.get("found")
        return left_out if found is None else [f"faces found: {found:.1%}", *left_out]

    def sequences_in(self, images: ImageSet) -> list[str] | None:
        """Return the sequence of each image classified, or None where `images` has none."""
        if images.sequences is None:
            return None
        kept = dict(zip(images.ids, images.sequences, strict=True))
        return [kept[name] for name in self.ids]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single predictions, JSON-ready."""
        recall, precision, f1 = (
            f(self.confusion) for f in (metrics.recalls, metrics.precisions, metrics.f1_scores)
        )
        return {
            "model": self.model,
            "prior": self.prior,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "commit": git_commit(),
            "counts": self.counts,
            "figures": {name: round(value, 6) for name, value in self.figures.items()},
            "per_expression": {
                str(label): {
                    "images": int(self.confusion[i].sum()),
                    "recall": None if np.isnan(recall[i]) else round(float(recall[i]), 4),
                    "precision": round(float(precision[i]), 4),
                    "f1": round(float(f1[i]), 4),
                }
                for i, label in enumerate(self.labels)
            },
            "confusion": self.confusion.tolist(),
        }

    def write(self, folder: Path, more: dict[str, Any] | None = None) -> None:
        """Write ``predictions.csv``, ``confusion_matrix.csv`` and, last, ``metrics.json``.

        Args:
            folder: Made where it does not exist.
            more: What else ``metrics.json`` shall say.
        """
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        rows = [
            [name, self.labels[t], self.labels[p], *(f"{x:.6f}" for x in row)]
            for name, t, p, row in zip(
                self.ids, self.true, self.predicted, self.probabilities, strict=True
            )
        ]
        header = ["image", "true", "predicted", *self.labels]
        write_text(folder / "predictions.csv", csv_text([header, *rows]))
        counts = [[a, *row] for a, row in zip(self.labels, self.confusion.tolist(), strict=True)]
        write_text(
            folder / "confusion_matrix.csv",
            csv_text([["true \\ predicted", *self.labels], *counts]),
        )
        content = json.dumps({**self.to_json(), **(more or {})}, indent=2)
        write_text(folder / "metrics.json", content + "\n")


def evaluate(classifier: Classifier, images: ImageSet, *, data: str) -> Evaluation:
    """Classify a split's images as whole face crops.

    Args:
        classifier: The model.
        images: The split.
        data: What to call it.

    Raises:
        DataError: No image shows an expression that the model knows.
    """
    known, counts = _known(images, classifier.info.labels, data)
    pixels = to_pixels(known.images, classifier.info.input)
    return _measured(classifier, known, pixels, data, counts)


def evaluate_detected(classifier: Classifier, images: ImageSet, *, data: str) -> Evaluation:
    """Classify a split's faces through detection and alignment, as photos are.

    Each face is placed on a plain canvas (160x160 for a 48-pixel face), searched, aligned and
    classified. Figures are those of the faces found; ``found`` is their share, and ``accuracy
    before detection`` that of the same faces taken as whole crops.
    """
    known, counts = _known(images, classifier.info.labels, data)
    spec = classifier.info.input
    aligned, found = aligned_faces(Recognizer(classifier), known, data)
    seen = known.take(found)  # its fingerprint is that of the data, not of the crops
    result = _measured(classifier, seen, to_pixels(aligned.images, spec), data, counts)
    whole = evaluate(classifier, seen, data=data)
    result.figures["found"] = len(found) / len(known)
    result.figures["accuracy before detection"] = whole.figures["accuracy"]
    return result


def aligned_faces(
    recognizer: Recognizer, images: ImageSet, data: str
) -> tuple[ImageSet, NDArray[np.int64]]:
    """Find and align the face of each picture, as the main path does with photos.

    Args:
        recognizer: What finds and aligns.
        images: One face each; placed on a plain canvas (160x160 for a 48-pixel face).
        data: What messages call them.

    Returns:
        The faces found, uint8 (N, H, W) as the network sees them, and their positions in `images`.

    Raises:
        DataError: No face was found on any image.
    """
    found, crops = [], []
    for i, image in enumerate(images.images):
        prepared = recognizer.prepare(on_canvas(image))
        if prepared.faces:
            centre = np.array([prepared.width, prepared.height]) / 2
            away = [float(np.abs(_centre(face.box) - centre).sum()) for face in prepared.faces]
            crops.append(prepared.pixels[int(np.argmin(away))])
            found.append(i)
    if not found:
        raise DataError(f"{data}: no face was found on any image")
    places = np.array(found)
    return replace(images.take(places), images=stack(crops)), places


def add_own_figures(
    result: Evaluation, images: ImageSet, leaked: NDArray[np.bool_] | None, info: ModelInfo
) -> None:
    """Add what some data sets alone tell: figures without leaked images, and by FER+ votes.

    Args:
        result: Of `images`, or of some of them; the figures are added to it.
        images: A split as its publishers give it.
        leaked: As from `Dataset.leaked`; None adds nothing.
        info: Of the model.

    Two FER+ labels: the majority as its authors define it (`majority_labels`), and the most
    voted answer where it is not tied. Images whose label is none of the model's expressions do
    not count, but for ``FER+ majority of eight``: there contempt counts as it does in FER+'s own
    figures, and a model that does not know it misses it.

    Two calibration errors: of the top probability against the majority (right or wrong), and
    against the votes (the share of people's expressions that is the answer).

    And how much of the majority's hits are certain, how often the sets of expressions hold a
    person's answer, and their mean size.
    """
    place = {name: i for i, name in enumerate(images.ids)}
    chosen = np.array([place[name] for name in result.ids])

    def add(name: str, labels: NDArray[np.int64], counted: NDArray[np.bool_]) -> None:
        if counted.any():
            hits = result.predicted[counted] == labels[counted]
            result.figures[f"{name} accuracy"] = float(hits.mean())
            result.counts[f"images for {name} accuracy"] = int(counted.sum())

    if leaked is not None:
        add("leak-free", result.true, ~leaked[chosen])
    if images.votes is None or images.votes.shape[1] != len(VOTE_NAMES):
        return
    votes = images.votes[chosen]

    def position(expressions: Sequence[Expression | None]) -> NDArray[np.int64]:
        known = [result.labels.index(e) if e in result.labels else -1 for e in expressions]
        return np.array([*known, -1], dtype=np.int64)  # -1 picks the last: none

    eight = majority_labels(votes)
    majority = position(tuple(Expression))[eight]
    add("FER+ majority", majority, majority >= 0)
    add("FER+ majority of eight", majority, eight >= 0)
    top = position((*VOTE_EXPRESSIONS, None, None))[votes.argmax(axis=1)]
    clear = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    add("FER+ most voted", top, (top >= 0) & clear)
    if (known := majority >= 0).any():
        result.figures["FER+ majority ECE"] = metrics.calibration_error(
            result.probabilities[known], majority[known]
        )
    seen = votes[:, : len(VOTE_EXPRESSIONS)]
    if (voted := seen.sum(axis=1) > 0).any():
        shares = (seen / np.maximum(seen.sum(axis=1, keepdims=True), 1))[voted]
        column = [VOTE_EXPRESSIONS.index(e) for e in result.labels]
        result.figures["FER+ votes ECE"] = metrics.vote_calibration_error(
            result.probabilities[voted], shares[:, column]
        )
    certain = result.probabilities.max(axis=1) >= info.certainty
    result.figures["certain of FER+ majority"] = float(certain[majority >= 0].mean())
    add("certain FER+ majority", majority, (majority >= 0) & certain)
    members = set_members(result.probabilities, info.set_mass)
    answers = votes_for(result.labels, votes)
    result.figures["FER+ votes within the sets"] = set_coverage(members, answers)
    result.figures["expressions in a set"] = float(members.sum(axis=1).mean())


def measured(
    model: str,
    labels: tuple[Expression, ...],
    probabilities: NDArray[np.float32],
    images: ImageSet,
    data: str,
    counts: dict[str, int],
) -> Evaluation:
    """Compare probabilities with what the images show.

    Args:
        model: The model's name.
        labels: The expressions that the columns of `probabilities` mean; must hold all that
            the images show.
        probabilities: float32 (N, K).
        images: N images.
        data: What to call them.
        counts: Numbers of images to report beside.
    """
    place = np.array([labels.index(e) if e in labels else -1 for e in images.expressions])
    true = place[images.labels]
    confusion = metrics.confusion_matrix(true, probabilities.argmax(axis=1), len(labels))
    figures = {
        "accuracy": metrics.accuracy(confusion),
        "macro F1": metrics.macro_f1(confusion),
        "UAR": metrics.uar(confusion),
        "ECE": metrics.calibration_error(probabilities, true),
        "NLL": metrics.log_loss(probabilities, true),
    }
    return Evaluation(
        model=model,
        data=data,
        fingerprint=images.fingerprint(),
        labels=labels,
        ids=images.ids,
        true=true,
        probabilities=probabilities,
        figures=figures,
        counts={"images": len(images), **counts},
    )


def _measured(
    classifier: Classifier,
    images: ImageSet,
    pixels: NDArray[np.uint8],
    data: str,
    counts: dict[str, int],
) -> Evaluation:
    info, probabilities = classifier.info, classifier(pixels)
    result = measured(info.name, info.labels, probabilities, images, data, counts)
    certain = probabilities.max(axis=1) >= info.certainty
    result.figures["certain"] = float(certain.mean())
    if certain.any():
        hits = (result.predicted == result.true)[certain]
        result.figures["accuracy of certain"] = float(hits.mean())
    return replace(result, prior=classifier.prior.text)


def _known(
    images: ImageSet, labels: tuple[Expression, ...], data: str
) -> tuple[ImageSet, dict[str, int]]:
    """Return the images of expressions that the model knows, and how many are left out."""
    strange = [e for e in images.expressions if e not in labels and images.counts()[e]]
    known = np.array([e in labels for e in images.expressions])[images.labels]
    if not known.any():
        raise DataError(f"{data}: shows none of the model's expressions ({', '.join(labels)})")
    left_out = {f"left out: {e}, unknown to the model": images.counts()[e] for e in strange}
    return images.take(known), left_out


def _centre(box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    return np.array([box[0] + box[2] / 2, box[1] + box[3] / 2])
