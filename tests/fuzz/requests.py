"""Requests to a running service, byte by byte as they come over the network."""

import io
import json
import re
import socket
import threading
from functools import cache

from PIL import Image

from deepfer.pipeline import Recognizer
from deepfer.serve.app import create_app
from deepfer.serve.limits import Limits
from deepfer.serve.run import run_app

SECONDS = 10.0
OWN = r"^WARNING:  +(Invalid HTTP request received|Unsupported upgrade request)"
WORDS = (
    *(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n"),
    *(
        b"Host: elsewhere\r\n",
        b"Upgrade: websocket\r\n",
        b"Origin: null\r\n",
        b"Authorization: Bearer \xff\r\n",
        b"\r\n\r\n",
    ),
    *(b"--limit", b"--limit--", b'name="file"', b'filename="../a"', b"filename*=utf-8''a"),
    *(
        b"prior=",
        b"face=",
        b"target=",
        b"/v1/recognize",
        b"/v1/explain",
        b"%00",
        b"HEAD",
        b"OPTIONS",
    ),
)
_PATIENCE = 1.0


@cache
def seeds() -> list[bytes]:
    picture = io.BytesIO()
    Image.new("RGB", (32, 32), "gray").save(picture, "PNG")
    one, two = _form(picture.getvalue()), _form(picture.getvalue(), b"no picture")
    shares = "angry=1,disgust=1,fear=1,happy=1,sad=1,surprise=1,neutral=1"
    chunked = b"Content-Type: multipart/form-data; boundary=limit\r\n"
    return [
        _request("GET", "/healthz"),
        _request("GET", "/v1/model"),
        _request("HEAD", "/metrics"),
        _request("GET", "/"),
        _request("POST", "/v1/recognize", one),
        _request("POST", "/v1/recognize?prior=balanced", two),
        _request("POST", f"/v1/recognize?prior={shares}", one),
        _request("POST", "/v1/explain?face=1&target=sad", one),
        b"POST /v1/recognize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        + chunked
        + f"\r\n{len(one):x}\r\n".encode()
        + one
        + b"\r\n0\r\n\r\n",
    ]


def run(data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", _port()), timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    _check(answer)


def _check(answer: bytes) -> None:
    """Expect no answer, as to half a request, or one that says what was wrong in a line."""
    if not answer:
        return
    status = int(re.match(rb"HTTP/1\.1 (\d{3}) ", answer)[1])  # type: ignore[index]
    head, _, body = answer.partition(b"\r\n\r\n")
    if status in {500, 501, 502}:
        raise AssertionError(f"{status}: {body[:200]!r}")
    if status >= 400 and b"application/json" in head and body.startswith(b"{"):
        told, _ = json.JSONDecoder().raw_decode(body.decode())  # other answers may follow
        if "\n" in told["error"]:
            raise AssertionError(f"{status}: {told['error']!r}")


@cache
def _port() -> int:
    """Start the service, and return where it listens."""
    addresses: list[str] = []
    up = threading.Event()

    def ready(address: str) -> None:
        addresses.append(address)
        up.set()

    limits = Limits(max_bytes=100_000, max_pixels=100_000, max_together=200_000, seconds=2.0)
    app = create_app(Recognizer(), limits=limits)
    options = {"host": "127.0.0.1", "port": 0, "ready": ready, "patience": _PATIENCE}
    threading.Thread(target=run_app, args=(app,), kwargs=options, daemon=True).start()
    if not up.wait(60):
        raise TimeoutError("the service did not start")
    return int(addresses[0].rstrip("/").rpartition(":")[2])


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    kind = "Content-Type: multipart/form-data; boundary=limit\r\n" if body else ""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{kind}{length}\r\n".encode() + body


def _form(*files: bytes) -> bytes:
    head = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + b"--limit--\r\n"
