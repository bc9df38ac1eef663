"""The frozen values that travel between stages. No behaviour beyond reading them."""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deepfer.labels import Expression

Image: TypeAlias = NDArray[np.uint8]
"""uint8 pixels, (H, W) gray or (H, W, 3) RGB (never BGR)."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in a picture.

    Attributes:
        box: x, y, width, height in pixels of the picture (after EXIF rotation), clipped to it.
        landmarks: float32 (5, 2), x and y in pixels: the subject's right eye, left eye, nose
            tip, right mouth corner, left mouth corner. None when the face was not detected but
            given as a whole picture.
        detector_score: 0 to 1; 1 when the face was given as a whole picture.
    """

    box: tuple[int, int, int, int]
    landmarks: NDArray[np.float32] | None = field(compare=False)
    detector_score: float


@dataclass(frozen=True, slots=True)
class FaceExpression:
    """One face and its expression.

    Attributes:
        face: Where the face is.
        probabilities: Calibrated probability per expression, 0 to 1, summing to 1, in the
            model's label order.
    """

    face: Face
    probabilities: dict[Expression, float]

    @property
    def expression(self) -> Expression:
        """The most probable expression."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def probability(self) -> float:
        """The probability of the most probable expression."""
        return self.probabilities[self.expression]


@dataclass(frozen=True, slots=True)
class Prediction:
    """All faces of one picture.

    Attributes:
        source: The path as it was given, or a name for pictures that came without one.
        width: Width of the picture in pixels, after EXIF rotation.
        height: Height of the picture in pixels, after EXIF rotation.
        model: Name of the model that classified the faces, such as ``deepfer_fast-fer2013@1``.
        labels: The expressions that the model tells apart.
        faces: One entry per face, best detector score first.
    """

    source: str
    width: int
    height: int
    model: str
    labels: tuple[Expression, ...]
    faces: tuple[FaceExpression, ...]
