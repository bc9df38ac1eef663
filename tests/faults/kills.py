"""Kills a command at random moments, gives it again, and looks at the end."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .victims import Victim

_MARK = "DEEPFER_TRIAL"
_PATIENCE, _MORE = 2.0, 15.0  # seconds in which everything must have ended
# Ray's own, killed while it starts, look only now and then whether they are still needed
_SLOW = (
    "ray::DashboardAgent",
    "ray::RuntimeEnvAgent",
    "ray/dashboard/agent.py",
    "ray/_private/runtime_env/agent/main.py",
    "ray/_private/workers/default_worker.py",
)
_CALLS = "write,pwrite64,writev,rename,openat,unlink,mkdir,fsync,ftruncate"
STRACE = shutil.which("strace")
WAYS = ("SIGKILL", "SIGTERM", "Ctrl-C", "worker", *(["system call"] if STRACE else []))


@dataclass
class Outcome:
    """What became of a command over all its trials."""

    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Trials:
    """Trials of one command.

    Args:
        victim: The command.
        inputs: What it reads.
        folder: Where it works; one folder per trial, deleted after a good one.
        chance: Decides moments and ways.
    """

    def __init__(self, victim: Victim, inputs: Path, folder: Path, chance: random.Random) -> None:
        self._victim, self._inputs, self._chance = victim, inputs, chance
        self._folder = folder
        self.outcome = Outcome()
        began = time.monotonic()
        whole = folder / "whole"
        code, told = self._to_the_end(whole)
        self._seconds = time.monotonic() - began
        if code not in victim.codes:
            raise SystemExit(f"{' '.join(victim.command)}: ended with {code}\n{told}")
        self._expected = victim.end(whole), _names(whole)

    def one(self, kills: int) -> None:
        """Kill the command some times, then let it end."""
        folder = self._folder / "killed"
        done = [self._kill(folder) for _ in range(kills)]
        code, told = self._to_the_end(folder)
        if code not in self._victim.codes:
            self._fault(done, f"ended with {code}: {told}")
        elif (self._victim.end(folder), _names(folder)) != self._expected:
            new = sorted(_names(folder) ^ self._expected[1])
            self._fault(done, f"another end; files that differ: {new}")
        shutil.rmtree(folder)

    def _fault(self, done: Any, what: str) -> None:
        self.outcome.faults.append(f"{done}: {what}")

    @contextmanager
    def _started(self, folder: Path, *before: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
        folder.mkdir(parents=True, exist_ok=True)
        mark = uuid.uuid4().hex
        process = subprocess.Popen(
            [*before, *self._victim.arguments(self._inputs)],
            cwd=folder,
            env={**os.environ, _MARK: mark, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process, mark
        finally:  # nothing, unless this was interrupted, or there is a fault
            for left in _marked(mark):
                _send(left, signal.SIGKILL)

    def _to_the_end(self, folder: Path) -> tuple[int, str]:
        with self._started(folder) as (process, mark):
            _, told = process.communicate(timeout=600)
            self._require_end(mark, "its own end")
        return process.returncode, told

    def _kill(self, folder: Path) -> str:
        """Start the command and kill it, or one of its processes."""
        way = self._chance.choice(WAYS)
        self.outcome.kills[way] += 1
        before: list[str] = []
        if way == "system call":
            number = round(10 ** self._chance.uniform(0, 3))
            calls = ["-e", f"trace={_CALLS}"]
            inject = ["-e", f"inject={_CALLS}:signal=SIGKILL:when={number}"]
            before = [str(STRACE), "-f", "--seccomp-bpf", "-qqq", "-o", os.devnull, *calls, *inject]
            when = f"{way} {number}"
        moment = self._chance.uniform(0, self._seconds)
        with self._started(folder, *before) as (process, mark):
            if not before:
                when = f"{way} after {moment:.2f} s"
                time.sleep(moment)
                _signal(process, way, mark, self._chance)
            _, told = process.communicate(timeout=600)
            self._require_end(mark, when)
        if process.returncode == 130 and "Traceback" in told:
            self._fault(when, told)
        return when

    def _require_end(self, mark: str, when: str) -> None:
        began = time.monotonic()
        while left := _marked(mark):
            names = [_command(process) for process in left]
            slow = all(any(own in name for own in _SLOW) for name in names)
            if time.monotonic() - began > (_MORE if slow else _PATIENCE):
                self._fault(when, f"still running: {names}")
                return
            time.sleep(0.05)


def _signal(process: "subprocess.Popen[str]", way: str, mark: str, chance: random.Random) -> None:
    if way == "Ctrl-C":  # reaches all that the terminal has started
        os.killpg(process.pid, signal.SIGINT)
    elif way == "worker":
        workers = [p for p in _marked(mark) if "spawn_main" in _command(p)]
        if workers:
            _send(chance.choice(workers), signal.SIGKILL)
        else:
            process.kill()
    else:
        process.send_signal(signal.Signals[way])


def _send(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def _marked(mark: str) -> list[int]:
    """Return the processes that have a mark in their environment (Linux)."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found


def _command(process: int) -> str:
    try:
        text = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return ""
    return text.decode(errors="replace").strip()[:200]


def _names(folder: Path) -> frozenset[str]:
    """Return what lies in a folder; TensorBoard's names hold the time."""
    paths = (str(p.relative_to(folder)) for p in folder.rglob("*"))
    return frozenset(re.sub(r"events\.out\..*", "events", path) for path in paths)
