"""Who does the partitions: processes on this machine, or Ray's workers on any cluster."""

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from deepfer.batch.plan import Job
from deepfer.batch.work import Worker
from deepfer.errors import InputError

_TRIES = 3


def list_engines() -> tuple[str, ...]:
    """Return the names of the engines."""
    return tuple(_ENGINES)


def run(job: Job, engine: str, *, workers: int | None = None) -> Iterator[int]:
    """Do what is missing of a job, and yield each partition once it is done.

    Args:
        job: The job.
        engine: One of `list_engines`.
        workers: Partitions that are done at the same time; all cores by default.

    Raises:
        InputError: The same partition kills its worker again and again.
    """
    return _ENGINES[engine](job, workers or os.cpu_count() or 1)


_worker: Worker | None = None


def _start(job: Job) -> None:
    global _worker
    _worker = Worker(job)


def _do(partition: int) -> int:
    assert _worker is not None  # noqa: S101  set when the process started
    _worker(partition)
    return partition


def _local(job: Job, workers: int) -> Iterator[int]:
    """Processes on this machine; a process that dies costs no more than its partition's time."""
    deaths, left = 0, len(list(job.missing()))
    while left and deaths < _TRIES:
        try:
            yield from _pool(job, min(workers, left))
        except BrokenProcessPool:
            before, left = left, len(list(job.missing()))
            deaths = deaths + 1 if left == before else 0
        else:
            return
    if not left:
        return
    stuck = next(job.missing())
    raise InputError(
        f"partition {stuck} ended its process {_TRIES} times; its inputs are listed in "
        f"{job.folder}/plan/part-{stuck:06}.json: take the harmful one out and begin a new job"
    )


def _pool(job: Job, workers: int) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(job,)
    ) as pool:
        waiting = job.missing()
        running: set[Future[int]] = {pool.submit(_do, i) for i in islice(waiting, 2 * workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_do, i) for i in islice(waiting, len(done))}
                for future in done:
                    yield future.result()
        except (GeneratorExit, KeyboardInterrupt):
            pool.shutdown(wait=False, cancel_futures=True)
            # nothing of a partition counts before it is whole; to wait for one would only invite
            # a second Ctrl-C, which leaves the processes waiting for each other
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise


def _ray(job: Job, workers: int) -> Iterator[int]:
    """Ray Data over the partitions; the job's folder must be one that all machines share."""
    import ray

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        missing = list(job.missing())
        if not missing:
            return
        parts = ray.data.from_items(
            [{"partition": i} for i in missing], override_num_blocks=len(missing)
        )
        worker: Any = _RayWorker  # Ray's types know functions only
        pool = ray.data.ActorPoolStrategy(size=min(workers, len(missing)))
        done = parts.map(worker, fn_constructor_args=(job,), compute=pool)
        for row in done.iter_rows():
            yield row["partition"]
    finally:
        if started:
            ray.shutdown()


class _RayWorker:
    def __init__(self, job: Job) -> None:
        self._work = Worker(job)

    def __call__(self, row: dict[str, int]) -> dict[str, int]:
        self._work(row["partition"])
        return row


_ENGINES: dict[str, Callable[[Job, int], Iterator[int]]] = {"local": _local, "ray": _ray}
