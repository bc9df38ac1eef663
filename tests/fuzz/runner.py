"""Runs inputs of one kind, and keeps those that fail, made as small as they get."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from itertools import count as counted
from pathlib import Path
from random import Random

from .mutate import changed
from .worker import Failure, Worker

_TRIES = 400  # at most, to make one input smaller
_PATIENCE = 60.0  # seconds for the same
_ENOUGH = 20  # ways to fail; a kind with more is mended first


@dataclass
class Result:
    """What a search found.

    Attributes:
        inputs: How many were run.
        seconds: How long that took.
        found: Ways to fail, with the input that is kept and how many failed so.
        passing: Failures of inputs that did not fail when they were run again, alone.
    """

    inputs: int = 0
    seconds: float = 0.0
    found: dict[str, tuple[Path, int]] = field(default_factory=dict)
    passing: list[str] = field(default_factory=list)


def module(kind: str) -> str:
    """Return the name of a kind's module."""
    return f"{__package__}.{kind}"


def inputs(kind: str, seed: int, start: int = 0) -> Iterator[bytes]:
    """Yield a kind's good inputs, then changed ones for ever; each depends on its number alone."""
    known = import_module(module(kind))
    seeds: Sequence[bytes] = known.seeds()
    change = getattr(known, "changed", None) or changed
    words = getattr(known, "WORDS", ())
    for number in counted(start):
        if number < len(seeds):
            yield seeds[number]
            continue
        rng = Random(f"{seed}/{number}")  # noqa: S311
        yield change(rng.choice(seeds), seeds, rng, words)


def search(
    kind: str,
    folder: Path,
    *,
    seed: int = 0,
    start: int = 0,
    count: int | None = None,
    seconds: float | None = None,
) -> Result:
    """Run inputs of a kind.

    Args:
        kind: One of `KINDS`.
        folder: Where inputs that fail are kept, each with a text that says how it failed.
        seed: Decides how inputs are changed.
        start: Number of the first input.
        count: How many; None for no end.
        seconds: How long; None for no end.
    """
    result, began = Result(), time.monotonic()
    with Worker(module(kind)) as worker:
        for data in inputs(kind, seed, start):
            result.seconds = time.monotonic() - began
            if result.inputs == count or (seconds is not None and result.seconds > seconds):
                break
            failure = worker.run(data)
            result.inputs += 1
            if failure is None:
                continue
            path, times = result.found.get(failure.what, (None, 0))
            if path is None:
                if _lasts(failure):
                    worker.end()  # again, alone: a busy machine and what came before count too
                    again = worker.run(data)
                    if again is None:
                        result.passing.append(failure.what)
                        continue
                    failure = again
                path = keep(kind, folder, smaller(data, failure, worker.run), failure)
            result.found[failure.what] = (path, times + 1)
            if len(result.found) == _ENOUGH:
                break
    return result


def _lasts(failure: Failure) -> bool:
    return failure.what.startswith(("no end", "memory"))


def smaller(data: bytes, failure: Failure, run: Callable[[bytes], Failure | None]) -> bytes:
    """Return a part of an input that fails in the same way."""
    size, tries, end = len(data) // 2, 0, time.monotonic() + _PATIENCE
    while size:
        place = 0
        while place < len(data):
            if tries == _TRIES or time.monotonic() > end:
                return data
            shorter = data[:place] + data[place + size :]
            tries += 1
            found = run(shorter)
            if found is not None and found.what == failure.what:
                data = shorter
            else:
                place += size
        size //= 2
    return data


def keep(kind: str, folder: Path, data: bytes, failure: Failure) -> Path:
    """Write an input that fails, and how it failed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-{sha256(data).hexdigest()[:10]}"
    path.write_bytes(data)
    path.with_name(f"{path.name}.txt").write_text(f"{failure.what}\n{failure.details}\n")
    return path
