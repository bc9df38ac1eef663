"""Clients that say nothing, or take nothing, must not keep others out."""

import asyncio
import logging
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any

from h11 import LocalProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol

FILES = 16_384  # open files that a service asks for; others hold the model, the log and so on
_BUSY = b'{"error":"too many connections; try again"}'


class Connection(H11Protocol):
    """A client's connection, with the time-outs and the limit that uvicorn lacks.

    Args:
        arguments: What uvicorn gives.
        waiting: The connections that wait for their clients, the longest waiting first; shared.
        most: Connections. A further one takes the place of the one that waits longest for its
            client, and is told to come back where none waits.
        patience: Seconds for a request to come, up to the end of its head, and for a client to
            take the next 48 kB of an answer.
        options: What uvicorn gives.
    """

    def __init__(
        self,
        *arguments: Any,
        waiting: "OrderedDict[Connection, None]",
        most: int,
        patience: float,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._waiting, self._most, self._patience = waiting, most, patience
        self._idle: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, somebody else's if need be."""
        super().connection_made(transport)
        self._note()
        if len(self.connections) <= self._most:
            return
        longest, _ = self._waiting.popitem(last=False)
        self.connections.discard(longest)
        if longest is self:
            head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Length: {len(_BUSY)}\r\n"
            kind = "Content-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
            transport.write((head + kind).encode() + _BUSY)
            transport.close()
        else:
            longest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._waiting.pop(self, None)
        for timer in (self._idle, self._stalled):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what the client says."""
        super().data_received(data)
        self._note()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, where an answer has not begun and may have a body."""
        with suppress(LocalProtocolError):
            super().send_400_response(msg)
        self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Let a client that says no more, perhaps in the middle of a body, have its answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        cycle.more_body, cycle.keep_alive = False, False
        cycle.message_event.set()
        return True

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._note()

    def pause_writing(self) -> None:
        """Wait for the client to take its answer, not for ever."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def _note(self) -> None:
        """Note whether the client has the next word, and how long it may take."""
        if self.transport.is_closing():
            return
        asked = self.cycle is not None and not self.cycle.response_complete
        if asked and not self.cycle.more_body:
            self._waiting.pop(self, None)
        else:
            self._waiting.setdefault(self)  # whoever waits already keeps its place in the line
        if asked and self._idle is not None:
            self._idle.cancel()
            self._idle = None
        elif not asked and self._idle is None:
            self._idle = self.loop.call_later(self._patience, self._give_up)

    def _give_up(self) -> None:
        # to close would wait for a client that does not take the rest of its last answer
        rest = self.transport.get_write_buffer_size()
        self.transport.abort() if rest else self.transport.close()


def open_files(wanted: int = FILES) -> int:
    """Return how many files may be open, after raising that as far as `wanted` if need be."""
    if sys.platform == "win32":  # no such limit
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = wanted if hard == unlimited else min(wanted, hard)
    if soft == unlimited or soft >= wanted:
        return wanted
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Seldom(logging.Filter):
    """Lets each line of code log once a minute: strangers can make it log as often as they like.

    Args:
        seconds: How long a line is silent after it has logged.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._told: dict[tuple[str, int], float] = {}
        self._left_out: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log; what is logged says how much was left out."""
        line = record.pathname, record.lineno
        now = time.monotonic()
        if now - self._told.get(line, -self._seconds) < self._seconds:
            self._left_out[line] = self._left_out.get(line, 0) + 1
            return False
        self._told[line] = now
        text = record.getMessage()
        if text.startswith("socket.accept() out of system resource"):
            text = "error: no file is free for a further connection; raise `ulimit -n`"
            record.exc_info = None
        if left_out := self._left_out.pop(line, 0):
            text = f"{text.rstrip()} ({left_out} more such lines left out)"
        record.msg, record.args = text, ()
        return True
