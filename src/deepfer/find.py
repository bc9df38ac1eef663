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

from deepfer.align import TEMPLATE, cut, similarity
from deepfer.detect import FaceDetector, resized, search_ratio, suppress
from deepfer.media import Photo
from deepfer.preprocess import to_gray
from deepfer.types import Face, Image

QUICK = 640
"""Long side of the first look, in pixels."""

_ENOUGH = 2.1e6  # pixels; up to there a large face says that the photo is of people nearby
_LARGE = 1 / 12  # a face of this share of the long side is large
_BEHIND = 960  # long side at which larger photos of people nearby are searched for others
_TURNED = 480  # long side of looks at turned copies
_FAINT = 0.6  # score at which another look's finding is worth a closer one
_AROUND, _CLOSE, _FACE = 384, 256, 116  # pixels of a closer look: surroundings, view, face
_CANDIDATES = 3  # findings of another look that get a closer one
_STRAIGHT = 8.0  # degrees: upright in a closer look
_SURE = (52, 0.8), (90, 0.88), (math.inf, 0.905)
"""Scores that no face on its side or head gets, by its width as it was searched: of 3,000 turned
portraits of JAFFE and CK+ 5 did, of upright ones 1 in 100 does not."""

_LEVEL = 15.0  # degrees: upright in the first look, at most a 15th of the face's width there
_FAVOUR = 0.01  # score by which another side must beat upright
_TURNS = 2  # closer looks until the landmarks are upright


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
        long_side = max(photo.pixels.shape[:2])
        if not any(face.box[2] > _LARGE * long_side for face in found):
            finer, side = None, max(photo.width, photo.height)
        elif photo.width * photo.height > _ENOUGH:
            finer, side = photo, min(_BEHIND, long_side)
        else:
            finer, side = photo, 0
        if side > 1.2 * QUICK:
            finer = finer or decode(side)
            zoom = photo.divisor / finer.divisor
            size = finer.pixels.shape[1], finer.pixels.shape[0]
            coarse = [resized(face, zoom, size) for face in found]
            found = suppress([*coarse, *self._clear(finer.pixels, side)])
            photo = finer
        else:
            side = QUICK
        found, unsure = self._checked(photo.pixels, found, side)
        if found:
            found += unsure
        else:
            found = next(filter(None, self._other_looks(to_gray(photo.pixels))), unsure)
        for quarter in sorted({quarter_of(face) for face in found} - {0}):
            found = [*found, *self.again(photo.pixels, quarter, side)]
        return photo, suppress(found)

    def again(self, photo: Image, quarter: int, long_side: int) -> list[Face]:
        """Return the faces of a photo that is like one searched before, as the next of a video.

        Args:
            photo: uint8 (H, W) gray or (H, W, 3) RGB.
            quarter: Quarter turns to the left that bring most faces upright.
            long_side: At which the faces are large enough to be seen.

        Returns:
            As `__call__`.
        """
        turned = np.ascontiguousarray(np.rot90(photo, quarter))
        sure, unsure = self._checked(turned, self._clear(turned, long_side), long_side)
        found = [*sure, *unsure]
        turn, shift = _quarter_turn(quarter, photo.shape)
        return suppress([_back(face, turn, shift, photo) for face in found] if quarter else found)

    def _clear(self, photo: Image, long_side: int) -> list[Face]:
        """Return the faces of at least the score asked for."""
        seen = self._faint(photo, long_side)
        return [face for face in seen if face.detector_score >= self.min_score]

    def _checked(
        self, photo: Image, found: list[Face], long_side: int
    ) -> tuple[list[Face], list[Face]]:
        """Return faces of a search with the landmarks of their own orientation.

        Returns:
            Those that are surely upright or stood a closer look, and the others.
        """
        ratio = search_ratio(max(photo.shape[:2]), long_side)
        sure = [face for face in found if _is_upright(face, ratio)]
        doubtful = [face for face in found if not _is_upright(face, ratio)]
        if not doubtful:
            return sure, []
        gray = to_gray(photo)
        closer = [self._upright(gray, face) for face in doubtful]
        unsure = [face for face, seen in zip(doubtful, closer, strict=True) if seen is None]
        return [*sure, *filter(None, closer)], unsure

    def _other_looks(self, photo: Image) -> Iterator[list[Face]]:
        """Search a gray photo with a border, turned, stretched and smoothed, one by one."""
        zoom = max(1.0, max(photo.shape) / QUICK)
        high, wide = (max(1, round(n / zoom)) for n in photo.shape)
        small = _resized(photo, wide, high)
        side = max(small.shape)
        turned = min(side, _TURNED)
        yield self._look(photo, small, zoom, 1.6 * side, 0, side)
        for quarter in (90, 270, 180):
            yield self._look(photo, small, zoom, side, quarter, turned)
        for diagonal in (45, 315, 135, 225):
            yield self._look(photo, small, zoom, 1.2 * side, diagonal, turned)
        # closer looks at these, too, see what the photo itself does not show
        high, wide = small.shape
        softer = _resized(small, max(1, 2 * wide // 3), max(1, 2 * high // 3))
        smooth = np.asarray(PillowImage.fromarray(small).reduce(2))
        others = (stretch(small), 1), (_resized(softer, wide, high), 1), (smooth, 2)
        for other, times in others:
            found = self._look(other, other, 1, side / times, 0, max(1, side // times))
            yield [_back(face, complex(times * zoom), 0j, photo) for face in found]

    def _look(
        self, photo: Image, small: Image, zoom: float, side: float, degrees: float, pixels: int
    ) -> list[Face]:
        """Search a square around the middle of the photo; what it shows must stand a closer look.

        Args:
            photo: uint8 (H, W).
            small: The photo, shrunk.
            zoom: By so much.
            side: Of the square, in pixels of `small`.
            degrees: By which the square is turned.
            pixels: At which the square is searched.
        """
        middle = complex(small.shape[1], small.shape[0]) / 2
        view, turn, shift = _square(small, middle, side, degrees, pixels)
        seen = self._faint(view)[:_CANDIDATES]
        found = [_back(face, zoom * turn, zoom * shift, photo) for face in seen]
        ratio = search_ratio(pixels, QUICK) / abs(zoom * turn)
        closer = (f if _is_upright(f, ratio) else self._upright(photo, f) for f in found)
        return [face for face in closer if face and face.detector_score >= self.min_score]

    def _upright(self, photo: Image, face: Face) -> Face | None:
        """Return a face with the landmarks of its own orientation; None where it is not one.

        Args:
            photo: uint8 (H, W).
            face: In its pixels, as some look found it.
        """
        side = _AROUND * max(face.box[2:]) / _FACE
        around, turn, shift = _square(photo, _middle(face), side, 0, _AROUND)
        # a larger face's own landmarks follow its turn better
        sides = [_back(face, 1 / turn, -shift / turn, around), *self._from_all_sides(around)]
        straight = (self._straightened(around, side) for side in sides)
        best = max(filter(None, straight), key=_preference, default=None)
        if best is None or best.detector_score < self.min_score:
            return None
        found = _back(best, turn, shift, photo)
        return replace(found, detector_score=max(best.detector_score, face.detector_score))

    def _straightened(self, around: Image, seen: Face) -> Face | None:
        """Look at a face from where its landmarks say that it is upright, until it is.

        Args:
            around: The face in the middle of its surroundings, `_FACE` pixels wide.
            seen: The face as it was seen.
        """
        face: Face | None = seen
        for _ in range(_TURNS):
            degrees = round(_roll(seen))
            face = self._closer(around, _middle(seen), degrees)
            if face is None or abs(_turned(_roll(face), degrees)) < _STRAIGHT:
                break
            seen = face
        return face

    def _from_all_sides(self, around: Image) -> list[Face]:
        """Look at what is in the middle of a square from four sides, in one picture.

        Returns:
            The face as it is seen from each side where it is.
        """
        edge = (_AROUND - _CLOSE) // 2
        view = around[edge : edge + _CLOSE, edge : edge + _CLOSE]
        views = [np.rot90(view, quarter) for quarter in range(4)]
        seen = self._faint(np.block([views[:2], views[2:]]), 2 * _CLOSE)
        found = []
        for quarter in range(4):
            turn, shift = _quarter_turn(quarter, view.shape)
            corner = complex(quarter % 2, quarter // 2) * _CLOSE
            face = _in_the_middle(seen, corner)
            if face is not None:
                place = complex(edge, edge) + shift - turn * corner
                found.append(_back(face, turn, place, around))
        return found

    def _closer(self, around: Image, middle: complex, degrees: float) -> Face | None:
        view, turn, shift = _square(around, middle, _CLOSE, degrees, _CLOSE)
        seen = self._faint(view)  # enlarged: landmarks follow turns better
        face = _in_the_middle(seen, 0)
        return None if face is None else _back(face, turn, shift, around)


def stretch(photo: Image) -> Image:
    """Return a photo whose gray levels, but for the outer hundredths, fill the whole range."""
    counts = np.bincount(photo.reshape(-1), minlength=256).cumsum()
    low = int(np.searchsorted(counts, counts[-1] // 100, side="right"))
    high = int(np.searchsorted(counts, counts[-1] - counts[-1] // 100))
    levels = (np.arange(256) - low) * 255 // max(1, high - low)
    return np.clip(levels, 0, 255).astype(np.uint8)[photo]


def quarter_of(face: Face) -> int:
    """Return the quarter turns to the left, 0 to 3, that bring a face nearest to upright."""
    return 0 if face.landmarks is None else round(_roll(face) / 90) % 4


def _in_the_middle(faces: list[Face], corner: complex) -> Face | None:
    """Return the best face of a closer look whose view has its upper left corner there."""
    centre = corner + complex(_CLOSE, _CLOSE) / 2
    for face in faces:
        near = abs(_middle(face) - centre) < _FACE / 2
        if near and 0.4 * _FACE < max(face.box[2:]) < 1.8 * _FACE:
            return face
    return None


def _quarter_turn(quarter: int, shape: tuple[int, ...]) -> tuple[complex, complex]:
    """Return turn and shift from a picture turned left by quarters to one of this shape."""
    centre = complex(shape[1], shape[0]) / 2
    turn = complex(round(math.cos(quarter * math.pi / 2)), round(math.sin(quarter * math.pi / 2)))
    middle = complex(centre.imag, centre.real) if quarter % 2 else centre
    return turn, centre - turn * middle


def _square(
    photo: Image, centre: complex, side: float, degrees: float, pixels: int
) -> tuple[Image, complex, complex]:
    """Return a turned square of a gray photo, and the turn and shift from it to the photo.

    Beyond the photo its border is repeated.
    """
    turn = cmath.rect(side / pixels, math.radians(degrees))
    shift = centre - turn * complex(pixels, pixels) / 2
    reach = side * (abs(turn.real) + abs(turn.imag)) / abs(turn) / 2
    left, top = math.floor(centre.real - reach), math.floor(centre.imag - reach)
    length = math.ceil(2 * reach) + 1
    region = cut(photo, left, top, left + length, top + length)
    size = max(1, round(length * pixels / side))
    region = _resized(region, size, size)
    # what is left is a turn and shift by parts of a pixel
    scale = size / length
    step, origin = turn * scale, (shift - complex(left, top)) * scale
    matrix = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    view = PillowImage.fromarray(region).transform(
        (pixels, pixels),
        PillowImage.Transform.AFFINE,
        matrix,
        PillowImage.Resampling.BILINEAR,
    )
    return np.asarray(view), turn, shift


def _resized(photo: Image, width: int, height: int) -> Image:
    if photo.shape == (height, width):
        return photo
    bilinear = PillowImage.Resampling.BILINEAR
    picture = PillowImage.fromarray(photo).resize((width, height), bilinear, reducing_gap=2.0)
    return np.asarray(picture)


def _turned(degrees: float, other: float) -> float:
    """Return the turn from one angle to another, -180 to 180."""
    return (degrees - other + 180) % 360 - 180


def _preference(face: Face) -> float:
    upright = abs(_roll(face)) < 45
    return face.detector_score + _FAVOUR * upright


def _middle(face: Face) -> complex:
    x, y, width, height = face.box
    return complex(x + width / 2, y + height / 2)


def _is_upright(face: Face, ratio: float) -> bool:
    """Whether a face is surely upright, `ratio` being the searched picture's size over its own."""
    width = ratio * max(face.box[2:])
    sure = next(score for limit, score in _SURE if width < limit)
    # the landmarks of small faces hardly follow a turn
    return face.detector_score >= sure and abs(_roll(face)) <= min(_LEVEL, width / 15)


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


def _roll(face: Face) -> float:
    """Return a face's roll in degrees."""
    assert face.landmarks is not None  # noqa: S101 (detectors give them)
    turn, _ = similarity(TEMPLATE.astype(np.float64), face.landmarks.astype(np.float64))
    return math.degrees(cmath.phase(turn))


def _complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1], dtype=np.complex128)
