"""The camera's picture with its faces, in a page of this machine or as lines of text."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from deepfer.detect import resized
from deepfer.pipeline import Recognizer
from deepfer.render import annotate, encode
from deepfer.report import SCHEMA, face_record
from deepfer.serve.app import LOOPBACK, STATIC
from deepfer.serve.guard import Guarded
from deepfer.serve.headers import Secured
from deepfer.serve.run import run_app
from deepfer.types import Prediction
from deepfer.video.analysis import FrameFaces, TrackedFace, analyse
from deepfer.video.frames import Camera, Frame

_SHOWN = 960  # long side in pixels of the picture in the page
_BOUNDARY = "frame"
_CLOSING = 2.0  # seconds for a camera to end


class NewestFrames:
    """A camera's frames, of which those are left out that nobody had time for.

    Args:
        camera: An open camera; it is read in a thread of its own.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self._newest: Frame | None = None
        self._error: Exception | None = None
        self._over = False
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None

    def frames(
        self, *, every: float = 0.0, start: float = 0.0, end: float | None = None
    ) -> Iterator[Frame]:
        """Yield the newest frame whenever one is asked for, until the camera ends.

        Raises:
            InputError: The camera gave no frame at all.
        """
        self._reader = threading.Thread(target=self._read, args=(every, start, end), daemon=True)
        self._reader.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._over)
                frame, self._newest = self._newest, None
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame

    def close(self) -> None:
        """Stop reading; a camera that hangs is left to its thread, since closing it would crash."""
        self._over = True
        if self._reader is not None:
            self._reader.join(_CLOSING)
            self.camera.hangs = self._reader.is_alive()

    def _read(self, every: float, start: float, end: float | None) -> None:
        began = time.monotonic()
        try:
            for frame in self.camera.frames(every=every, start=start, end=end):
                if self.camera.is_file:
                    time.sleep(max(0.0, frame.time - (time.monotonic() - began)))
                if self._over:
                    return
                with self._changed:
                    self._newest = frame
                    self._changed.notify()
        except Exception as error:  # told by the thread that waits for frames
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify()


def watch(
    camera: Camera,
    recognizer: Recognizer,
    *,
    smoothing: float,
    show: Callable[[FrameFaces], None],
    stop: threading.Event | None = None,
) -> int:
    """Show every frame there is time for, until the camera ends; return their number.

    Args:
        camera: An open camera.
        recognizer: What finds and classifies faces.
        smoothing: Seconds; see `Smoother`.
        show: Called with each frame.
        stop: Ends it when set.
    """
    count = 0
    newest = NewestFrames(camera)
    try:
        for faces in analyse(
            newest,
            recognizer,
            smoothing=smoothing,
            search_every=0,  # what lies between can be filled in only once the next is known
            workers=1,
            group=1,
            ahead=0,
        ):
            if stop is not None and stop.is_set():
                break
            show(faces)
            count += 1
    finally:
        newest.close()
    return count


def line(found: FrameFaces) -> str:
    """Return a frame's faces as one line of text."""
    faces = "; ".join(
        f"{face.id} {face.smoothed.answer} {face.smoothed.probability:.0%}"
        for face in _by_id(found)
    )
    return f"{found.frame.time:8.2f} s  {faces or 'no face'}"


def to_json(found: FrameFaces) -> str:
    """Return a frame's faces as one line of JSON."""
    content = {
        "schema": SCHEMA,
        "time_s": round(found.frame.time, 3),
        "model": found.model,
        "prior": found.prior,
        "faces": [
            {"id": face.id, **face_record(face.smoothed, face.now)} for face in _by_id(found)
        ],
    }
    return json.dumps(content, separators=(",", ":"))


def _by_id(found: FrameFaces) -> list[TrackedFace]:
    return sorted(found.faces, key=lambda face: face.id)  # so that nobody changes places


@dataclass(frozen=True)
class _Shown:
    jpeg: bytes
    json: str


class LivePage:
    """The page: a stream of annotated pictures, and one of the numbers beside them.

    Args:
        camera: An open camera.
        recognizer: What finds and classifies faces.
        smoothing: Seconds; see `Smoother`.

    Attributes:
        frames: Frames shown so far.
    """

    def __init__(self, camera: Camera, recognizer: Recognizer, *, smoothing: float) -> None:
        self.frames = 0
        self._camera, self._recognizer, self._smoothing = camera, recognizer, smoothing
        self._newest: _Shown | None = None
        self._error: Exception | None = None
        self._over = threading.Event()
        self._server: uvicorn.Server | None = None

    def run(self, *, host: str, port: int, ready: Callable[[str], None]) -> None:
        """Serve the page until the camera ends or the user interrupts; see `run_app`."""
        app = Starlette(
            routes=[
                Route("/", _page),
                Route("/stream", self._stream),
                Route("/events", self._events),
                Mount("/", StaticFiles(directory=STATIC)),
            ],
            middleware=[
                Middleware(Secured),
                Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK)),
                Middleware(Guarded, paths=("/stream", "/events")),
            ],
        )
        watcher = threading.Thread(target=self._watch, daemon=True)

        def start(server: uvicorn.Server) -> None:
            self._server = server
            watcher.start()

        try:
            run_app(app, host=host, port=port, ready=ready, server=start)
        finally:
            self._over.set()
            if watcher.is_alive():
                watcher.join(2 * _CLOSING)
        if self._error is not None:
            raise self._error

    def _watch(self) -> None:
        try:
            watch(
                self._camera,
                self._recognizer,
                smoothing=self._smoothing,
                show=self._show,
                stop=self._over,
            )
        except Exception as error:  # told once the page has ended
            self._error = error
        finally:
            self._over.set()
            if self._server is not None:
                self._server.should_exit = True

    def _show(self, found: FrameFaces) -> None:
        photo = found.frame.small(_SHOWN)
        height, width = photo.shape[:2]
        zoom = max(width, height) / max(found.frame.size)
        shown = tuple(
            replace(face.smoothed, face=resized(face.smoothed.face, zoom, (width, height)))
            for face in found.faces
        )
        prediction = Prediction(
            source="camera",
            width=width,
            height=height,
            model=found.model,
            prior=found.prior,
            labels=self._recognizer.labels,
            faces=shown,
        )
        picture = annotate(photo, prediction, [str(face.id) for face in found.faces])
        self._newest = _Shown(encode(picture, ".jpg"), to_json(found))
        self.frames += 1

    async def _fresh(self) -> AsyncIterator[_Shown]:
        """Yield the newest picture whenever it has changed, until the camera ends."""
        last = None
        while not (self._over.is_set() or (self._server and self._server.should_exit)):
            if self._newest is None or self._newest is last:
                await asyncio.sleep(0.005)
                continue
            last = self._newest
            yield last

    async def _stream(self, request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            async for shown in self._fresh():
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n"
                yield head.encode() + shown.jpeg + b"\r\n"

        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return StreamingResponse(parts(), media_type=kind, headers=_NO_STORE)

    async def _events(self, request: Request) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            async for shown in self._fresh():
                yield f"data: {shown.json}\n\n"
            yield "event: over\ndata: {}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream", headers=_NO_STORE)


_NO_STORE = {"Cache-Control": "no-store"}


async def _page(request: Request) -> FileResponse:
    return FileResponse(STATIC / "live.html")
