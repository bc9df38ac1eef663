"""Writing files so that a kill leaves the old one or the new one, never half of one.

Folders and files that take long to write are claimed, so that no two programs write them at once.
"""

import csv
import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from itertools import chain
from pathlib import Path

from deepfer.errors import InputError

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


LOCK = ".lock"
"""The file in a folder that says, by the system's lock on it, that a program writes there."""


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


def sweep(folder: Path, name: str = "*", *, below: bool = False) -> None:
    """Delete what a kill left in a folder under temporary names, not those of running programs.

    Args:
        folder: Where they are, if it exists.
        name: The file or folder that they were to become; any by default.
        below: Look into the folders below, too.
    """
    wanted = "*" if name == "*" else escape(name)
    pattern = f".{wanted}.partial-*"
    # what was to replace a temporary file has a temporary name itself
    found = folder.rglob(pattern) if below else chain(*map(folder.glob, (pattern, f".{pattern}")))
    for partial in found:
        writer = partial.name.rpartition("-")[2]
        if writer.isdecimal() and not _is_running(int(writer)):
            with suppress(OSError):  # what cannot be deleted harms nobody
                partial.unlink() if not partial.is_dir() else shutil.rmtree(partial)


@contextmanager
def claimed(folder: Path, name: str = "") -> Iterator[None]:
    """Keep a folder, or one file in it, to this program, and sweep what killed ones left there.

    The claim is the system's lock on a hidden file, so it ends with the program, however that
    ends. A folder that does not exist is made, and taken away again where nothing came into it.

    Args:
        folder: The folder.
        name: The file or folder in it that will be written; all of it by default.

    Raises:
        InputError: Another program has it.
    """
    path = folder / (f".{name}.lock" if name else LOCK)
    made = [part for part in (folder, *folder.parents) if not part.exists()]
    try:
        file = _locked(path)
    except BlockingIOError:
        raise InputError(
            f"{folder / name}: another deepfer is writing there; wait for its end, or name another"
        ) from None
    except OSError as error:
        error.filename = str(folder / name)  # nobody asked for the hidden file
        raise
    try:
        sweep(folder, name or "*", below=not name)
        yield
    finally:
        if sys.platform == "win32":  # where nothing that is open is deleted
            os.close(file)
            _delete(path)
        else:
            _delete(path)
            os.close(file)
        for part in made:
            with suppress(OSError):  # it holds something now
                part.rmdir()


def _locked(path: Path) -> int:
    """Open a file and lock it; the lock ends when it is closed.

    Raises:
        BlockingIOError: Another program has locked it.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # whoever made the folder took it away again
            continue
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):  # the second: Windows
            os.close(file)
            raise BlockingIOError from None
        except OSError:  # a file system without locks
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)  # deleted by its last owner, after it was opened here


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


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
