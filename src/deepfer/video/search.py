"""Find the faces of a video's frames: search some frames, and fill in those between.

A face hardly moves in a tenth of a second. Where two searched frames show the same faces in about
the same places, those between are filled in on straight lines; where they do not (someone comes,
leaves, moves quickly, or the scene changes), every frame between is searched, and so is a frame
that looks like neither (a flash, a black frame).
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from deepfer.detect import resized
from deepfer.pipeline import Recognizer
from deepfer.types import Face
from deepfer.video.frames import Frame
from deepfer.video.tracking import Thumbnail, box_centre, box_side, same_scene, thumbnail

_NEAR = 0.3  # a face that moves further, in its widths, between two searches moves quickly
_ALIKE = 0.8  # the least ratio of its sizes
LONGEST = 8
"""The most frames between two searched ones: they wait in memory."""


@dataclass(frozen=True)
class Searched:
    """A frame and where its faces are.

    Attributes:
        frame: The frame.
        faces: Best detector score first. In frames between two searched ones, boxes, landmarks
            and scores lie on straight lines between theirs.
        thumbnail: To notice changes of scene.
    """

    frame: Frame
    faces: list[Face]
    thumbnail: Thumbnail


_Stretch: TypeAlias = tuple[list[Frame], Future[Searched]]  # frames, and a searched one after them


def search(
    frames: Iterator[Frame],
    recognizer: Recognizer,
    pool: ThreadPoolExecutor,
    *,
    every: float,
    ahead: int,
) -> Iterator[Searched]:
    """Yield every frame with its faces, in order.

    Args:
        frames: In the order of their times.
        recognizer: What finds faces.
        pool: Threads that search side by side.
        every: The least seconds from one searched frame to the next; 0 to search all. At most
            `LONGEST` frames in a row are not searched.
        ahead: Frames that are taken, and their searches begun, before they are asked for. With
            0, a frame is taken only when it is asked for.
    """
    before: Searched | None = None
    for between, found in _begun(_stretches(frames, recognizer, pool, every), ahead):
        after = found.result()
        if before is not None and (pairs := _same_faces(before, after)) is not None:
            done = [
                pool.submit(_fill, frame, before, after, pairs, recognizer) for frame in between
            ]
        else:
            done = [pool.submit(_search, frame, recognizer) for frame in between]
        yield from (one.result() for one in done)
        yield after
        before = after


def _stretches(
    frames: Iterator[Frame], recognizer: Recognizer, pool: ThreadPoolExecutor, every: float
) -> Iterator[_Stretch]:
    between: list[Frame] = []
    due = -np.inf
    for frame in frames:
        if every and frame.time + 1e-9 < due and len(between) < LONGEST:
            between.append(frame)
            continue
        yield between, pool.submit(_search, frame, recognizer)
        between, due = [], frame.time + every
    if between:  # nothing comes after the last frame, so it is searched
        last = between.pop()
        yield between, pool.submit(_search, last, recognizer)


def _begun(stretches: Iterator[_Stretch], ahead: int) -> Iterator[_Stretch]:
    """Yield the stretches, with up to `ahead` frames more taken from their source."""
    queue: deque[_Stretch] = deque()
    held = 0
    for stretch in stretches:
        queue.append(stretch)
        held += len(stretch[0]) + 1
        while held > ahead:
            held -= len(queue[0][0]) + 1
            yield queue.popleft()
    yield from queue


def _search(frame: Frame, recognizer: Recognizer) -> Searched:
    small = frame.small(recognizer.detect_size)
    zoom = max(frame.size) / max(small.shape[:2])
    faces = [resized(face, zoom, frame.size) for face in recognizer.find(small)]
    return Searched(frame, faces, thumbnail(frame.gray))


def _same_faces(before: Searched, after: Searched) -> list[tuple[Face, Face]] | None:
    """Return the faces of two frames in pairs; None unless each has one counterpart near."""
    if len(before.faces) != len(after.faces):
        return None
    if not same_scene(before.thumbnail, after.thumbnail):
        return None
    left = list(after.faces)
    pairs = []
    for face in before.faces:
        nearest = min(left, key=partial(_distance, face))
        sizes = sorted((box_side(face), box_side(nearest)))
        if _distance(face, nearest) > _NEAR * sizes[1] or sizes[0] < _ALIKE * sizes[1]:
            return None
        left.remove(nearest)
        pairs.append((face, nearest))
    return pairs


def _distance(face: Face, other: Face) -> float:
    return float(np.hypot(*(box_centre(face) - box_centre(other))))


def _fill(
    frame: Frame,
    before: Searched,
    after: Searched,
    pairs: list[tuple[Face, Face]],
    recognizer: Recognizer,
) -> Searched:
    shown = thumbnail(frame.gray)
    if not (same_scene(before.thumbnail, shown) or same_scene(shown, after.thumbnail)):
        return _search(frame, recognizer)
    span = after.frame.time - before.frame.time
    # damaged files give several frames one time, or go back
    share = min(max((frame.time - before.frame.time) / span, 0.0), 1.0) if span > 0 else 0.0
    faces = [_between(a, b, share) for a, b in pairs]
    faces.sort(key=lambda face: -face.detector_score)
    return Searched(frame, faces, shown)


def _between(a: Face, b: Face, share: float) -> Face:
    """Return the face that has gone `share` (0 to 1) of the way from `a` to `b`."""
    left, top, width, height = (
        round(v + share * (w - v)) for v, w in zip(a.box, b.box, strict=True)
    )
    landmarks = None
    if a.landmarks is not None and b.landmarks is not None:
        landmarks = (a.landmarks + share * (b.landmarks - a.landmarks)).astype(np.float32)
    score = a.detector_score + share * (b.detector_score - a.detector_score)
    return Face((left, top, width, height), landmarks, score)
