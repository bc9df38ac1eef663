"""How programs end: SIGTERM as Ctrl-C does, and no process after the one that started it."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1


def end_on_sigterm() -> None:
    """Let SIGTERM interrupt the program as Ctrl-C does, unless somebody wants something else."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let interruptions wait for the end of the block; what it starts never hears Ctrl-C.

    A process that is interrupted while it starts tells so with a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda which, _: caught.append(which)) for n in numbers}
    masks = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for which in caught:
            signal.raise_signal(which)


def end_with_parent() -> None:
    """End this process at once when the one that started it has ended, however that ended."""
    if sys.platform.startswith("linux"):
        # the system's part works even where code of a library lets no other thread run
        control = getattr(ctypes.CDLL(None), "prctl", None)
        if control is not None:
            control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(number: int) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    else:
        while os.getppid() == number:
            time.sleep(0.5)
    os._exit(1)
