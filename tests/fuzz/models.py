"""Model files: ONNX with what deepfer stores in it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx.helper import (
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor_value_info,
    set_model_props,
)
from onnx.numpy_helper import from_array

from deepfer.classify import Classifier
from deepfer.explain.gradients import network_of
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.modelfile import InputSpec, ModelInfo

from . import mutate

SECONDS = 12.0  # it may run for five before it is refused
MEMORY = 1500  # and take a gigabyte
WORDS = (
    *(b"Flatten", b"MatMul", b"Loop", b"If", b"Gather", b"ConstantOfShape", b"ai.onnx"),
    *(b"deepfer", b"theta", b"location", b"../../../etc/passwd"),
)
_SIDE = 8
_METADATA = 0.3  # share of changes that are ones of the metadata's values


@cache
def seeds() -> list[bytes]:
    count = len(BASIC_EXPRESSIONS)
    plain = ModelInfo("m@1", BASIC_EXPRESSIONS, InputSpec(_SIDE, _SIDE))
    full = ModelInfo(
        "m@1",
        BASIC_EXPRESSIONS,
        InputSpec(_SIDE, _SIDE, standardize=True),
        temperature=1.5,
        prior=(1 / count,) * count,
        training_data="faces",
        network="deepfer_fast",
        network_options={"widths": [4] * 7, "hidden": 8},
        figures={"accuracy": 0.5},
    )
    product = [make_node("Flatten", ["x"], ["flat"]), make_node("MatMul", ["flat", "w"], ["y"])]
    softer = [
        make_node("Conv", ["x", "k"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        make_node("Relu", ["c"], ["r"]),
        make_node("GlobalAveragePool", ["r"], ["p"]),
        make_node("Flatten", ["p"], ["f"]),
        make_node("Gemm", ["f", "d", "b"], ["y"]),
    ]
    return [_model(product, plain), _model(product, full), _model(softer, full)]


def run(data: bytes) -> None:
    path = Path("m.onnx")
    path.write_bytes(data)
    classifier = Classifier(path)
    json.dumps(asdict(classifier.info))
    spec = classifier.info.input
    faces = np.random.default_rng(0).integers(0, 256, (3, spec.height, spec.width), np.uint8)
    classifier(faces)
    classifier.theta(faces)
    if classifier.info.prior:
        classifier.under("balanced")(faces)
    network_of(classifier)


def changed(data: bytes, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> bytes:
    if rng.random() > _METADATA:
        return mutate.changed(data, others, rng, words)
    model = onnx.load_from_string(data)
    values = json.loads(model.metadata_props[0].value)
    for _ in range(rng.choice((1, 1, 2, 4))):
        values = mutate.json_changed(values, rng)
    text = json.dumps(values)
    set_model_props(model, {"deepfer": text})
    return model.SerializeToString()


def _model(nodes: list[onnx.NodeProto], info: ModelInfo) -> bytes:
    count, draw = len(info.labels), np.random.default_rng(0)
    weights: dict[str, Any] = {
        "w": draw.normal(size=(_SIDE * _SIDE, count)),
        "k": draw.normal(size=(4, 1, 3, 3)),
        "d": draw.normal(size=(4, count)),
        "b": draw.normal(size=count),
    }
    used = {name for node in nodes for name in node.input}
    graph = make_graph(
        nodes,
        "g",
        [make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, _SIDE, _SIDE])],
        [make_tensor_value_info("y", TensorProto.FLOAT, ["n", count])],
        [from_array(v.astype(np.float32), name) for name, v in weights.items() if name in used],
    )
    model = make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=9)
    set_model_props(model, info.to_metadata())
    return model.SerializeToString()
