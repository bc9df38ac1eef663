"""Video files to frames with exact times, turned upright, one after the other."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from deepfer.errors import InputError
from deepfer.files import is_file
from deepfer.types import Image

MAX_PIXELS = 16_800_000
"""Of a frame: up to 4096x4096. Larger ones are refused before they are decoded."""

_KINDS = (
    *("3gp", "apng", "asf", "avi", "dv", "flv", "gif", "h264", "hevc", "ivf", "m4v", "matroska"),
    *("mjpeg", "mov", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "ogg", "rm", "wtv", "obu"),
    *("yuv4mpegpipe", "wav"),
)
"""FFmpeg's names of the formats that are read: none of them leads to other files."""

_PATIENCE = 10.0  # seconds that a camera or stream may be silent


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        number: Position in the video, from 0, counting every frame.
        time: Seconds since the video's first frame, as the file says, whatever the frame rate.
        decoded: The decoder's frame.
        turns: Quarter turns to the left that bring it upright.
    """

    number: int
    time: float
    decoded: av.VideoFrame
    turns: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        width, height = self.decoded.width, self.decoded.height
        return (height, width) if self.turns % 2 else (width, height)

    @cached_property
    def rgb(self) -> Image:
        """uint8 (H, W, 3), upright."""
        return self._upright(self._converted(self.decoded.width, self.decoded.height, "rgb24"))

    @cached_property
    def gray(self) -> Image:
        """uint8 (H, W), upright, full range."""
        return self._upright(self._converted(self.decoded.width, self.decoded.height, "gray"))

    def small(self, long_side: int) -> Image:
        """Return uint8 (h, w, 3), upright, shrunk so that its long side is at most `long_side`."""
        width, height = self.decoded.width, self.decoded.height
        ratio = min(1.0, long_side / max(width, height))
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        return self._upright(self._converted(*size, "rgb24"))

    def _converted(self, width: int, height: int, form: str) -> NDArray[Any]:
        try:
            return self.decoded.reformat(width, height, format=form).to_ndarray()
        except (FFmpegError, ValueError) as error:  # damaged files claim impossible colours
            raise InputError(
                f"frame {self.number} cannot be shown ({_reason(error)}); convert the video to MP4"
            ) from None

    def _upright(self, pixels: NDArray[Any]) -> Image:
        return np.ascontiguousarray(np.rot90(pixels, self.turns), dtype=np.uint8)


class VideoFile:
    """An open video.

    Args:
        path: The file.

    Attributes:
        name: The path as it was given.
        pixels: Of a frame.
        duration: Seconds, or None where the file does not say.
        frame_rate: Mean frames per second, or None where the file does not say.
        joined: Where its times went back, and the clock went on, if they did.
        damaged: What ended the frames before the file's end, if anything did.
        hangs: Set where another thread still reads: it must not be closed then.

    Raises:
        InputError: The file is missing, no video, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        self.joined, self.damaged, self.hangs = "", "", False
        self._container = self._open(self.name)
        streams = self._container.streams.video
        if not streams:
            self._container.close()
            raise InputError(f"{path}: holds no pictures, only sound; give a video")
        self._stream: VideoStream = streams[0]
        if not getattr(self._stream, "codec_context", None):
            self._container.close()
            raise InputError(f"{path}: its pictures are of an unknown kind; give an MP4 or WebM")
        self._stream.thread_type = "AUTO"
        width, height = self._stream.width, self._stream.height
        self.pixels = width * height
        if self.pixels > MAX_PIXELS:
            self._container.close()
            raise InputError(
                f"{path}: frames of {width}x{height} pixels; at most {MAX_PIXELS:,} are taken, so "
                "make it smaller, to a width of 3840 for instance"
            )
        # frames may become larger further on
        self._stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        length = self._stream.duration
        base = self._stream.time_base
        total = self._container.duration
        self.duration = (
            float(length * base)
            if length is not None and base is not None
            else None
            if total is None
            else total / av.time_base
        )
        rate = self._stream.average_rate
        self.frame_rate = None if rate is None else float(rate)

    def _open(self, name: str) -> InputContainer:
        if not is_file(name):
            raise InputError(f"{name}: no such video file")
        try:
            return open_file(name)
        except (FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{name}: not a video that can be read ({_reason(error)})") from None

    def __enter__(self) -> Self:
        """Return the video."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        if not self.hangs:
            self._container.close()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        yield from self._container.decode(self._stream)

    def frames(
        self, *, every: float = 0.0, start: float = 0.0, end: float | None = None
    ) -> Iterator[Frame]:
        """Yield frames in the order of their times.

        Args:
            every: Seconds between frames; 0 for all frames. The first frame at or after each
                multiple counts.
            start: Seconds; frames before are left out.
            end: Seconds; frames at or after are left out. None for the whole video.

        Raises:
            InputError: The file holds no frame that can be decoded. One that is damaged further
                on ends where it is damaged, and `damaged` says so.
        """
        clock = _Clock(1 / (self.frame_rate or 25.0))
        due, number = start, -1
        looks: set[tuple[object, ...]] = set()
        try:
            for decoded in self._decoded():
                look = _look(decoded)
                if look not in looks:  # one that cannot be shown ends the video like other damage
                    decoded.reformat(16, 16, format="rgb24")
                    looks.add(look)
                number += 1
                time = clock(decoded.time)
                if clock.went_back and not self.joined:
                    self.joined = (
                        f"{self.name}: its times go back at frame {number}, as in recordings that "
                        "were joined; they are counted on from there"
                    )
                if end is not None and time >= end:
                    return
                if time + 1e-9 < due:
                    continue
                if every:
                    due = start + (np.floor((time + 1e-9 - start) / every) + 1) * every
                turns = round((decoded.rotation or 0) / 90) % 4
                yield Frame(number, time, decoded, turns)
        except (FFmpegError, ValueError) as error:
            if number < 0:
                raise InputError(f"{self.name}: no frame can be read ({_reason(error)})") from None
            self.damaged = f"{self.name}: damaged after frame {number} ({_reason(error)})"
        if number < 0:
            raise InputError(f"{self.name}: holds no frames")


def _look(frame: av.VideoFrame) -> tuple[object, ...]:
    kind = frame.format.name, frame.width, frame.height
    return *kind, frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries


class _Clock:
    """Seconds since the first frame, as the file says, but only ever forward.

    Args:
        step: Seconds from one frame to the next where the file does not say.

    Attributes:
        went_back: Whether the file's times did.
    """

    def __init__(self, step: float) -> None:
        self.went_back = False
        self._step, self._shift = step, 0.0
        self._last: float | None = None

    def __call__(self, told: float | None) -> float:
        if self._last is None:
            self._shift, time = -(told or 0.0), 0.0
        elif told is None:  # the rate is the best guess
            time = self._last + self._step
        else:
            time = told + self._shift
            if time <= self._last:
                self.went_back = True
                time = self._last + self._step
                self._shift = time - told
        self._last = time
        return time


def open_file(path: str | Path) -> InputContainer:
    """Open a video file of this machine, and nothing that its name or content may lead to.

    Raises:
        FFmpegError, OSError, ValueError: It cannot be opened.
    """
    only = {"protocol_whitelist": "file", "format_whitelist": ",".join(_KINDS)}
    return av.open(f"file:{path}", options=only)


class Camera(VideoFile):
    """A camera of this machine, or a stream or file that plays like one.

    Args:
        path: The camera's number, from 0, its device, or what FFmpeg can open, such as
            ``rtsp://...``.

    Raises:
        InputError: There is no such camera, or it may not be used.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._stream.codec_context.thread_count = 1  # more threads would each hold frames back

    def _open(self, name: str) -> InputContainer:
        try:
            if self.is_file:
                return open_file(name)
            device, kind = _device(name)
            return av.open(device, format=kind, timeout=(_PATIENCE, _PATIENCE))
        except (FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"camera {name}: cannot be opened ({_reason(error)}); is it plugged in, and not "
                "used by another program?"
            ) from None

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except InvalidDataError:  # cameras send a damaged picture now and then
                continue

    @property
    def is_file(self) -> bool:
        """Whether it is a file, which must be slowed down to play like a camera."""
        return is_file(self.name)


def _device(name: str) -> tuple[str, str | None]:
    """Return what FFmpeg calls a camera on this system, and by which of its formats."""
    if sys.platform == "darwin" and name.isdigit():
        return name, "avfoundation"
    if sys.platform == "win32" and not name.isdigit() and not Path(name).exists():
        return (name, None) if "://" in name else (f"video={name}", "dshow")
    if sys.platform.startswith("linux") and (name.isdigit() or name.startswith("/dev/video")):
        return f"/dev/video{name}" if name.isdigit() else name, "v4l2"
    return name, None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
