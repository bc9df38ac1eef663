"""Inputs that fail in every way, to see that each is found."""

import os
import sys
import time

from deepfer.errors import InputError, RecipeError

SECONDS = 0.5
MEMORY = 150
OWN = "a line of ours"


class _LinesError(InputError):
    def __init__(self) -> None:
        self.args = ("two\nlines",)


def seeds() -> list[bytes]:
    return [b"good"]


def run(data: bytes) -> None:
    for word, fault in _FAULTS.items():
        if word in data:
            fault()


def _spin() -> None:
    while True:
        pass


def _raise(error: Exception) -> None:
    raise error


_FAULTS = {
    b"crash": os.abort,
    b"hang": _spin,
    b"wait": lambda: time.sleep(60),
    b"grow": lambda: bytearray(200_000_000),
    b"raise": lambda: [][1],
    b"lines": lambda: _raise(_LinesError()),
    b"speak": lambda: os.write(2, b"libsomething: warning 17\n"),
    b"line": lambda: _raise(InputError("one line")),
    b"list": lambda: _raise(RecipeError("two\nproblems")),
    b"ours": lambda: sys.stderr.write("a line of ours\n"),
}
