"""A model file in 8-bit integers: a quarter of the size, about four times the speed on a CPU.

Weights are 8 bits per channel, activations 8 bits with ranges found on training faces. Weights
use half their range, since processors without VNNI instructions would overflow otherwise and
give other answers; what finds the attention window stays in float32.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from deepfer.files import replacing
from deepfer.modelfile import InputSpec
from deepfer.preprocess import normalize

CALIBRATION_FACES = 1024
_BATCH = 64
_OPERATORS = ["Conv", "MaxPool", "Gemm", "Relu", "Reshape"]


def quantize(path: Path, faces: NDArray[np.uint8], spec: InputSpec) -> None:
    """Replace a float32 model file by its 8-bit form; metadata is lost.

    Args:
        path: The file.
        faces: uint8 (N, H, W) faces like those it will see; training faces, never others.
        spec: Its input contract.
    """
    with tempfile.TemporaryDirectory() as folder, replacing(path) as partial:
        prepared = str(Path(folder) / "prepared.onnx")
        quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        spared = [n.name for n in nodes if n.op_type == "Gemm" and _is_attention(n.input)]
        logger = logging.getLogger()
        level = logger.level
        logger.setLevel(logging.ERROR)  # it recommends the step that was just taken
        try:
            quantize_static(
                prepared,
                str(partial),
                _Faces(faces, spec),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=_OPERATORS,
                nodes_to_exclude=spared,
            )
        finally:
            logger.setLevel(level)


def _is_attention(inputs: Any) -> bool:
    return any(".attention." in name or ".transformer." in name for name in inputs)


class _Faces(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, faces: NDArray[np.uint8], spec: InputSpec) -> None:
        starts = range(0, len(faces), _BATCH)
        self._batches = iter(normalize(faces[s : s + _BATCH], spec) for s in starts)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"faces": batch}
