"""What goes where: the answer to stdout, everything else to stderr."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from deepfer.errors import DeepferError

PARTIAL, INTERRUPTED = 3, 130

T = TypeVar("T")


def answer(text: str) -> None:
    """Print a part of the answer."""
    sys.stdout.write(f"{text}\n")


def tell(text: str) -> None:
    """Print something about the work."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass items on and show a bar with the time left, where people can see it."""
    if total < 2 or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, description=what, total=total, console=console, transient=True)


@contextmanager
def failures(*, debug: bool) -> Iterator[None]:
    """Turn expected failures into one line and exit code 1, and Ctrl-C into exit code 130."""
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
        tell(f"error: this needs the {extra!r} extra: pip install 'deepfer[{extra}]'")
        sys.exit(1)
    except KeyboardInterrupt:
        tell("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of stdout, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _extra_of(module: str) -> str | None:
    """Return the extra that brings a module."""
    needs_train = {"torch", "pydantic", "safetensors", "onnx", "onnxscript", "tensorboard"}
    return "train" if module.partition(".")[0] in needs_train else None
