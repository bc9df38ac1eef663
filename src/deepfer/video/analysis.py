"""A video to tracked faces: decode, find, follow, align, classify, smooth.

Frames are searched side by side and classified in batches; memory does not grow with length.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from deepfer.align import align
from deepfer.detect import resized
from deepfer.labels import Expression
from deepfer.pipeline import Recognizer
from deepfer.preprocess import to_pixels
from deepfer.types import Face, FaceExpression, Image
from deepfer.video.frames import Frame
from deepfer.video.tracking import Smoother, Tracker


@dataclass(frozen=True)
class TrackedFace:
    """One face in one frame.

    Attributes:
        id: The same for the same person while in the scene, from 1.
        result: Face and probabilities of this frame alone.
        smoothed: Probability per expression, averaged over the last moments.
    """

    id: int
    result: FaceExpression
    smoothed: dict[Expression, float]

    @property
    def expression(self) -> Expression:
        """The most probable expression after smoothing."""
        return max(self.smoothed, key=self.smoothed.__getitem__)


@dataclass(frozen=True)
class FrameFaces:
    """One frame and its faces.

    Attributes:
        frame: The frame.
        faces: Best detector score first.
    """

    frame: Frame
    faces: tuple[TrackedFace, ...]


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
    workers: int | None = None,
    group: int = 8,
    ahead: int = 8,
) -> Iterator[FrameFaces]:
    """Yield every frame with its faces.

    Args:
        video: An open video or camera.
        recognizer: What finds and classifies faces.
        every: As for `VideoFile.frames`.
        start: As for `VideoFile.frames`.
        end: As for `VideoFile.frames`.
        smoothing: Seconds; see `Smoother`.
        workers: Frames that are searched at the same time; the number of cores by default.
        group: Frames that are classified together.
        ahead: Frames that are read and searched meanwhile.

    Raises:
        InputError: The video holds no frame that can be decoded.
    """
    tracker, smoother = Tracker(), Smoother(smoothing)
    frames = video.frames(every=every, start=start, end=end)
    count = workers or os.cpu_count() or 1
    pool = ThreadPoolExecutor(count)

    def search(frame: Frame) -> tuple[Frame, Image, list[Face]]:
        small = frame.small(recognizer.detect_size)
        zoom = max(frame.size) / max(small.shape[:2])
        faces = [resized(face, zoom, frame.size) for face in recognizer.find(small)]
        return frame, small, faces

    try:
        queue: deque[Future[tuple[Frame, Image, list[Face]]]] = deque(
            pool.submit(search, frame) for frame in islice(frames, group + ahead)
        )
        while queue:
            batch = [queue.popleft().result() for _ in range(min(len(queue), group))]
            if ahead:
                queue.extend(pool.submit(search, frame) for frame in islice(frames, len(batch)))
            spec = recognizer.classifier.info.input
            crops = [
                frame.gray
                if face.landmarks is None
                else align(frame.gray, face.landmarks, spec.height)
                for frame, _, faces in batch
                for face in faces
            ]
            rows = iter(recognizer.classifier(to_pixels(crops, spec)))
            for frame, small, faces in batch:
                ids = tracker.update(frame.time, faces, small)
                tracked = []
                for id_, face in zip(ids, faces, strict=True):
                    values = next(rows)
                    smoothed = smoother.update(id_, frame.time, values)
                    tracked.append(
                        TrackedFace(
                            id_,
                            FaceExpression(face, _named(recognizer, values.tolist())),
                            _named(recognizer, smoothed),
                        )
                    )
                yield FrameFaces(frame, tuple(tracked))
            if not ahead:  # the newest frame is the one to look at
                queue.extend(pool.submit(search, frame) for frame in islice(frames, len(batch)))
    finally:
        pool.shutdown(cancel_futures=True)


def _named(recognizer: Recognizer, values: list[float]) -> dict[Expression, float]:
    return dict(zip(recognizer.labels, values, strict=True))
