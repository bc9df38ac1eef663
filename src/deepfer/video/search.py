"""Find the faces of a video's frames: search some frames, and fill in those between.

A face hardly moves in a tenth of a second. Where two searched frames show the same faces in about
the same places, those between are filled in on straight lines; where they do not (someone comes,
leaves, moves quickly, or the scene changes), every frame between is searched, and so is a frame
that looks like neither (a flash, a black frame).

Once a second a frame is searched for every face that a person would find; the searches until the
next are quick ones, at the size and from the side at which faces were found then.
"""

import math
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from deepfer.detect import resized
from deepfer.find import QUICK, FaceFinder, quarter_of
from deepfer.pipeline import Recognizer
from deepfer.types import Face
from deepfer.video.frames import Frame
from deepfer.video.tracking import Thumbnail, box_centre, box_side, same_scene, thumbnail

_NEAR = 0.3  # a face that moves further, in its widths, between two searches moves quickly
_ALIKE = 0.8  # the least ratio of its sizes
LONGEST = 8
"""The most frames between two searched ones: they wait in memory."""
_THOROUGH = 1.0  # seconds from one thorough search to the next
_CLEAR = 24  # pixels of the smallest face in a quick search


@dataclass(frozen=True)
class _Guide:
    """How faces were found: after so many quarter turns to the left, at such a long side."""

    quarter: int = 0
    long_side: int = QUICK


@dataclass(frozen=True)
class Searched:
    """A frame and where its faces are.

    Attributes:
        frame: The frame.
        faces: Best detector score first. In frames between two searched ones, boxes, landmarks
            and scores lie on straight lines between theirs.
        thumbnail: To notice changes of scene.
        guide: For the quick searches of frames near it.
    """

    frame: Frame
    faces: list[Face]
    thumbnail: Thumbnail
    guide: _Guide


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
            guide = (after if before is None else before).guide
            done = [pool.submit(_search, frame, recognizer, guide) for frame in between]
        yield from (one.result() for one in done)
        yield after
        before = after


def _stretches(
    frames: Iterator[Frame], recognizer: Recognizer, pool: ThreadPoolExecutor, every: float
) -> Iterator[_Stretch]:
    between: list[Frame] = []
    due = thorough = -np.inf
    last: Future[Searched] | None = None  # the last thorough search
    for frame in frames:
        if every and frame.time + 1e-9 < due and len(between) < LONGEST:
            between.append(frame)
            continue
        if last is None or frame.time + 1e-9 >= thorough:
            found = last = pool.submit(_search_thoroughly, frame, recognizer, last)
            thorough = frame.time + _THOROUGH
        else:
            found = pool.submit(_search_after, frame, recognizer, last)
        yield between, found
        between, due = [], frame.time + every
    if between and last is not None:  # nothing comes after the last frame, so it is searched
        frame = between.pop()
        yield between, pool.submit(_search_after, frame, recognizer, last)


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


def _search_thoroughly(
    frame: Frame, recognizer: Recognizer, last: Future[Searched] | None
) -> Searched:
    """Search a frame in all ways, or as quickly as was asked for."""
    # threads take the frames in their order, so the search waited for is done or under way
    guide = _Guide() if last is None else last.result().guide
    if not isinstance(recognizer.find, FaceFinder):
        return _search(frame, recognizer, guide)
    faces = recognizer.find(frame.rgb)
    if faces:
        long_side, narrowest = max(frame.size), min(face.box[2] for face in faces)
        enough = math.ceil(_CLEAR * long_side / narrowest)
        turns = Counter(map(quarter_of, faces))
        guide = _Guide(max(turns, key=turns.__getitem__), max(QUICK, min(long_side, enough)))
    return Searched(frame, faces, thumbnail(frame.gray), guide)


def _search_after(frame: Frame, recognizer: Recognizer, last: Future[Searched]) -> Searched:
    return _search(frame, recognizer, last.result().guide)


def _search(frame: Frame, recognizer: Recognizer, guide: _Guide) -> Searched:
    if isinstance(recognizer.find, FaceFinder):
        small = frame.small(guide.long_side)
        faces = recognizer.find.again(small, guide.quarter, guide.long_side)
    else:
        small = frame.small(recognizer.detect_size or QUICK)
        faces = recognizer.find(small)
    zoom = max(frame.size) / max(small.shape[:2])
    faces = [resized(face, zoom, frame.size) for face in faces]
    return Searched(frame, faces, thumbnail(frame.gray), guide)


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
        return _search(frame, recognizer, before.guide)
    span = after.frame.time - before.frame.time
    # damaged files give several frames one time, or go back
    share = min(max((frame.time - before.frame.time) / span, 0.0), 1.0) if span > 0 else 0.0
    faces = [_between(a, b, share) for a, b in pairs]
    faces.sort(key=lambda face: -face.detector_score)
    return Searched(frame, faces, shown, before.guide)


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
