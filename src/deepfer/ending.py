"""How programs end: SIGTERM as Ctrl-C does, and no process after the one that started it."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def end_on_sigterm() -> None:
    """Let SIGTERM interrupt the program as Ctrl-C does, unless somebody wants something else."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


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
