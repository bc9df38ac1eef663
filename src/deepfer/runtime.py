"""ONNX Runtime sessions, opened one way: one thread each, quiet, with one-line errors."""

import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

# without this, importing it writes a device id and a log of events for its makers to the user's
# cache folder; nothing here may be collected
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from deepfer.errors import ModelFileError, reason
from deepfer.files import is_file

# beside each session's own setting; it writes banners to stderr otherwise
ort.set_default_logger_severity(4)

_SECONDS = 5.0  # that a probe may take
_MOST = 1 << 30  # bytes that the networks of foreign files may take, all together


def open_session(path: Path, *, trusted: bool = True) -> ort.InferenceSession:
    """Open a model file on the CPU.

    One thread per session: photos are worked on in parallel instead, which scales better on
    networks this small.

    Args:
        path: The file.
        trusted: It comes with the package; the memory of others is bounded.

    Raises:
        ModelFileError: The file is missing, empty or no ONNX model.
    """
    if not is_file(path):
        raise ModelFileError(f"{path}: no such model file; make one with `deepfer export`")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not trusted:
        _bound_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return ort.InferenceSession(
            path,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # prints banners
        )
    except Exception as error:  # onnxruntime's error classes have no public common base
        size = path.stat().st_size
        raise ModelFileError(
            f"{path}: not a readable ONNX model ({size} bytes, {type(error).__name__}); "
            "make one with `deepfer export`"
        ) from None


@cache
def _bound_memory() -> None:
    ort.create_and_register_allocator(
        ort.OrtMemoryInfo(
            "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
        ),
        ort.OrtArenaCfg({"max_mem": _MOST}),
    )


def probe(
    session: ort.InferenceSession, path: Path, outputs: Sequence[str], feed: dict[str, Any]
) -> list[Any]:
    """Run a network once, for a few seconds at most, and return its outputs.

    Raises:
        ModelFileError: It fails, or takes too long.
    """
    options = ort.RunOptions()
    options.log_severity_level = 4

    def stop() -> None:
        options.terminate = True

    timer = threading.Timer(_SECONDS, stop)
    timer.daemon = True
    timer.start()
    try:
        found: list[Any] = session.run(list(outputs), feed, options)
    except Exception as error:  # onnxruntime's error classes have no public common base
        why = f"no end after {_SECONDS:.0f} s" if options.terminate else reason(error)
        raise ModelFileError(
            f"{path}: the network cannot be run ({why}); export the model again"
        ) from None
    finally:
        timer.cancel()
    return found
