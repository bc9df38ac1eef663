"""Who is who from frame to frame, and probabilities without flicker."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deepfer.types import Face, Image

Thumbnail: TypeAlias = NDArray[np.float32]
"""(24, 32) gray, 0 to 255."""

_KEEP = 2.0  # seconds that a face may be out of sight and keep its id
_NEAR = 0.7  # a face moves by at most so many of its widths between two frames ...
_SPEED = 0.9  # ... and may drift so many more per second out of sight
_CHANGED = 15.0  # change of gray (0 to 255) that counts as another picture there
_CUT = 0.65  # a new scene changes at least this share of a thumbnail
_THUMBNAIL = (24, 32)


@dataclass
class _Track:
    id: int
    centre: NDArray[np.float64]
    velocity: NDArray[np.float64]  # pixels per second
    size: float
    seen: float


class Tracker:
    """Gives faces stable ids: the same through short occlusions, new ones after a cut."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._next = 1
        self._thumbnail: Thumbnail | None = None

    def update(self, time: float, faces: list[Face], shown: Thumbnail) -> list[int]:
        """Return an id per face.

        Args:
            time: Seconds.
            faces: Faces of this frame.
            shown: The frame, to notice cuts.
        """
        if self._thumbnail is not None and not same_scene(self._thumbnail, shown):
            self._tracks = []
        self._thumbnail = shown
        self._tracks = [t for t in self._tracks if time - t.seen <= _KEEP]
        centres = [box_centre(face) for face in faces]
        sizes = [box_side(face) for face in faces]
        pairs = sorted(
            (distance, i, j)
            for i, (centre, size) in enumerate(zip(centres, sizes, strict=True))
            for j, track in enumerate(self._tracks)
            if (distance := _distance(track, time, centre, size)) is not None
        )
        found: dict[int, _Track] = {}
        for _, i, j in pairs:  # nearest first
            if i not in found and self._tracks[j] not in found.values():
                found[i] = self._tracks[j]
        ids = []
        for i, (centre, size) in enumerate(zip(centres, sizes, strict=True)):
            track = found.get(i)
            if track is None:
                track = _Track(self._next, centre, np.zeros(2), size, time)
                self._next += 1
                self._tracks.append(track)
            elif time > track.seen:
                velocity = (centre - track.centre) / (time - track.seen)
                track.velocity = 0.5 * track.velocity + 0.5 * velocity
                track.centre, track.seen = centre, time
                track.size = 0.7 * track.size + 0.3 * size
            ids.append(track.id)
        return ids


class Smoother:
    """Averages each face's probabilities over time, recent ones weighing more.

    Args:
        seconds: The time after which a change has reached 63 % of its height.
    """

    def __init__(self, seconds: float = 0.4) -> None:
        self.seconds = seconds
        self._state: dict[int, tuple[float, NDArray[np.float64]]] = {}

    def update(
        self, id_: int, time: float, probabilities: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return smoothed probabilities (K,), summing to 1."""
        values = probabilities
        if id_ in self._state:
            then, before = self._state[id_]
            share = 1 - math.exp(-(time - then) / self.seconds)
            values = before + share * (values - before)
        self._state[id_] = time, values
        if len(self._state) > 1000:  # faces long gone
            self._state = {k: v for k, v in self._state.items() if time - v[0] <= _KEEP}
        return values


def thumbnail(picture: Image) -> Thumbnail:
    """Return a few pixels of a gray picture, uint8 (H, W)."""
    rows, columns = (
        np.linspace(0, n - 1, m).round().astype(int)
        for n, m in zip(picture.shape, _THUMBNAIL, strict=True)
    )
    small: Thumbnail = picture[rows[:, None], columns].astype(np.float32)
    return small


def same_scene(before: Thumbnail, after: Thumbnail) -> bool:
    """Return whether two frames show one scene; False after a cut."""
    return float((np.abs(after - before) > _CHANGED).mean()) <= _CUT


def box_side(face: Face) -> float:
    """Return the side in pixels of a square as large as the face's box."""
    return math.sqrt(face.box[2] * face.box[3])


def box_centre(face: Face) -> NDArray[np.float64]:
    """Return x and y of the middle of the face's box, in pixels."""
    x, y, width, height = face.box
    return np.array([x + width / 2, y + height / 2])


def _distance(track: _Track, time: float, centre: NDArray[np.float64], size: float) -> float | None:
    """Return how far the face is from where the track should be, in widths; None if too far."""
    away = time - track.seen
    ratio = size / track.size
    if not 0.5 <= ratio <= 2:
        return None
    # what moved on and what stood still are both likely once a face was out of sight
    moved = track.centre + track.velocity * min(away, 0.5)
    distance = min(float(np.hypot(*(centre - place))) for place in (moved, track.centre))
    distance /= max(track.size, size)
    return distance if distance <= _NEAR + _SPEED * away else None
