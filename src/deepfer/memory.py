"""One budget of memory for all pictures that are worked on at the same time."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

BUDGET = 210_000_000
"""Bytes. The rest of the program needs about 90 MB before its first search: 300 MB in all."""

_changed = threading.Condition()
_turn = threading.Lock()  # whoever waits for much is not overtaken for ever by those with little
_free = BUDGET


def one_heap() -> None:
    """Keep what threads free in one place, where glibc would keep it for each by itself."""
    if sys.platform.startswith("linux"):
        setting = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if setting is not None:
            setting(-8, 1)  # M_ARENA_MAX


class Lease:
    """What one piece of work holds of the budget."""

    def __init__(self) -> None:
        self._held = 0

    def take(self, size: int) -> None:
        """Hold so many bytes instead of those held so far; wait until they are free."""
        global _free
        size = min(size, BUDGET)
        if size <= self._held:
            return
        self.give_back()  # nobody holds some and waits for more, so nobody waits for ever
        with _turn, _changed:
            _changed.wait_for(lambda: _free >= size)
            _free -= size
            self._held = size

    def give_back(self) -> None:
        """Hold nothing any more."""
        global _free
        with _changed:
            _free += self._held
            self._held = 0
            _changed.notify_all()


@contextmanager
def lease() -> Iterator[Lease]:
    """Open a lease, and give back what it holds when the work is done."""
    held = Lease()
    try:
        yield held
    finally:
        held.give_back()
