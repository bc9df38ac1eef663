"""Which worker does which partition, and what becomes of those that end their workers."""

import os
from collections import deque
from collections.abc import Iterator
from typing import Any

from deepfer.batch.crew import CREWS, Crew, Hand, WorkerError
from deepfer.batch.plan import Job
from deepfer.batch.work import Rows, write_partition
from deepfer.errors import InputError

_STARTS, _TRIES = 3, 2


def list_engines() -> tuple[str, ...]:
    """Return the names of the engines."""
    return tuple(CREWS)


def run(job: Job, engine: str, *, workers: int | None = None) -> Iterator[int]:
    """Do what is missing of a job, and yield each partition once it is done.

    A partition that ends its worker is put aside. When all others are done, its inputs are tried
    one by one with nobody beside them; what then ends its worker twice, the second time as the
    first thing that this worker does, becomes a row of the errors.

    Args:
        job: The job.
        engine: One of `list_engines`.
        workers: Partitions that are done at the same time; all cores by default.

    Raises:
        InputError: Workers end before they have begun.
    """
    suspects: list[int] = []
    try:
        with CREWS[engine](job) as crew:
            yield from _together(crew, job, workers or os.cpu_count() or 1, suspects)
            yield from _one_by_one(crew, job, suspects)
    finally:
        job.sweep()  # what workers that ended were writing


def _together(crew: Crew, job: Job, count: int, suspects: list[int]) -> Iterator[int]:
    """Do all partitions, several at a time; add those that end their worker to the suspects."""
    waiting = deque(job.missing())
    doing: dict[Hand, int | None] = {}  # None: opening its model
    failures = 0
    try:
        while waiting or any(partition is not None for partition in doing.values()):
            while len(doing) < count and list(doing.values()).count(None) < len(waiting):
                doing[crew.start()] = None
            hand = crew.first(doing)
            partition = doing[hand]
            try:
                hand.answer()
            except WorkerError as error:
                del doing[hand]
                hand.end()
                if partition is None:
                    failures = _counted(failures, error)
                else:
                    suspects.append(partition)
                continue
            failures = 0
            if partition is not None:
                yield partition
            if waiting:
                doing[hand] = waiting.popleft()
                hand.ask("partition", doing[hand])
            else:
                del doing[hand]
                hand.end()
    finally:
        for hand in doing:
            hand.end()


def _one_by_one(crew: Crew, job: Job, suspects: list[int]) -> Iterator[int]:
    """Do partitions that ended their worker, input by input."""
    alone = _Alone(crew)
    try:
        for partition in suspects:
            faces: Rows = []
            errors: list[tuple[str, str]] = []
            for source in job.sources(partition):
                try:
                    faces += alone.rows(source)
                except InputError as error:
                    errors.append((source, str(error)))
            write_partition(job, partition, faces, errors, alone.columns)
            yield partition
    finally:
        alone.end()


class _Alone:
    """A worker with nobody beside it, and another one where it ends."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._hand: Hand | None = None
        self.columns: Any = None

    def rows(self, source: str) -> Rows:
        """Return an input's rows.

        Raises:
            InputError: It cannot be read, or ends whoever tries.
        """
        how = ""
        for _ in range(_TRIES):
            hand = self._hand or self._begun()
            try:
                hand.ask("alone", source)
                found: Rows = hand.answer()
            except WorkerError as error:
                how = str(error)
                self.end()
            else:
                return found
        raise InputError(
            f"{source}: ends whatever reads it ({how}), also alone; see whether it is damaged, or "
            "needs more memory than there is"
        )

    def _begun(self) -> Hand:
        failures = 0
        while True:
            hand: Hand = self._crew.start()
            self._hand = hand
            try:
                self.columns = hand.answer()
            except WorkerError as error:
                self.end()
                failures = _counted(failures, error)
            else:
                return hand

    def end(self) -> None:
        """End the worker, if there is one."""
        if self._hand is not None:
            self._hand.end()
            self._hand = None


def _counted(failures: int, error: WorkerError) -> int:
    """Count a worker that ended before it had begun.

    Raises:
        InputError: It was one of several in a row.
    """
    if failures + 1 < _STARTS:
        return failures + 1
    raise InputError(
        f"{_STARTS} workers ended before they had begun ({error}); give them more memory, or use "
        "fewer --workers"
    )
