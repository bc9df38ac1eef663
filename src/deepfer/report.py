"""Predictions as text: a table for people, JSON lines and CSV rows for programs.

`face_record` says what is told of a face, and in which order; all outputs, of photos, videos,
batches, the camera and the service, are made of it.
"""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from deepfer.labels import Expression
from deepfer.types import FaceExpression, Prediction

SCHEMA = 2
_ANGLES = ("yaw", "pitch", "roll")
_SEPARATOR = "|"  # between the names in one cell of a table


def face_record(face: FaceExpression, now: FaceExpression | None = None) -> dict[str, Any]:
    """Return what is told of a face, JSON-ready.

    Args:
        face: The face; in videos with smoothed probabilities, which then decide.
        now: In videos, the same face with the probabilities of its frame alone.

    Returns:
        ``box`` is x, y, width, height in pixels, ``pose`` in degrees or None; probabilities run
        from 0 to 1 and come in canonical order, whatever the model's.
    """
    quality, pose = face.quality, face.quality.pose
    record = {
        "box": list(face.face.box),
        "detector_score": round(face.face.detector_score, 4),
        "expression": str(face.expression),
        "probability": round(face.probability, 6),
        "certain": face.certain,
        "possible": [str(e) for e in face.possible],
        "pose": None
        if pose is None
        else {angle: round(getattr(pose, angle), 1) + 0.0 for angle in _ANGLES},  # no -0.0
        "sharpness": round(quality.sharpness, 3),
        "light": round(quality.light, 3),
        "size": quality.size,
        "notes": list(quality.notes),
        "probabilities": _rounded(now or face),
    }
    return record if now is None else {**record, "smoothed": _rounded(face)}


def face_columns(labels: Sequence[Expression], *, smoothed: bool = False) -> dict[str, type]:
    """Return the columns of `face_row` with their types."""
    names = _in_order(labels)
    return {
        "x": int,
        "y": int,
        "box_width": int,
        "box_height": int,
        "detector_score": float,
        "expression": str,
        "probability": float,
        "certain": bool,
        "possible": str,
        **dict.fromkeys(_ANGLES, float),
        "sharpness": float,
        "light": float,
        "size": int,
        "notes": str,
        **{f"p_{name}": float for name in names},
        **({f"s_{name}": float for name in names} if smoothed else {}),
    }


def face_row(face: FaceExpression, now: FaceExpression | None = None) -> list[Any]:
    """Return `face_record` as one row of a table: lists of names become one cell, ``sad|fear``."""
    row: list[Any] = []
    for name, value in face_record(face, now).items():
        if name == "box":
            row += value
        elif name == "pose" and value is None:
            row += [None] * len(_ANGLES)
        elif isinstance(value, dict):
            row += value.values()
        else:
            row.append(_SEPARATOR.join(value) if isinstance(value, list) else value)
    return row


def to_json(prediction: Prediction) -> dict[str, Any]:
    """Return one photo's result as JSON-ready values; see `face_record`."""
    return {
        "schema": SCHEMA,
        "source": prediction.source,
        "width": prediction.width,
        "height": prediction.height,
        "model": prediction.model,
        "prior": prediction.prior,
        "faces": [face_record(face) for face in prediction.faces],
    }


def to_json_line(prediction: Prediction) -> str:
    """Return one photo's result as one line of JSON."""
    return json.dumps(to_json(prediction), ensure_ascii=False, separators=(",", ":"))


def csv_header(labels: Sequence[Expression]) -> str:
    """Return the header line of `csv_rows`."""
    return ",".join(["source,width,height,model,prior,face", *face_columns(labels)])


def csv_rows(prediction: Prediction) -> str:
    """Return one line per face; a photo without faces gives one with empty face columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    photo = [prediction.source, prediction.width, prediction.height]
    photo += [prediction.model, prediction.prior]
    if not prediction.faces:
        writer.writerow([*photo, 0, *[""] * len(face_columns(prediction.labels))])
    for i, face in enumerate(prediction.faces, start=1):
        writer.writerow([*photo, i, *face_row(face)])
    return text.getvalue().rstrip("\n")


def table_rows(prediction: Prediction) -> str:
    """Return one photo's result as text for people: a line per face, probabilities in percent."""
    count = len(prediction.faces)
    faces = "no face" if count == 0 else "1 face" if count == 1 else f"{count} faces"
    lines = [f"{prediction.source} ({prediction.width}x{prediction.height}): {faces}"]
    if count:
        names = _in_order(prediction.labels)
        header = "  ".join(f"{name:>8}" for name in names)
        lines.append(f"  {'face':<4}  {'box':<19}  {'expression':<10}  {header}   (percent)")
    for i, face in enumerate(prediction.faces, start=1):
        x, y, width, height = face.face.box
        percents = "  ".join(f"{100 * p:8.1f}" for p in _ordered(face).values())
        box = f"{width}x{height} at {x},{y}"
        remarks = [*([] if face.certain else [face.answer]), *face.quality.notes]
        line = f"  {i:<4}  {box:<19}  {face.expression:<10}  {percents}   {', '.join(remarks)}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _in_order(labels: Sequence[Expression]) -> list[Expression]:
    return [e for e in Expression if e in labels]


def _rounded(face: FaceExpression) -> dict[str, float]:
    return {str(e): round(p, 6) for e, p in _ordered(face).items()}


def _ordered(face: FaceExpression) -> dict[Expression, float]:
    """Return the probabilities in canonical order, whatever the model's."""
    return {e: face.probabilities[e] for e in _in_order(list(face.probabilities))}
