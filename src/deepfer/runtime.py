"""ONNX Runtime sessions, opened one way: one thread each, quiet, with one-line errors."""

import os
from pathlib import Path

# without this, importing it writes a device id and a log of events for its makers to the user's
# cache folder; nothing here may be collected
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from deepfer.errors import ModelFileError


def open_session(path: Path) -> ort.InferenceSession:
    """Open a model file on the CPU.

    One thread per session: photos are worked on in parallel instead, which scales better on
    networks this small.

    Raises:
        ModelFileError: The file is missing, empty or no ONNX model.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file; make one with `deepfer export`")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's error classes have no public common base
        size = path.stat().st_size
        raise ModelFileError(
            f"{path}: not a readable ONNX model ({size} bytes, {type(error).__name__}); "
            "make one with `deepfer export`"
        ) from None
