"""Short clips in the formats and codecs that people have."""

import io
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from deepfer.video.frames import Camera, VideoFile

WORDS = (
    *(b"ftyp", b"moov", b"mvhd", b"tkhd", b"stts", b"stsz", b"stco", b"elst", b"avcC", b"mdat"),
    *(b"moof", b"RIFF", b"AVI ", b"strh", b"idx1", b"OggS", b"FLV\1", b"\x1a\x45\xdf\xa3"),
    *(b"#EXTM3U", b"file:///etc/passwd", b"http://127.0.0.1/", b"\0\0\1\xb3", b"\x47\x40\0"),
)
_FORMS = (
    *(("mp4", "libx264", "yuv420p"), ("mp4", "mpeg4", "yuv420p"), ("mov", "mjpeg", "yuvj420p")),
    *(("matroska", "libx264", "yuv444p"), ("webm", "libvpx", "yuv420p")),
    *(("webm", "libvpx-vp9", "yuv420p"), ("matroska", "libx265", "yuv420p")),
    *(("avi", "mpeg4", "yuv420p"), ("avi", "mjpeg", "yuvj420p"), ("avi", "rawvideo", "bgr24")),
    *(("mpegts", "mpeg2video", "yuv420p"), ("mpegts", "libx264", "yuv420p")),
    *(("ogg", "libvpx", "yuv420p"), ("flv", "flv1", "yuv420p"), ("gif", "gif", "rgb8")),
    *(("apng", "apng", "rgba"), ("yuv4mpegpipe", "wrapped_avframe", "yuv420p")),
    *(("h264", "libx264", "yuv420p"), ("mpeg", "mpeg1video", "yuv420p")),
    *(("asf", "wmv2", "yuv420p"), ("ivf", "libvpx-vp9", "yuv420p")),
    *(("nut", "ffv1", "yuv422p10le"), ("mxf", "mpeg2video", "yuv422p")),
)
_FRAMES = 6
_SIDES = 64, 64  # smaller ones x265 writes beyond its memory


@cache
def seeds() -> list[bytes]:
    return list(_written())


def run(data: bytes) -> None:
    path = Path("clip")
    path.write_bytes(data)
    for kind in (VideoFile, Camera):
        with kind(path) as video:
            for frame in islice(video.frames(), 2 * _FRAMES):
                frame.small(16)
                frame.gray  # noqa: B018  converts


def _written() -> Iterator[bytes]:
    import av

    pixels = np.random.default_rng(0).integers(0, 256, (_FRAMES, *_SIDES[::-1], 3), np.uint8)
    for kind, codec, form in _FORMS:
        out = io.BytesIO()
        with suppress(av.FFmpegError, ValueError):  # not every build can write all
            with av.open(out, "w", format=kind) as file:
                quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
                stream = file.add_stream(codec, rate=25, options=quiet)
                stream.width, stream.height = _SIDES
                stream.pix_fmt, stream.thread_count = form, 1
                for frame in pixels // 8:
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
                file.mux(stream.encode())
            yield out.getvalue()
