"""The annotated copy of a video: boxes, ids and smoothed expressions, sound kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from deepfer.errors import InputError
from deepfer.files import replacing
from deepfer.render import annotate
from deepfer.types import Prediction
from deepfer.video.analysis import FrameFaces
from deepfer.video.frames import open_file

SUFFIXES = (".mp4", ".mov", ".mkv")
_TICKS = 90_000  # per second; exact for all usual frame rates


@contextmanager
def annotated_copy(
    path: Path, source: Path, *, start: float = 0.0
) -> Iterator[Callable[[FrameFaces], None]]:
    """Open the copy; call what it gives with every frame, in order.

    Args:
        path: An .mp4, .mov or .mkv file; gets its name only when it is whole.
        source: The original, for its sound.
        start: Seconds of the original at which the copy begins.

    Raises:
        InputError: The suffix is none of these, or the copy would overwrite the original, or
            cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: the annotated copy is an .mp4, .mov or .mkv file")
    if path.resolve() == source.resolve():
        raise InputError(f"{path}: would overwrite the original; choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path) as partial:
            kind = {".mkv": "matroska"}.get(path.suffix.lower(), path.suffix[1:].lower())
            with (
                av.open(f"file:{partial}", "w", format=kind) as copy,
                open_file(source) as original,
            ):
                writer = _Writer(copy, original, start)
                yield writer.write
                writer.finish()
    except FFmpegError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None


class _Writer:
    def __init__(
        self,
        copy: av.container.OutputContainer,
        original: av.container.InputContainer,
        start: float,
    ) -> None:
        self._copy, self._start = copy, start
        rate = original.streams.video[0].average_rate or Fraction(25)
        self._stream = copy.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, _TICKS)
        self._stream.pix_fmt = "yuv420p"
        self._sized = False
        sound = original.streams.audio[:1]
        self._sound = copy.add_stream_from_template(sound[0]) if sound else None
        self._packets = _forward(original.demux(sound[0])) if sound else iter(())
        self._held: av.Packet[Any] | None = None

    def write(self, found: FrameFaces) -> None:
        """Add one frame."""
        pixels = found.frame.rgb
        # the codec needs even sides
        height, width = (max(2, side // 2 * 2) for side in pixels.shape[:2])
        if not self._sized:
            self._stream.width, self._stream.height = width, height
            self._sized = True
        names = [f"{face.id}:" for face in found.faces]
        shown = np.asarray(annotate(pixels, _prediction(found), names))[:height, :width]
        high, wide = shown.shape[:2]
        if (high, wide) != (height, width):  # a side of one pixel
            shown = np.pad(shown, ((0, height - high), (0, width - wide), (0, 0)), "edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")
        time = found.frame.time - self._start
        frame.pts, frame.time_base = round(time * _TICKS), Fraction(1, _TICKS)
        self._copy.mux(self._stream.encode(frame))
        self._copy_sound(time)

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        if self._sized:
            self._copy.mux(self._stream.encode(None))
        self._copy_sound(float("inf"))

    def _copy_sound(self, until: float) -> None:
        """Copy sound up to a time of the copy, so that the two stay side by side in the file."""
        while (packet := self._held or next(self._packets, None)) is not None:
            self._held = None
            assert packet.pts is not None  # noqa: S101  see `_forward`
            assert packet.time_base is not None  # noqa: S101
            time = float(packet.pts * packet.time_base) - self._start
            if time < 0:
                continue
            if time > until:
                self._held = packet
                return
            packet.pts -= round(self._start / packet.time_base)
            packet.dts = packet.pts
            packet.stream = self._sound
            self._copy.mux(packet)


def _forward(packets: "Iterator[av.Packet[Any]]") -> "Iterator[av.Packet[Any]]":
    """Yield packets of sound whose times go forward, also where recordings were joined."""
    end = shift = 0
    for packet in packets:
        if packet.pts is None or packet.time_base is None:  # the end mark
            continue
        packet.pts += shift
        if packet.pts < end:
            shift += end - packet.pts
            packet.pts = end
        # times are rounded, so that neighbours may overlap by a tick
        end = packet.pts + max(1, (packet.duration or 1) - 1)
        yield packet


def _prediction(found: FrameFaces) -> Prediction:
    """Return the faces with their smoothed probabilities, as `annotate` draws photos."""
    height, width = found.frame.rgb.shape[:2]
    faces = tuple(f.smoothed for f in found.faces)
    labels = tuple(faces[0].probabilities) if faces else ()
    return Prediction("", width, height, found.model, found.prior, labels, faces)
