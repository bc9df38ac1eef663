"""Predictions as text: a table for people, JSON lines and CSV rows for programs."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from deepfer.labels import Expression
from deepfer.types import FaceExpression, Prediction

SCHEMA = 1


def to_json(prediction: Prediction) -> dict[str, Any]:
    """Return one photo's result as JSON-ready values.

    Boxes are x, y, width, height in pixels; probabilities run from 0 to 1.
    """
    return {
        "schema": SCHEMA,
        "source": prediction.source,
        "width": prediction.width,
        "height": prediction.height,
        "model": prediction.model,
        "faces": [
            {
                "box": list(face.face.box),
                "detector_score": round(face.face.detector_score, 4),
                "expression": str(face.expression),
                "probability": round(face.probability, 6),
                "probabilities": {str(e): round(p, 6) for e, p in _ordered(face).items()},
            }
            for face in prediction.faces
        ],
    }


def to_json_line(prediction: Prediction) -> str:
    """Return one photo's result as one line of JSON."""
    return json.dumps(to_json(prediction), ensure_ascii=False, separators=(",", ":"))


def csv_header(labels: Sequence[Expression]) -> str:
    """Return the header line of `csv_rows`."""
    fixed = "source,width,height,model,face,x,y,box_width,box_height,detector_score"
    return f"{fixed},expression,probability,{','.join(_in_order(labels))}"


def csv_rows(prediction: Prediction) -> str:
    """Return one line per face; a photo without faces gives one with empty face columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    photo = [prediction.source, prediction.width, prediction.height, prediction.model]
    if not prediction.faces:
        writer.writerow([*photo, 0, *[""] * (7 + len(prediction.labels))])
    for i, face in enumerate(prediction.faces, start=1):
        writer.writerow(
            [
                *photo,
                i,
                *face.face.box,
                f"{face.face.detector_score:.4f}",
                str(face.expression),
                f"{face.probability:.6f}",
                *(f"{p:.6f}" for p in _ordered(face).values()),
            ]
        )
    return text.getvalue().rstrip("\n")


def table_rows(prediction: Prediction) -> str:
    """Return one photo's result as text for people: a line per face, probabilities in percent."""
    count = len(prediction.faces)
    faces = "no face" if count == 0 else "1 face" if count == 1 else f"{count} faces"
    lines = [f"{prediction.source} ({prediction.width}x{prediction.height}): {faces}"]
    if count:
        names = _in_order(list(prediction.faces[0].probabilities))
        header = "  ".join(f"{name:>8}" for name in names)
        lines.append(f"  {'face':<4}  {'box':<19}  {'expression':<10}  {header}   (percent)")
    for i, face in enumerate(prediction.faces, start=1):
        x, y, width, height = face.face.box
        percents = "  ".join(f"{100 * p:8.1f}" for p in _ordered(face).values())
        box = f"{width}x{height} at {x},{y}"
        lines.append(f"  {i:<4}  {box:<19}  {face.expression:<10}  {percents}")
    return "\n".join(lines)


def _in_order(labels: Sequence[Expression]) -> list[Expression]:
    return [e for e in Expression if e in labels]


def _ordered(face: FaceExpression) -> dict[Expression, float]:
    """Return the probabilities in canonical order, whatever the model's."""
    return {e: face.probabilities[e] for e in _in_order(list(face.probabilities))}
