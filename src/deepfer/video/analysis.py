"""A video to tracked faces: decode, find, follow, align, classify, smooth.

Frames are searched side by side and faces classified in batches; memory does not grow with length.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from deepfer.pipeline import Recognizer
from deepfer.types import FaceExpression
from deepfer.video.frames import Frame, VideoFile
from deepfer.video.search import search
from deepfer.video.tracking import Smoother, Tracker

_USUAL = 1920 * 1088  # pixels of a frame


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame.

    Attributes:
        id: The same for the same person while in the scene, from 1.
        now: The face by the probabilities of this frame alone.
        smoothed: The same face by probabilities averaged over the last moments, which also say
            whether it is certain: one poor frame does not make a steady answer uncertain, and
            between two expressions it is.
    """

    id: int
    now: FaceExpression
    smoothed: FaceExpression


@dataclass(frozen=True)
class FrameFaces:
    """One frame and its faces.

    Attributes:
        frame: The frame.
        faces: Best detector score first.
        model: Name of the model that classified them.
        prior: As in `Prediction`.
    """

    frame: Frame
    faces: tuple[TrackedFace, ...]
    model: str
    prior: str


class FrameSource(Protocol):
    """What gives frames: a video file, or a camera's newest ones."""

    def frames(self, *, every: float, start: float, end: float | None) -> Iterator[Frame]:
        """Yield frames in the order of their times; see `VideoFile.frames`."""


def analyse(
    video: FrameSource,
    recognizer: Recognizer,
    *,
    every: float = 0.0,
    start: float = 0.0,
    end: float | None = None,
    smoothing: float = 0.4,
    search_every: float = 0.1,
    workers: int | None = None,
    group: int = 8,
    ahead: int | None = None,
) -> Iterator[FrameFaces]:
    """Yield every frame with its faces.

    Args:
        video: An open video or camera.
        recognizer: What finds and classifies faces.
        every: As for `VideoFile.frames`.
        start: As for `VideoFile.frames`.
        end: As for `VideoFile.frames`.
        smoothing: Seconds; see `Smoother`.
        search_every: Seconds between frames that are searched for faces; see `search`. 0 to
            search all.
        workers: Frames that are searched at the same time; the number of cores by default.
        group: Frames that are classified together.
        ahead: Frames that are taken early; see `search`. Four times `workers` by default.

    Raises:
        InputError: The video holds no frame that can be decoded.
    """
    tracker, smoother = Tracker(), Smoother(smoothing)
    workers = workers or os.cpu_count() or 1
    ahead = 4 * workers if ahead is None else ahead
    if isinstance(video, VideoFile):  # fewer large frames wait in memory
        share = min(1.0, _USUAL / max(1, video.pixels))
        ahead, group = round(share * ahead), max(1, round(share * group))
    pool = ThreadPoolExecutor(workers)
    try:
        frames = video.frames(every=every, start=start, end=end)
        searched = search(frames, recognizer, pool, every=search_every, ahead=ahead)
        while batch := list(islice(searched, group)):
            pixels = [recognizer.crops(found.frame.gray, found.faces) for found in batch]
            faces = [face for found in batch for face in found.faces]
            rows = iter(recognizer.describe(faces, np.concatenate(pixels)))
            for found in batch:
                ids = tracker.update(found.frame.time, found.faces, found.thumbnail)
                tracked = []
                for id_, now in zip(ids, islice(rows, len(found.faces)), strict=True):
                    values = np.array(list(now.probabilities.values()))
                    values = smoother.update(id_, found.frame.time, values)
                    smoothed = recognizer.with_probabilities(now, values.tolist())
                    tracked.append(TrackedFace(id_, now, smoothed))
                yield FrameFaces(found.frame, tuple(tracked), recognizer.model, recognizer.prior)
    finally:
        pool.shutdown(cancel_futures=True)
