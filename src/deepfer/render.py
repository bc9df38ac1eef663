"""Draw a prediction onto its photo."""

import io
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from deepfer.labels import Expression
from deepfer.types import FaceExpression, Image, Prediction

COLORS: dict[Expression, str] = {
    # Okabe and Ito's palette, which colour-blind readers can tell apart
    Expression.ANGRY: "#D55E00",
    Expression.DISGUST: "#009E73",
    Expression.FEAR: "#CC79A7",
    Expression.HAPPY: "#F0E442",
    Expression.SAD: "#0072B2",
    Expression.SURPRISE: "#E69F00",
    Expression.NEUTRAL: "#FFFFFF",
    Expression.CONTEMPT: "#56B4E9",
}
Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_NAMES = 2  # that an uncertain face's label gives; more would cover other faces and say little
_DARK = {Expression.SAD}  # backgrounds that need white text


def annotate(
    photo: Image, prediction: Prediction, names: Sequence[str] | None = None
) -> PillowImage.Image:
    """Return a copy of the photo with a box and a label on every face.

    Args:
        photo: uint8 (H, W) or (H, W, 3) RGB, the picture that was recognised.
        prediction: Its faces.
        names: What to call each face in front of its expression.
    """
    picture = PillowImage.fromarray(np.asarray(photo))
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    draw = ImageDraw.Draw(picture)
    labels: list[Rectangle] = []
    boxes = [_corners(face) for face in prediction.faces]
    for face in prediction.faces:
        _box(draw, face, line=max(1, round(min(picture.size) / 300)))
    for face, name in zip(prediction.faces, names or [""] * len(boxes), strict=True):
        labels.append(_label(draw, face, name, picture.size, labels, boxes))
    return picture


def encode(picture: PillowImage.Image, suffix: str) -> bytes:
    """Return a picture as the bytes of a JPEG (for ``.jpg`` and ``.jpeg``) or PNG file."""
    buffer = io.BytesIO()
    kind = "JPEG" if suffix.lower() in {".jpg", ".jpeg"} else "PNG"
    picture.save(buffer, kind, quality=92)
    return buffer.getvalue()


def _box(draw: ImageDraw.ImageDraw, face: FaceExpression, line: int) -> None:
    _, _, width, height = face.face.box
    corners = _corners(face)
    draw.rectangle(corners, outline="black", width=line + 2)
    draw.rectangle(
        [c + d for c, d in zip(corners, (1, 1, -1, -1), strict=True)]
        if width > 4 and height > 4
        else corners,
        outline=COLORS[face.expression],
        width=line,
    )


def _label(
    draw: ImageDraw.ImageDraw,
    face: FaceExpression,
    name: str,
    size: tuple[int, int],
    labels: list[Rectangle],
    boxes: list[Rectangle],
) -> Rectangle:
    """Draw the label above or below the box, inside the picture, clear of labels and faces."""
    x, y, width, height = face.face.box
    text = f"{name} {_words(face)}".lstrip()
    font = ImageFont.load_default(max(10, min(width / 5, min(size) / 18)))
    text_width = draw.textlength(text, font) + 6
    text_height = font.getbbox("Ag")[3] + 4
    left = min(max(0, x + width / 2 - text_width / 2), max(0, size[0] - text_width))

    def place(top: float) -> Rectangle:
        top = min(max(0, top), max(0, size[1] - text_height))
        return (left, top, left + text_width, top + text_height)

    above, below = y - text_height, y + height
    candidates = [place(above), place(below)]
    candidates += [place(above - k * text_height) for k in (1, 2)]
    candidates += [place(below + k * text_height) for k in (1, 2)]
    clear_of_labels = [c for c in candidates if not any(_overlap(c, t) for t in labels)]
    clear = [c for c in clear_of_labels if not any(_overlap(c, t) for t in boxes)]
    spot = (clear or clear_of_labels or candidates)[0]
    draw.rectangle(spot, fill=COLORS[face.expression], outline="black")
    ink = "white" if face.expression in _DARK else "black"
    draw.text((spot[0] + 3, spot[1] + 1), text, fill=ink, font=font)
    return spot


def _words(face: FaceExpression) -> str:
    if face.certain:
        return f"{face.expression} {face.probability:.0%}"
    return face.answer if len(face.possible) <= _NAMES else "uncertain"


def _corners(face: FaceExpression) -> Rectangle:
    x, y, width, height = face.face.box
    return (x, y, x + width - 1, y + height - 1)


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
