"""Measure `deepfer serve` under many clients at once, and under others that mean no good.

    python benchmarks/load.py [--clients 50] [--seconds 60] [--json FILE]
    python benchmarks/load.py --idle 1000 --slow 200 --broken 50 --hostile 50

Each honest client sends the 512x512 portrait as JPEG, again as soon as it is answered; service and
clients share the machine. Idle clients send half a head and wait, slow ones send their photo in
small pieces, broken ones end in the middle or send what is no request, hostile ones send 64
pictures of 49 million pixels, 6 kB each, in one request. With any of these, honest clients are
measured alone first. Afterwards the peak memory of the service is read.
"""

import argparse
import asyncio
import io
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

from deepfer.serve.connections import open_files

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.png"
_PIECES = 20  # of a slow client's photo, one per half a second
_AGAIN = 1  # second until somebody who was turned away comes again
_SETTLED = 10  # seconds in which the others come

Client = Callable[[str, int, bytes], Awaitable[None]]


async def load(address: str, clients: int, seconds: float, photo: bytes) -> dict[str, float]:
    """Keep the service busy; return what honest clients saw."""
    times: list[float] = []
    errors = busy = 0
    end = time.monotonic() + seconds

    async def ask(client: httpx2.AsyncClient) -> None:
        nonlocal errors, busy
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                answer = await client.post(
                    f"{address}v1/recognize", files={"file": ("a.jpg", photo)}
                )
                right = answer.status_code == 200 and len(answer.json()["faces"]) == 1
                later = answer.status_code == 503 and "retry-after" in answer.headers
            except httpx2.HTTPError:
                right = later = False
            times.append(time.perf_counter() - began)
            busy += later
            errors += not (right or later)
            if later:
                await asyncio.sleep(1)

    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as client:
        await asyncio.gather(*(ask(client) for _ in range(clients)))
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": len(times),
        "errors": errors,
        "503 with Retry-After": busy,
        "requests per second": len(times) / seconds,
        "p50 (ms)": 1000 * float(np.percentile(times, 50)),
        "p99 (ms)": 1000 * float(np.percentile(times, 99)),
    }


async def idle(host: str, port: int, photo: bytes) -> None:
    """Send half a head and wait until the service has had enough."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        await reader.read()
    finally:
        writer.close()


async def slow(host: str, port: int, photo: bytes) -> None:
    """Send a photo in small pieces."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        body = _form([photo])
        writer.write(_head(len(body)))
        length = len(body) // _PIECES + 1
        for start in range(0, len(body), length):
            writer.write(body[start : start + length])
            await asyncio.sleep(0.5)
        await reader.read()
    finally:
        writer.close()


async def broken(host: str, port: int, photo: bytes) -> None:
    """End in the middle, or send what is no request, no form or no photo."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        body = bytearray(_form([photo]))
        for _ in range(random.choice((1, 100))):  # noqa: S311
            body[random.randrange(len(body))] = random.randrange(256)  # noqa: S311
        sent = random.choice((_head(len(body)) + body, bytes(body), _head(10) + body))  # noqa: S311
        writer.write(sent[: random.choice((100, 5000, len(sent)))])  # noqa: S311
        if random.random() < 0.5:  # noqa: S311
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.transport.abort()


async def hostile(host: str, port: int, photo: bytes) -> None:
    """Send many pictures that are small as files and huge decoded."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        body = _form([_bomb()] * 64)
        writer.write(_head(len(body)) + body)
        await reader.read()
    finally:
        writer.close()


_CROWD: dict[str, Client] = {"idle": idle, "slow": slow, "broken": broken, "hostile": hostile}
_BOMBS: list[bytes] = []


def _bomb() -> bytes:
    if not _BOMBS:
        buffer = io.BytesIO()
        Image.new("P", (7000, 7000)).save(buffer, "PNG", transparency=1)
        _BOMBS.append(buffer.getvalue())
    return _BOMBS[0]


def _form(photos: list[bytes]) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return b"".join(head + photo + b"\r\n" for photo in photos) + b"--b--\r\n"


def _head(length: int) -> bytes:
    return (
        b"POST /v1/recognize HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n" % length
    )


async def disturbed(
    address: str, crowd: dict[str, int], clients: int, seconds: float, photo: bytes
) -> dict[str, float]:
    """Measure honest clients beside others; ``crowd`` says how many of each kind."""
    host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")

    async def again(client: Client) -> None:
        await asyncio.sleep(_SETTLED * random.random())  # noqa: S311
        while True:
            with suppress(OSError, TimeoutError):
                await client(host, int(port), photo)
            await asyncio.sleep(_AGAIN)

    others = [
        asyncio.create_task(again(_CROWD[kind])) for kind, n in crowd.items() for _ in range(n)
    ]
    try:
        await asyncio.sleep(_SETTLED)
        return await load(address, clients, seconds, photo)
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def memory(process: int) -> float:
    """Return the peak memory of a Linux process in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Start a service, keep it busy, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    for kind in _CROWD:
        parser.add_argument(f"--{kind}", type=int, default=0, help=f"{kind} clients beside them")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    crowd = {kind: getattr(options, kind) for kind in _CROWD}
    open_files()
    buffer = io.BytesIO()
    Image.open(ASTRONAUT).convert("RGB").save(buffer, "JPEG", quality=90)
    command = [sys.executable, "-m", "deepfer", "serve", "--port", "0", "--no-open"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:  # noqa: S603
        try:
            told = service.stderr.readline() if service.stderr else ""
            found = re.search(r"http://\S+", told)
            if found is None:
                sys.exit(f"the service did not start: {told}")
            work = options.clients, options.seconds, buffer.getvalue()
            figures: dict[str, object] = {**asyncio.run(load(found[0], *work))}
            figures["peak memory (MB)"] = memory(service.pid)
            if any(crowd.values()):
                beside = asyncio.run(disturbed(found[0], crowd, *work))
                beside["peak memory (MB)"] = memory(service.pid)
                figures = {"alone": figures, "beside": {**crowd, **beside}}
        finally:
            service.terminate()
    print(json.dumps(figures, indent=1))  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
