"""Writing files so that a kill leaves the old one or the new one, never half of one."""

import csv
import io
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to, and rename it when the block ends well."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        if error.filename == str(partial):  # nobody asked for a file of that name
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete the temporary files that a kill left in a folder."""
    for partial in folder.glob(".*.partial-*"):
        partial.unlink(missing_ok=True)


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
