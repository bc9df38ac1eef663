"""Who works on a job: processes on this machine, or Ray's actors on any cluster.

Either kind is asked one thing at a time, and answers or ends; nobody else falls with it.
"""

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from deepfer.batch.plan import Job
from deepfer.batch.work import Worker
from deepfer.ending import end_with_parent, undisturbed
from deepfer.errors import DeepferError


class WorkerError(Exception):
    """A worker ended, or failed in a way that nobody foresaw, over what it was asked."""


class Hand(Protocol):
    """One worker; it first opens its model, and `answer` says when that is done."""

    def ask(self, method: str, *arguments: object) -> None:
        """Ask for a method of `Worker`, once the last answer is there."""

    def answer(self) -> Any:
        """Return the answer, which must be waited for.

        Raises:
            WorkerError: There is none.
            DeepferError: The job is damaged.
            OSError: Nothing can be written.
        """

    def end(self) -> None:
        """End it, whatever it is doing."""


class Crew(Protocol):
    """Starts workers and waits for their answers."""

    def start(self) -> Any:
        """Return a new worker."""

    def first(self, hands: Collection[Any]) -> Any:
        """Return the first of some workers that has an answer, or has ended."""


class _Attempts:
    """Does what a worker is asked, and keeps failures as values: they travel in any case."""

    def __init__(self, job: Job) -> None:
        end_with_parent()
        self._job = job
        self._worker: Worker | None = None

    def do(self, method: str, *arguments: object) -> tuple[bool, Any]:
        try:
            if self._worker is None:
                self._worker = Worker(self._job)
            return True, getattr(self._worker, method)(*arguments)
        except (DeepferError, OSError) as error:
            return False, error
        except Exception as error:  # of a library, over a file that nobody foresaw
            reason = next(iter(str(error).splitlines()), "")
            return False, f"{type(error).__name__}: {reason}"[:200]


def _value(answer: tuple[bool, Any]) -> Any:
    done, value = answer
    if done:
        return value
    raise value if isinstance(value, Exception) else WorkerError(value)


_spawn = multiprocessing.get_context("spawn")


class _Process:
    """A process of this machine."""

    def __init__(self, job: Job) -> None:
        self.connection, theirs = _spawn.Pipe()
        # as a daemon it is ended, and not waited for, where this process ends in a hurry
        self._process = _spawn.Process(target=_serve, args=(theirs, job), daemon=True)
        with undisturbed():
            self._process.start()
        theirs.close()  # or its end would not be heard
        self.ask("columns")

    def ask(self, method: str, *arguments: object) -> None:
        try:
            self.connection.send((method, *arguments))
        except OSError:  # it has ended, as `answer` will tell
            return

    def answer(self) -> Any:
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise WorkerError(_in_words(self._process.exitcode or 0)) from None
        return _value(answer)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(asked: "Connection[Any, Any]", job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    attempts = _Attempts(job)
    while True:
        asked.send(attempts.do(*asked.recv()))


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    short = ", as where memory is short" if -code == signal.SIGKILL else ""
    return f"{signal.Signals(-code).name}{short}"


class _Processes:
    def __init__(self, job: Job) -> None:
        self._job = job

    def start(self) -> _Process:
        return _Process(self._job)

    def first(self, hands: Collection[_Process]) -> _Process:
        (ready, *_) = wait([hand.connection for hand in hands])
        return next(hand for hand in hands if hand.connection is ready)


@contextmanager
def _local(job: Job) -> Iterator[Crew]:
    yield _Processes(job)


class _Actor:
    """An actor of Ray."""

    def __init__(self, job: Job) -> None:
        import ray

        # whoever falls is replaced by `run`, which knows what it was doing
        kind: Any = ray.remote(max_restarts=0, max_task_retries=0, num_cpus=1)(_Attempts)
        self._actor = kind.remote(job)
        self.ask("columns")

    def ask(self, method: str, *arguments: object) -> None:
        self.asked = self._actor.do.remote(method, *arguments)

    def answer(self) -> Any:
        import ray

        try:
            answer = ray.get(self.asked)
        except ray.exceptions.RayError as error:
            raise WorkerError(f"Ray: {type(error).__name__}") from None
        return _value(answer)

    def end(self) -> None:
        import ray

        ray.kill(self._actor)


class _Actors:
    def __init__(self, job: Job) -> None:
        self._job = job

    def start(self) -> _Actor:
        return _Actor(self._job)

    def first(self, hands: Collection[_Actor]) -> _Actor:
        import ray

        (ready, *_), _ = ray.wait([hand.asked for hand in hands])
        return next(hand for hand in hands if hand.asked == ready)


@contextmanager
def _ray(job: Job) -> Iterator[Crew]:
    """Ray's actors; the job's folder must be one that all machines share."""
    import ray

    if ray.is_initialized():
        yield _Actors(job)
        return
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray's ends the program without a word
        yield _Actors(job)
    finally:
        ray.shutdown()


CREWS: dict[str, Callable[[Job], AbstractContextManager[Crew]]] = {"local": _local, "ray": _ray}
"""By the name of the engine."""
