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
class Pose:
    """Where a face is turned, in degrees; about 5 of yaw, 6 of pitch and 3 of roll are uncertain.

    Attributes:
        yaw: Above 0 where it looks to the picture's right.
        pitch: Above 0 where it looks up.
        roll: -180 to 180; above 0 where it is tilted clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What makes a face easy or hard to read.

    Attributes:
        size: The shorter side of the face's box, in pixels of the photo.
        sharpness: How strong the finest details are in the face as the network sees it, by its
            contrast; 0 and above, see `deepfer.quality.sharpness_of`.
        light: Mean of the face as the network sees it, 0 for black to 1 for white.
        pose: Where it is turned; None for a face given as a whole picture.
        notes: What is poor, of `deepfer.quality.NOTES`.
    """

    size: int
    sharpness: float
    light: float
    pose: Pose | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaceExpression:
    """One face and its expression.

    Attributes:
        face: Where the face is.
        probabilities: Calibrated probability per expression, 0 to 1, summing to 1, in the
            model's label order.
        certain: Whether the most probable expression is probable enough to count.
        possible: What people may see, most probable first: the fewest expressions that hold what
            one person says nine times in ten.
        quality: What makes the face easy or hard to read.
    """

    face: Face
    probabilities: dict[Expression, float]
    certain: bool
    possible: tuple[Expression, ...]
    quality: Quality

    @property
    def expression(self) -> Expression:
        """The most probable expression."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def probability(self) -> float:
        """The probability of the most probable expression."""
        return self.probabilities[self.expression]

    @property
    def answer(self) -> str:
        """The expression, or ``uncertain:`` and what people may see."""
        return str(self.expression) if self.certain else f"uncertain: {' or '.join(self.possible)}"


@dataclass(frozen=True, slots=True)
class Prediction:
    """All faces of one picture.

    Attributes:
        source: The path as it was given, or a name for pictures that came without one.
        width: Width of the picture in pixels, after EXIF rotation.
        height: Height of the picture in pixels, after EXIF rotation.
        model: Name of the model that classified the faces, such as ``deepfer_fast-ferplus@1``.
        prior: How often each expression was expected: ``photos``, ``balanced``, or the shares.
        labels: The expressions that the model tells apart.
        faces: One entry per face, best detector score first.
    """

    source: str
    width: int
    height: int
    model: str
    prior: str
    labels: tuple[Expression, ...]
    faces: tuple[FaceExpression, ...]
