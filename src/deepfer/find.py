"""Find every face that a person would: small, turned, tilted, too close, noisy or dark.

The detector sees upright faces of 10 to 300 pixels. So a photo gets a quick first look, a finer one
where it has more pixels than were searched, and other looks (with a border, turned, smoothed, with
its contrast stretched) where nothing was found. Whatever is not surely upright is looked at again
by itself, from all sides, until its landmarks are those of an upright face.
"""

import cmath
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from deepfer.align import TEMPLATE, cut_square, similarity
from deepfer.detect import FaceDetector, resized, suppress
from deepfer.media import Photo
from deepfer.types import Face, Image

QUICK = 640
"""Long side of the first look, in pixels."""

_ENOUGH = 2e6  # pixels; up to there a large face says that the photo is of people nearby
_LARGE = 1 / 12  # a face of this share of the long side is large
_BEHIND = 1024  # long side at which larger photos of people nearby are searched for others
_FAINT = 0.6  # score at which another look's finding is worth a closer one
_AROUND, _CLOSE, _FACE = 192, 128, 58  # pixels of a closer look: surroundings, view and face
_CANDIDATES = 3  # findings of another look that get a closer one
_SURE, _STRAIGHT, _FITTING = 0.905, 6.0, 1.0  # score, degrees, pixels of 48
_FAVOUR = 0.01  # score by which another side must beat upright
_TURNS = 3  # closer looks until the landmarks are upright


class FaceFinder:
    """Finds faces and their five landmarks at any angle.

    Args:
        min_score: Faces below this score (0 to 1) are left out.
    """

    def __init__(self, *, min_score: float = 0.75) -> None:
        self.min_score = min_score
        self._faint = FaceDetector(min_score=min(_FAINT, min_score), long_side=QUICK)

    def __call__(self, photo: Image) -> list[Face]:
        """Return the faces of a photo, best score first.

        Args:
            photo: uint8 (H, W) gray or (H, W, 3) RGB.

        Returns:
            Boxes and landmarks in pixels of `photo`; boxes are clipped to it.
        """
        whole = Photo(photo, photo.shape[1], photo.shape[0], 1)
        return self.search(lambda _: whole)[1]

    def search(self, decode: Callable[[int], Photo]) -> tuple[Photo, list[Face]]:
        """Search a photo, decoded only as finely as need be.

        Args:
            decode: Returns the photo with a long side of at least so many pixels, if it has them.

        Returns:
            The photo as it was decoded last, and its faces in pixels of that.
        """
        photo = decode(QUICK)
        found = self._clear(photo.pixels, QUICK)
        side = self._finer_side(photo, found)
        if side:
            finer = decode(side)
            zoom = photo.divisor / finer.divisor
            size = finer.pixels.shape[1], finer.pixels.shape[0]
            near = [resized(face, zoom, size) for face in found]
            found = suppress([*near, *self._clear(finer.pixels, side)])
            photo = finer
        found = [self._upright(photo.pixels, face) or face for face in found]
        if not found:
            found = next(filter(None, self._other_looks(photo.pixels)), [])
        return photo, suppress(found)

    def _clear(self, photo: Image, long_side: int) -> list[Face]:
        """Return the faces of at least the score asked for."""
        seen = self._faint(photo, long_side)
        return [face for face in seen if face.detector_score >= self.min_score]

    def _finer_side(self, photo: Photo, found: list[Face]) -> int | None:
        """Return the long side at which to look once more, if that shows more."""
        long_side = max(photo.width, photo.height)
        wanted = long_side
        if any(face.box[2] * photo.divisor > _LARGE * long_side for face in found):
            wanted = _BEHIND if photo.width * photo.height > _ENOUGH else 0
        return wanted if wanted > 1.2 * QUICK else None

    def _other_looks(self, photo: Image) -> Iterator[list[Face]]:
        """Search the photo with a border, turned, smoothed and stretched, one after the other."""
        height, width = photo.shape[:2]
        centre, side = complex(width, height) / 2, max(height, width)
        pixels = min(side, QUICK)
        yield self._look(photo, centre, 1.6 * side, 0, pixels)
        for quarter in (90, 270, 180):
            yield self._look(photo, centre, side, quarter, pixels)
        for diagonal in (45, 315, 135, 225):
            yield self._look(photo, centre, 1.2 * side, diagonal, pixels)
        stretched = stretch(photo)
        yield self._look(stretched, centre, side, 0, pixels)
        if side >= 2 * _CLOSE:
            smooth = np.asarray(PillowImage.fromarray(photo).reduce(2))
            found = self._look(smooth, centre / 2, side / 2, 0, max(1, pixels // 2))
            yield [resized(face, 2, (width, height)) for face in found]

    def _look(
        self, photo: Image, centre: complex, side: float, degrees: float, pixels: int
    ) -> list[Face]:
        """Search a square of the photo, turned; what is found must stand a closer look."""
        view, turn, shift = _square(photo, centre, side, degrees, pixels)
        seen = self._faint(view)[:_CANDIDATES]
        found = [_back(face, turn, shift, photo) for face in seen]
        closer = (self._upright(photo, face) for face in found)
        return [face for face in closer if face is not None]

    def _upright(self, photo: Image, face: Face) -> Face | None:
        """Return a face with the landmarks of its own orientation; None where it is not one."""
        if _is_upright(face):
            return face
        side = _AROUND * max(face.box[2:]) / _FACE
        around, turn, shift = _square(photo, _middle(face), side, 0, _AROUND)
        middle = complex(_AROUND, _AROUND) / 2
        best = self._closer(around, middle, 0)
        if best is None or not _is_upright(best):
            others = (self._closer(around, middle, quarter) for quarter in (90, 180, 270))
            sides = zip((0, 90, 180, 270), (best, *others), strict=True)
            straight = (self._straightened(around, *side) for side in sides)
            best = max(filter(None, straight), key=_preference, default=None)
        if best is None or best.detector_score < self.min_score:
            return None
        found = _back(best, turn, shift, photo)
        return replace(found, detector_score=max(best.detector_score, face.detector_score))

    def _straightened(self, around: Image, degrees: float, seen: Face | None) -> Face | None:
        """Look at a face from where its landmarks say that it is upright.

        Args:
            around: The face in the middle of its surroundings, `_FACE` pixels wide.
            degrees: The side it was seen from.
            seen: The face as it was seen from there, if it was.
        """
        for _ in range(_TURNS):
            if seen is None or abs(_turned(_posture(seen)[0], degrees)) < _STRAIGHT:
                break
            degrees = _posture(seen)[0]
            seen = self._closer(around, _middle(seen), degrees)
        return seen

    def _closer(self, around: Image, middle: complex, degrees: float) -> Face | None:
        view, turn, shift = _square(around, middle, _CLOSE, degrees, _CLOSE)
        centre = complex(_CLOSE, _CLOSE) / 2
        for face in self._faint(view):
            near = abs(_middle(face) - centre) < _FACE / 2
            if near and 0.4 * _FACE < max(face.box[2:]) < 1.8 * _FACE:
                return _back(face, turn, shift, around)
        return None


def stretch(photo: Image) -> Image:
    """Return a photo whose gray levels, but for the outer hundredths, fill the whole range."""
    counts = np.bincount(photo.reshape(-1), minlength=256).cumsum()
    low = int(np.searchsorted(counts, counts[-1] // 100, side="right"))
    high = int(np.searchsorted(counts, counts[-1] - counts[-1] // 100))
    levels = (np.arange(256) - low) * 255 // max(1, high - low)
    return np.clip(levels, 0, 255).astype(np.uint8)[photo]


def _square(
    photo: Image, centre: complex, side: float, degrees: float, pixels: int
) -> tuple[Image, complex, complex]:
    """Return a turned square of a photo, and the turn and shift from it to the photo."""
    turn = cmath.rect(side / pixels, math.radians(degrees))
    shift = centre - turn * complex(pixels, pixels) / 2
    return cut_square(photo, turn, shift, pixels), turn, shift


def _turned(degrees: float, other: float) -> float:
    """Return the turn from one angle to another, -180 to 180."""
    return (degrees - other + 180) % 360 - 180


def _preference(face: Face) -> float:
    upright = abs(_posture(face)[0]) < 45
    return face.detector_score + _FAVOUR * upright


def _middle(face: Face) -> complex:
    x, y, width, height = face.box
    return complex(x + width / 2, y + height / 2)


def _is_upright(face: Face) -> bool:
    """Whether a face is surely upright: those on their side or head score less, or fit worse."""
    roll, misfit = _posture(face)
    return face.detector_score >= _SURE and abs(roll) <= _STRAIGHT and misfit <= _FITTING


def _back(face: Face, turn: complex, shift: complex, photo: Image) -> Face:
    """Return a face of a view in the photo's pixels; its box stays level and keeps its size."""
    middle = turn * _middle(face) + shift
    width, height = face.box[2:]
    if abs(turn.imag) > abs(turn.real):
        width, height = height, width
    wide, high = width * abs(turn), height * abs(turn)
    rows, columns = photo.shape[:2]
    left, right = (min(max(0, round(middle.real + s * wide / 2)), columns) for s in (-1, 1))
    top, bottom = (min(max(0, round(middle.imag + s * high / 2)), rows) for s in (-1, 1))
    landmarks = None
    if face.landmarks is not None:
        points = turn * _complex(face.landmarks) + shift
        landmarks = np.stack([points.real, points.imag], axis=1).astype(np.float32)
    return replace(face, box=(left, top, right - left, bottom - top), landmarks=landmarks)


def _posture(face: Face) -> tuple[float, float]:
    """Return a face's roll in degrees, and how far its landmarks lie off, in pixels of 48."""
    assert face.landmarks is not None  # noqa: S101 (detectors give them)
    template, points = TEMPLATE.astype(np.float64), face.landmarks.astype(np.float64)
    turn, shift = similarity(template, points)
    off = np.abs(turn * _complex(template) + shift - _complex(points)) / abs(turn)
    return math.degrees(cmath.phase(turn)), float(np.sqrt((off**2).mean()))


def _complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1], dtype=np.complex128)
