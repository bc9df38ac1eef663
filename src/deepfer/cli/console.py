"""What goes where: the answer to stdout, everything else to stderr."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar

from deepfer.ending import end_on_sigterm
from deepfer.errors import DeepferError, InputError, MissingExtraError
from deepfer.files import sweep
from deepfer.media import quiet

PARTIAL, INTERRUPTED = 3, 130

T = TypeVar("T")


def answer(text: str) -> None:
    """Print a part of the answer."""
    sys.stdout.write(f"{text}\n")


def visible(text: str) -> str:
    r"""Return text whose control characters, which could steer a terminal, are told as ``\x1b``."""
    return "".join(
        char if char.isprintable() or "\udc80" <= char <= "\udcff" else ascii(char)[1:-1]
        for char in text
    )


def tell(text: str) -> None:
    """Print something about the work."""
    sys.stderr.write("\n".join(map(visible, text.split("\n"))) + "\n")
    sys.stderr.flush()


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass items on and show a bar with the time left, where people can see it."""
    if total < 2 or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    # stdout is the answer's, so rich must not redirect it to the bar's console
    console = Console(stderr=True)
    with Progress(
        console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        yield from bar.track(items, total=total, description=what)


def results_folder(folder: Path) -> Path:
    """Make a folder for results, before the work whose results it shall hold, and sweep it.

    Raises:
        InputError: It cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"--out {folder}: cannot be written ({error.strerror}); name another folder"
        ) from None
    sweep(folder)
    return folder


@contextmanager
def failures(*, debug: bool) -> Iterator[None]:
    """Turn expected failures into one line and exit code 1, Ctrl-C and SIGTERM into 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # file names may hold what the terminal cannot show
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    quiet()
    end_on_sigterm()
    try:
        yield
        sys.stdout.flush()
    except DeepferError as error:
        if debug:
            raise
        tell(f"error: {error}")
        sys.exit(1)
    except ModuleNotFoundError as error:
        extra = _extra_of(error.name or "")
        if debug or extra is None:
            raise
        tell(f"error: {MissingExtraError(extra)}")
        sys.exit(1)
    except KeyboardInterrupt:
        tell("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of stdout, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # a full disk, a folder that may not be written
        if debug:
            raise
        tell(f"error: {error.filename or 'file'}: {_in_words(error)}")
        sys.exit(1)


def _in_words(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full; make room and give the same command again"
    return error.strerror or str(error)


_EXTRAS = {
    "train": {"torch", "pydantic", "safetensors", "onnx", "onnxscript", "tensorboard"},
    "eval": {"sklearn", "skimage", "scipy", "matplotlib"},
    "tune": {"optuna"},
    "explain": {"captum"},
    "heic": {"pillow_heif"},
    "video": {"av", "pyarrow"},
    "serve": {"fastapi", "uvicorn", "starlette", "prometheus_client", "python_multipart"},
    "batch": {"ray"},
}


def _extra_of(module: str) -> str | None:
    """Return the extra that brings a module."""
    name = module.partition(".")[0]
    return next((extra for extra, modules in _EXTRAS.items() if name in modules), None)
