"""A process that runs inputs of one kind, and may hang, crash or grow without harm."""

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import IO, Self

from deepfer.errors import DeepferError

from .refusals import is_line

SECONDS = 5.0
MEMORY = 500  # MB
_PATIENCE = 6  # times as long may an input take by the clock
_START = 300.0  # seconds for a process to import what it needs, on a busy machine


@dataclass(frozen=True)
class Failure:
    """What was wrong.

    Attributes:
        what: One line, the same for inputs that fail alike.
        details: Such as a traceback.
    """

    what: str
    details: str = ""


class Worker:
    """Runs inputs of one kind in a process of its own.

    Args:
        kind: The kind's module.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.seconds = getattr(import_module(kind), "SECONDS", SECONDS)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """End the process; the next input starts another."""
        if self._process is not None and self._connection is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._process = self._connection = None

    def run(self, data: bytes) -> Failure | None:
        """Run one input, and tell what was wrong."""
        connection = self._connection or self._start()
        assert self._process is not None
        try:
            connection.send_bytes(data)
            if not self._answers(connection, self._process.pid):
                self.end()
                return Failure(f"no end after {self.seconds:g} s")
            failure: Failure | None = connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode or 0
            self.end()
            return Failure(f"crashed: {signal.Signals(-code).name if code < 0 else code}")
        if failure is not None and failure.what.startswith("memory"):
            self.end()  # what it holds would be held against the next one
        return failure

    def _answers(self, connection: Connection, process: int | None) -> bool:
        """Wait for the process, as long as it computes itself, and longer where others do."""
        began, before = time.monotonic(), _computed(process)
        while not connection.poll(0.2):
            computed, waited = _computed(process) - before, time.monotonic() - began
            if computed > self.seconds or waited > _PATIENCE * self.seconds:
                return False
        return True

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.kind), daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(_START):
            raise TimeoutError(f"{self.kind}: did not start")
        self._connection.recv()
        return self._connection


def _computed(process: int | None) -> float:
    """Return the seconds that a process has computed, or those of the clock where none tells."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:  # Linux's alone
        return time.monotonic()


def _serve(connection: Connection, name: str) -> None:
    from deepfer.media import quiet

    quiet()  # as the command line does
    kind = import_module(name)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile(buffering=0) as stderr:
        os.chdir(folder)
        os.dup2(stderr.fileno(), 2)
        connection.send("ready")
        with contextlib.suppress(EOFError):
            while True:
                connection.send(_failure(kind, connection.recv_bytes(), stderr))


def _failure(kind: ModuleType, data: bytes, stderr: IO[bytes]) -> Failure | None:
    stderr.seek(0)
    stderr.truncate()
    _forget_peak()
    failure = None
    try:
        kind.run(data)
    except DeepferError as error:
        if not is_line(error):
            failure = Failure(f"{type(error).__name__} that is no line", str(error)[:20_000])
    except Exception as error:
        failure = Failure(f"{type(error).__name__} in {_where(error)}", traceback.format_exc())
    peak = _peak()
    most = getattr(kind, "MEMORY", MEMORY)
    if peak > most:
        return Failure(f"memory: more than {most} MB", f"{peak} MB")
    if failure is None and (told := _told(kind, stderr)):
        failure = Failure("stderr: " + re.sub(r"\d+", "0", told.splitlines()[0])[:60], told)
    return failure


def _where(error: BaseException) -> str:
    """Return the line of the package that led to an error, and the function that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}deepfer{os.sep}" in frame.filename]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} ({frames[-1].name})"


def _told(kind: ModuleType, stderr: IO[bytes]) -> str:
    sys.stderr.flush()
    stderr.seek(0)
    lines = stderr.read().decode(errors="replace").splitlines()
    own = getattr(kind, "OWN", None)
    return "\n".join(line for line in lines if not (own and re.search(own, line)))


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # Linux's alone
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the most MB that were held since `_forget_peak`."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:  # not told elsewhere
        found = None
    return int(found[1]) // 1000 if found else 0
