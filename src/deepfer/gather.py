"""Which files of folders and patterns are pictures: by what is in them, not by name alone."""

import os
from collections.abc import Iterator
from glob import iglob
from pathlib import Path

from deepfer.errors import InputError, MissingExtraError
from deepfer.media import IMAGE_SUFFIXES, is_special, open_picture

_OTHER_SUFFIXES = frozenset(
    {".arw", ".cr2", ".cr3", ".cur", ".dds", ".dng", ".eps", ".exr", ".hdr", ".icns", ".ico"}
    | {".jxl", ".nef", ".orf", ".psd", ".raf", ".ras", ".rw2", ".svg", ".xcf"}
)
"""Pictures by their names, of kinds that are not read: they are told on reading, not left out."""


def expand(path: str) -> tuple[list[tuple[str, str]], list[str]]:
    """List the pictures that a file, folder (recursive) or glob pattern stands for.

    A file is taken whatever it is; from folders and patterns pictures are taken, and what its name
    says is one, in the order of their names, hidden ones left out. ``-`` is taken as it is.

    Returns:
        Paths, each with a relative name for a copy (the path below the folder, or the file's
        name); and a line on each folder, pipe or device that cannot be read.

    Raises:
        InputError: A folder or pattern holds no pictures, or the path is empty.
    """
    if not path:
        raise InputError("'': an empty path; give a file, a folder, a pattern or -")
    unread: list[str] = []
    if _is_dir(path):
        found = []
        for one in walk(path):
            if is_special(one) or one.is_dir():
                unread.append(f"{one}: {why_not(one)}")
            elif looks_like_picture(one):
                found.append((str(one), one.relative_to(path).as_posix()))
    elif any(c in path for c in "*?[") and not Path(path).exists():
        found = [(str(p), p.name) for p in matches(path) if looks_like_picture(p)]
    else:
        return [(path, "stdin" if path == "-" else Path(path).name)], []
    if not found and not unread:
        raise InputError(f"{path}: holds no images ({' '.join(sorted(IMAGE_SUFFIXES))})")
    return found, unread


def walk(folder: str | Path, also: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder, in the order of their names, and folders that are closed.

    Hidden ones are left out, folders behind links not entered, and pipes, sockets and devices
    yielded only where their names are those of pictures, or end in a suffix of `also`.
    """
    closed: list[Path] = []
    for parent, folders, files in os.walk(
        folder, onerror=lambda e: closed.append(Path(e.filename))
    ):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith(".") and (
                not is_special(path) or _is_named_so(path) or path.suffix.lower() in also
            ):
                yield path
    yield from closed


def matches(pattern: str) -> Iterator[Path]:
    """Yield the files that a glob pattern stands for, in the order of their names."""
    for name in sorted(iglob(pattern, recursive=True)):  # noqa: PTH207 (may be absolute)
        path = Path(name)
        if path.is_file() or path.is_symlink():
            yield path


def looks_like_picture(path: Path) -> bool:
    """Whether a file is a picture, or is called like one and fails on reading."""
    if path.name.startswith("."):
        return False
    if _is_named_so(path):
        return True
    try:
        with open_picture(path):
            return True
    except MissingExtraError:
        return True
    except Exception:  # Pillow raises almost anything
        return False


def _is_named_so(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | _OTHER_SUFFIXES


def why_not(path: Path) -> str:
    """Say why a folder, pipe or device is not read, and what to do."""
    if path.is_dir():
        return "a folder that may not be read; change its permissions"
    return "a pipe or a device, not a file; take it out"


def _is_dir(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # a name too long, a folder above that may not be entered: told on reading
        return False
