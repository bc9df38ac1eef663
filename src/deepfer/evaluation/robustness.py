"""How well any recogniser holds out under the conditions of `conditions`."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deepfer import metrics
from deepfer.data.base import ImageSet
from deepfer.errors import DataError
from deepfer.evaluation.conditions import CONDITIONS, Change, generator, on_canvas
from deepfer.files import csv_text, git_commit, write_text
from deepfer.labels import Expression
from deepfer.pipeline import Recognizer
from deepfer.preprocess import to_pixels
from deepfer.types import Image, Prediction

Row: TypeAlias = NDArray[np.float32]
"""float32 (K,), one face's probability per expression."""

CLEAN = "clean"
WHOLE_PATH_FACES = 200
"""At most so many faces are searched on a canvas, which takes far longer than a crop."""

_COLUMNS = ("model", "condition", "unit", "severity", "images", "clean", "accuracy", "kept")
_SHARES = ("UAR", "ECE", "found", "certain", "certain_right")


class Subject(Protocol):
    """Anything whose answers can be measured: a model file, another package."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def labels(self) -> tuple[Expression, ...]:
        """The expressions that its probabilities count in."""
        ...

    @property
    def certainty(self) -> float:
        """The least probability of an answer that it calls certain; 0 where all are."""
        ...

    def crops(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Return float32 (N, K) probabilities of face crops, whose sizes may differ."""
        ...

    def searched(self, pictures: Sequence[Image]) -> list[Row | None]:
        """Search pictures and return the probabilities of the face nearest to the middle.

        None stands for a picture where no face was found.
        """
        ...


@dataclass(frozen=True)
class ModelSubject:
    """A model file of this package.

    Attributes:
        recognizer: The whole path with this model; its classifier takes the crops.
    """

    recognizer: Recognizer

    @property
    def name(self) -> str:
        """The model's name."""
        return self.recognizer.model

    @property
    def labels(self) -> tuple[Expression, ...]:
        """The model's expressions."""
        return self.recognizer.labels

    @property
    def certainty(self) -> float:
        """The recogniser's own."""
        return self.recognizer.min_certainty

    def crops(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Classify crops; see `Subject.crops`."""
        classifier = self.recognizer.classifier
        return classifier(to_pixels(pictures, classifier.info.input))

    def searched(self, pictures: Sequence[Image]) -> list[Row | None]:
        """Recognise pictures; see `Subject.searched`."""
        return [nearest(self.recognizer.recognize(picture)) for picture in pictures]


@dataclass(frozen=True)
class Cell:
    """What a subject did under one severity of one condition.

    Attributes:
        condition: A key of `CONDITIONS`, or `CLEAN`.
        severity: Its name.
        images: Number of images.
        clean: Accuracy on the same images as they are, as crops, 0 to 1.
        accuracy: Share of right answers; a face that is not found is a wrong one.
        uar: Mean recall of the expressions that the images show, likewise.
        ece: Expected calibration error of the answers given; None without any.
        found: Share of the faces found; None where nothing is searched.
        certain: Share of certain answers among those given; None without any.
        certain_right: Share of right answers among the certain ones; None without any.
        answers: Share of each expression among the answers given.
    """

    condition: str
    severity: str
    images: int
    clean: float
    accuracy: float
    uar: float
    ece: float | None
    found: float | None
    certain: float | None
    certain_right: float | None
    answers: dict[str, float]

    @property
    def kept(self) -> float:
        """Share of the clean accuracy that is left; NaN where that is 0."""
        return self.accuracy / self.clean if self.clean else float("nan")


@dataclass(frozen=True)
class Robustness:
    """What a subject did under all conditions.

    Attributes:
        subject: Its name.
        data: What was measured on, in words.
        fingerprint: Of images and labels.
        seed: Decides what the conditions draw.
        clean: The images as they are.
        cells: One per condition and severity, in the order of `CONDITIONS`.
    """

    subject: str
    data: str
    fingerprint: str
    seed: int
    clean: Cell
    cells: tuple[Cell, ...]

    def of(self, condition: str) -> list[Cell]:
        """Return a condition's cells."""
        return [cell for cell in self.cells if cell.condition == condition]

    def mean(self, condition: str, figure: str) -> float | None:
        """Return the mean of a figure of `Cell` over a condition's severities, if it has any."""
        values = [getattr(cell, figure) for cell in self.of(condition)]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions measured."""
        return tuple(dict.fromkeys(cell.condition for cell in self.cells))

    def overall(self, figure: str) -> float:
        """Return the mean of a figure over the conditions, each the mean of its severities."""
        means = (self.mean(name, figure) for name in self.conditions)
        return float(np.mean([mean for mean in means if mean is not None]))

    @property
    def kept(self) -> float:
        """The share of clean accuracy kept."""
        return self.overall("kept")

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {
            "model": self.subject,
            "data": self.data,
            "fingerprint": self.fingerprint,
            "seed": self.seed,
            "commit": git_commit(),
            "kept": _rounded(self.kept),
            "clean": _to_json(self.clean),
            "conditions": {
                name: {
                    "unit": CONDITIONS[name].unit,
                    "kept": _rounded(self.mean(name, "kept")),
                    "severities": [_to_json(cell) for cell in self.of(name)],
                }
                for name in self.conditions
            },
        }


def nearest(prediction: Prediction) -> Row | None:
    """Return the probabilities of the face nearest to the picture's middle."""
    if not prediction.faces:
        return None

    def distance(box: tuple[int, int, int, int]) -> float:
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        return abs(x - prediction.width / 2) + abs(y - prediction.height / 2)

    face = min(prediction.faces, key=lambda face: distance(face.face.box))
    return np.array(list(face.probabilities.values()), dtype=np.float32)


def sample(
    images: ImageSet, labels: Sequence[Expression], limit: int | None, seed: int
) -> ImageSet:
    """Return the images of some expressions, or `limit` of them chosen by seed.

    Raises:
        DataError: There are none.
    """
    known = np.flatnonzero(np.array([e in labels for e in images.expressions])[images.labels])
    if not len(known):
        raise DataError(f"no image shows an expression that is known ({', '.join(labels)})")
    if limit is not None and limit < len(known):
        known = np.sort(np.random.default_rng(seed).choice(known, limit, replace=False))
    return images.take(known)


def measure(
    subject: Subject,
    images: ImageSet,
    *,
    data: str,
    seed: int = 0,
    names: Sequence[str] = tuple(CONDITIONS),
    announce: Callable[[str], None] = lambda text: None,
) -> Robustness:
    """Measure a subject under conditions.

    Args:
        subject: What answers.
        images: Face crops of expressions that it knows; see `sample`.
        data: What to call them.
        seed: Decides what the conditions draw, picture by picture.
        names: The conditions.
        announce: Told each condition before it is measured.
    """
    place = np.array([_place(subject.labels, e) for e in images.expressions])
    true = place[images.labels]
    answers = subject.crops(list(images.images))
    right = answers.argmax(axis=1) == true
    cells = []
    for name in names:
        announce(name)
        chosen = np.arange(len(images))
        if CONDITIONS[name].whole:
            chosen = chosen[:: -(-len(images) // WHOLE_PATH_FACES)]
        few = images.take(chosen)
        for severity, change in CONDITIONS[name].levels.items():
            pictures = list(changed(few, name, change, seed))
            answer = subject.searched if CONDITIONS[name].whole else subject.crops
            clean = float(right[chosen].mean())
            cells.append(_cell(name, severity, answer(pictures), true[chosen], subject, clean))
    whole = _cell(CLEAN, CLEAN, answers, true, subject, float(right.mean()))
    return Robustness(subject.name, data, images.fingerprint(), seed, whole, tuple(cells))


def changed(images: ImageSet, condition: str, change: Change, seed: int) -> Iterator[Image]:
    """Yield the images under one severity of a condition."""
    for image, own in zip(images.images, images.ids, strict=True):
        picture = on_canvas(image) if CONDITIONS[condition].whole else image
        yield change(picture, generator(seed, condition, own))


def write_figures(results: Sequence[Robustness], folder: Path) -> None:
    """Write ``conditions.json`` and ``conditions.csv``, a row per subject and severity."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = tuple(dict.fromkeys(e for result in results for e in result.clean.answers))
    rows: list[list[object]] = [[*_COLUMNS, *_SHARES, *(f"answers_{e}" for e in labels)]]
    for result in results:
        for cell in (result.clean, *result.cells):
            unit = "" if cell.condition == CLEAN else CONDITIONS[cell.condition].unit
            own = [result.subject, cell.condition, unit, cell.severity, cell.images]
            shares = [cell.clean, cell.accuracy, cell.kept, cell.uar, cell.ece, cell.found]
            shares += [cell.certain, cell.certain_right]
            shares += [cell.answers.get(e) for e in labels]
            rows.append([*own, *("" if x is None else f"{x:.6f}" for x in shares)])
    write_text(folder / "conditions.csv", csv_text(rows))
    content = json.dumps([result.to_json() for result in results], indent=2)
    write_text(folder / "conditions.json", content + "\n")


def _place(labels: tuple[Expression, ...], expression: Expression) -> int:
    return labels.index(expression) if expression in labels else -1


def _cell(
    condition: str,
    severity: str,
    rows: Sequence[Row | None] | NDArray[np.float32],
    true: NDArray[np.int64],
    subject: Subject,
    clean: float,
) -> Cell:
    labels = subject.labels
    found = np.array([row is not None for row in rows])
    given = np.array([row for row in rows if row is not None]).reshape(-1, len(labels))
    answers = given.argmax(axis=1)
    hits = np.zeros(len(true), dtype=bool)
    hits[found] = answers == true[found]
    certain = given.max(axis=1, initial=0) >= subject.certainty
    size = np.bincount(true, minlength=len(labels))
    recalls = np.bincount(true, weights=hits, minlength=len(labels))[size > 0] / size[size > 0]
    shares = np.bincount(answers, minlength=len(labels)) / max(1, len(answers))
    searched = condition != CLEAN and CONDITIONS[condition].whole
    return Cell(
        condition=condition,
        severity=severity,
        images=len(true),
        clean=clean,
        accuracy=float(hits.mean()),
        uar=float(recalls.mean()),
        ece=metrics.calibration_error(given, true[found]) if len(given) else None,
        found=float(found.mean()) if searched else None,
        certain=float(certain.mean()) if len(given) else None,
        certain_right=float(hits[found][certain].mean()) if certain.any() else None,
        answers=dict(zip(map(str, labels), shares.tolist(), strict=True)),
    )


def _to_json(cell: Cell) -> dict[str, Any]:
    content = asdict(cell) | {"kept": cell.kept}
    del content["condition"]
    content["answers"] = {name: _rounded(share) for name, share in cell.answers.items()}
    return {k: _rounded(v) if isinstance(v, float) else v for k, v in content.items()}


def _rounded(value: float | None) -> float | None:
    """Return a figure for JSON, which has no NaN."""
    return None if value is None or np.isnan(value) else round(value, 6)
