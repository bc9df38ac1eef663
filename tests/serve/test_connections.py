"""Clients that are silent, slow or too many, and what honest ones get beside them."""

import asyncio
import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from deepfer.serve.connections import Seldom, open_files
from deepfer.serve.run import run_app

Answer = Callable[[Request], Any]


async def _hello(request: Request) -> Response:
    await request.body()
    return PlainTextResponse("hello")


@contextmanager
def _served(answer: Answer = _hello, **options: Any) -> Iterator[tuple[int, uvicorn.Server]]:
    """Serve in a thread; give the port and the server."""
    told: dict[str, Any] = {}
    up = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await (await answer(Request(scope, receive)))(scope, receive, send)

    def ready(address: str) -> None:
        told["port"] = int(address.rstrip("/").rpartition(":")[2])
        up.set()

    run = threading.Thread(
        target=lambda: run_app(
            app,
            host="127.0.0.1",
            port=0,
            ready=ready,
            server=lambda server: told.update(server=server),
            **options,
        )
    )
    run.start()
    assert up.wait(20)
    try:
        yield told["port"], told["server"]
    finally:
        told["server"].should_exit = True
        run.join(20)
        assert not run.is_alive()


def _connect(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(sent)
    return connection


def _ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


_HALF_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
_HALF_BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"


@pytest.mark.parametrize("sent", [b"", _HALF_HEAD, _HALF_HEAD + b"\r\n" + _HALF_HEAD])
def test_who_does_not_ask_is_not_waited_for(sent: bytes) -> None:
    with _served(patience=0.2) as (port, _), _connect(port, sent) as silent:
        got = b""
        while part := silent.recv(4096):
            got += part
        assert got.count(b"hello") == sent.count(b"\r\n\r\n")


def test_who_has_said_all_gets_its_answer() -> None:
    release = threading.Event()

    async def wait(request: Request) -> Response:
        await asyncio.to_thread(release.wait, 20)
        return PlainTextResponse("done")

    with _served(wait) as (port, server), _connect(port, _HALF_HEAD + b"\r\n") as client:
        _until(lambda: bool(server.server_state.tasks))
        client.shutdown(socket.SHUT_WR)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(20)
        release.set()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_who_does_not_take_its_answer_is_not_waited_for() -> None:
    async def much(request: Request) -> Response:
        return Response(b"x" * 30_000_000)

    with (
        _served(much, patience=0.2) as (port, server),
        _connect(port, _HALF_HEAD + b"\r\n") as deaf,
    ):
        assert deaf.recv(1)
        _until(lambda: not server.server_state.connections)


@pytest.mark.parametrize("sent", [b"", _HALF_HEAD, _HALF_BODY])
def test_a_full_house_lets_the_next_one_in(sent: bytes) -> None:
    with _served(most=4) as (port, server):
        crowd = [_connect(port, sent) for _ in range(20)]
        assert httpx.get(f"http://127.0.0.1:{port}/").text == "hello"
        assert _ended(crowd[0])
        assert len(server.server_state.connections) <= 4
        crowd[-1].settimeout(0.1)
        with pytest.raises(TimeoutError):  # it may stay
            crowd[-1].recv(1)
        for connection in crowd:
            connection.close()


def test_a_house_full_of_work_says_so() -> None:
    release = threading.Event()

    async def wait(request: Request) -> Response:
        await asyncio.to_thread(release.wait, 20)
        return PlainTextResponse("done")

    with _served(wait, most=2) as (port, server):
        busy = [_connect(port, _HALF_HEAD + b"\r\n") for _ in range(2)]
        _until(lambda: len(server.server_state.tasks) == 2)
        with _connect(port) as further:
            refused = further.recv(4096)
        release.set()
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in refused
        for connection in busy:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            connection.close()


def test_a_stop_lets_requests_end() -> None:
    release = threading.Event()

    async def wait(request: Request) -> Response:
        await asyncio.to_thread(release.wait, 20)
        return PlainTextResponse("done")

    with (
        _served(wait, closing=20) as (port, server),
        _connect(port, _HALF_HEAD + b"\r\n") as asked,
        _connect(port) as idle,
    ):
        _until(lambda: bool(server.server_state.tasks))
        server.should_exit = True
        assert _ended(idle)  # it has begun to stop
        release.set()
        assert asked.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_limit_of_open_files_is_raised() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
        assert open_files(300) == 300
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, before[1])
        assert open_files(250) == 250
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_all_that_logs_is_filtered() -> None:
    with _served():
        uvicorns = logging.getLogger("uvicorn").handlers
        assert uvicorns
        for handler in (*uvicorns, logging.lastResort):
            assert handler is not None
            assert [type(seldom) for seldom in handler.filters] == [Seldom]


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_a_body_that_is_no_http_after_the_answer(
    caplog: pytest.LogCaptureFixture, method: str
) -> None:
    async def at_once(request: Request) -> Response:
        return PlainTextResponse("hello")

    head = f"{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc"
    with _served(at_once) as (port, _), _connect(port, head.encode()) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"no chunk ends so")
        while not _ended(connection):
            pass
    with _served(at_once) as (port, _), _connect(port, head.encode() + b"nor so") as connection:
        while not _ended(connection):
            pass
    assert "asyncio" not in {record.name for record in caplog.records}


def test_strangers_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.Logger("asyncio")
    logger.addHandler(caplog.handler)
    seldom = Seldom()
    logger.addFilter(seldom)

    def fail() -> None:
        error = OSError(errno.EMFILE, "Too many open files")
        text = "socket.accept() out of system resource\nsocket: <...>"
        logger.error(text, exc_info=(OSError, error, None))

    for _ in range(1000):
        fail()
    logger.error("another")
    expected = "error: no file is free for a further connection; raise `ulimit -n`"
    assert [record.getMessage() for record in caplog.records] == [expected, "another"]
    assert caplog.records[0].exc_info is None
    seldom._told.clear()  # a minute later
    fail()
    assert caplog.records[-1].getMessage() == f"{expected} (999 more such lines left out)"
