"""Writing files so that a kill leaves the old one or the new one, never half of one."""

import csv
import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to, and rename it when the block ends well."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        # nobody asked for a file of that name, and a full disk names none
        if error.filename in {None, str(partial)}:
            error.strerror = error.strerror or str(error)
            error.errno = error.errno or errno.EIO  # a name is told only beside a number
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def sweep(folder: Path, name: str = "*") -> None:
    """Delete the temporary files that a kill left in a folder, not those of running programs.

    Args:
        folder: Where they are, if it exists.
        name: The file that they were to become; any by default.
    """
    wanted = "*" if name == "*" else escape(name)
    for partial in folder.glob(f".{wanted}.partial-*"):
        writer = partial.name.rpartition("-")[2]
        if writer.isdecimal() and not _is_running(int(writer)):
            with suppress(OSError):  # what cannot be deleted harms nobody
                partial.unlink()


def _is_running(process: int) -> bool:
    """Whether another process of this machine has a number."""
    if process == os.getpid():  # a number may be used again, as in containers
        return False
    if sys.platform == "win32":  # where asking would end it; what is open cannot be deleted there
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def is_file(path: str | Path) -> bool:
    """Whether a path is a file; one with a name that no file can have is none."""
    return os.path.isfile(path)  # noqa: PTH113  (Path's own fails where a name is too long)


def printable(name: str) -> str:
    r"""Return text that UTF-8 can write: bytes of file names that are none become ``\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file as one step; see `printable`."""
    with replacing(path) as partial:
        partial.write_text(printable(content), encoding="utf-8", newline="\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file as one step."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def git_commit() -> str | None:
    """Return the commit of the checkout this code runs from, with '+' if changed; else None."""
    here = Path(__file__).resolve().parent
    git = ["git", "-C", str(here)]
    try:
        top, commit = (
            subprocess.run(  # noqa: S603
                [*git, *arguments], capture_output=True, text=True, check=False
            ).stdout.strip()
            for arguments in (
                ("rev-parse", "--show-toplevel"),
                ("describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"),
            )
        )
    except OSError:
        return None
    # an installed copy may lie inside somebody else's repository
    return commit or None if top and Path(top) / "src" / "deepfer" == here else None
