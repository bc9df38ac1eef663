"""A fault at a certain file operation, in every Python process that finds this folder on its path.

The environment's ``FAULT`` holds four words: ``open`` (a file for reading) or ``write`` (anything
that changes a disk), a pattern of the file's name, which one of those operations (1 is the
first of each process; ``*`` is every one), and what happens: a signal or an error's name.
"""

import errno
import os
import signal
import sys
from fnmatch import fnmatch

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"}


def install(kind: str, pattern: str, which: str, fault: str) -> None:
    """Let it happen in this process from now on."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "open":
            flags = arguments[2]
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            found = "write" if writes else "open"
        else:
            found = "write" if event in _CHANGES else ""
        if found != kind or not isinstance(arguments[0], str | os.PathLike):
            return
        if not fnmatch(os.path.basename(os.fspath(arguments[0])), pattern):  # noqa: PTH119
            return
        seen += 1
        if which not in {"*", str(seen)}:
            return
        if fault.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[fault])
        elif fault == "MemoryError":
            raise MemoryError
        else:
            number = getattr(errno, fault)
            raise OSError(number, os.strerror(number))

    sys.addaudithook(hook)


if "FAULT" in os.environ:
    install(*os.environ["FAULT"].split())
