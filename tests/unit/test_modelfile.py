"""Model files that are wrong, hostile, or answer what is no number."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.helper import (
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor,
    make_tensor_value_info,
    set_model_props,
)
from onnx.numpy_helper import from_array

from conftest import Run
from deepfer.classify import Classifier
from deepfer.errors import ModelFileError
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.modelfile import InputSpec, ModelInfo

INFO = ModelInfo("m@1", BASIC_EXPRESSIONS, InputSpec(8, 8))
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a small network that flattens faces and multiplies, with what a test changes."""

    def make(
        *nodes: onnx.NodeProto,
        metadata: dict[str, Any] | str | None = None,
        taken: tuple[int, list[Any]] | None = (TensorProto.FLOAT, ["n", 1, 8, 8]),
        given: list[Any] | None = None,
        weights: float = 0.01,
    ) -> Path:
        nodes = nodes or (
            make_node("Flatten", ["x"], ["flat"]),
            make_node("MatMul", ["flat", "w"], ["y"]),
        )
        given = ["n", 7] if given is None else given
        graph = make_graph(
            nodes,
            "g",
            [] if taken is None else [make_tensor_value_info("x", *taken)],
            [make_tensor_value_info("y", TensorProto.FLOAT, given)],
            [
                from_array(np.full((64, 7), weights, np.float32), "w"),
                from_array(np.array([999]), "far"),
                from_array(np.array(1 << 60), "ever"),
                from_array(np.array(True), "true"),
                from_array(np.array([1 << 29, 7]), "shape"),
            ],
        )
        model = make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=9)
        if not isinstance(metadata, str):
            metadata = json.dumps({"format": 1, **asdict(INFO), **(metadata or {})})
        set_model_props(model, {"deepfer": metadata})
        path = tmp_path / "m.onnx"
        onnx.save(model, str(path))
        return path

    return make


def test_a_small_network_works(write: Write) -> None:
    assert Classifier(write())(np.zeros((3, 8, 8), np.uint8)).shape == (3, 7)


@pytest.mark.parametrize(
    "metadata",
    [
        {"input": {"height": 8, "width": 8, "mean": float("nan")}},
        {"input": {"height": 8, "width": 8, "mean": "0.5"}},
        {"input": {"height": 8, "width": 8, "std": 1e300}},
        {"input": {"height": 8.5, "width": 8}},
        {"input": {"height": 10**9, "width": 8}},
        {"input": {"height": 8, "width": 8, "standardize": "no"}},
        {"temperature": float("inf")},
        {"temperature": True},
        {"name": 5},
        {"licence": ["a"]},
        {"labels": 7},
        {"labels": ["glad"]},
        {"prior": ["a"] * 7},
        {"figures": {"a": "b"}},
        {"network_options": 5},
        {"certainty": "1"},
        {"unknown": 1},
        "[" * 100_000,
        '{"format": ' + "1" * 5000 + "}",
        "5",
        "null",
    ],
)
def test_metadata(write: Write, metadata: dict[str, Any] | str) -> None:
    with pytest.raises(ModelFileError, match=r"m\.onnx: damaged model metadata") as error:
        Classifier(write(metadata=metadata))
    assert "\n" not in str(error.value)


def test_texts_that_are_no_text(write: Write, deepfer: Run, tmp_path: Path) -> None:
    path = write(metadata={"name": "a name to damage"})
    path.write_bytes(path.read_bytes().replace(b"a name to", b"a \xff\xfeme to"))
    done = deepfer("info", path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {path}: damaged, its texts are not UTF-8")
    path.write_bytes(write().read_bytes().replace(b"MatMul", b"Mat\xff\xfel"))
    done = deepfer("info", path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


FOREVER = make_graph(
    [make_node("Identity", ["going"], ["on"]), make_node("Identity", ["before"], ["after"])],
    "body",
    [
        make_tensor_value_info("i", TensorProto.INT64, []),
        make_tensor_value_info("going", TensorProto.BOOL, []),
        make_tensor_value_info("before", TensorProto.FLOAT, ["n", 7]),
    ],
    [
        make_tensor_value_info("on", TensorProto.BOOL, []),
        make_tensor_value_info("after", TensorProto.FLOAT, ["n", 7]),
    ],
)
MULTIPLY = make_node("Flatten", ["x"], ["flat"]), make_node("MatMul", ["flat", "w"], ["z"])


@pytest.mark.parametrize(
    ("nodes", "changes", "expected"),
    [
        ((), {"weights": float("nan")}, "answers that are no numbers"),
        ((), {"taken": (TensorProto.FLOAT, [1, 1, 8, 8])}, "cannot be run"),
        ((), {"taken": (TensorProto.FLOAT, ["n", 1, 4, 16])}, "its metadata says 1x8x8"),
        ((), {"given": ["n", 8]}, "not a readable|of shape"),
        ((make_node("Cast", ["x"], ["y"], to=1),), {"taken": (2, ["n", 1, 8, 8])}, "uint8"),
        ((make_node("Identity", ["w"], ["y"]),), {"taken": None, "given": [64, 7]}, "nothing"),
        ((make_node("ReduceSum", ["x"], ["y"], keepdims=0),), {"given": []}, "of shape"),
        ((make_node("Identity", ["w"], ["y"]),), {}, "scores of shape (64, 7) for 2 faces"),
        ((*MULTIPLY, make_node("Gather", ["z", "far"], ["y"])), {}, "cannot be run"),
        (
            (make_node("ConstantOfShape", ["shape"], ["y"], value=make_tensor("v", 1, [1], [0])),),
            {},
            "cannot be run|not a readable",
        ),
    ],
)
def test_networks(
    write: Write, nodes: tuple[onnx.NodeProto, ...], changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ModelFileError) as error:
        Classifier(write(*nodes, **changes))
    assert any(part in str(error.value) for part in expected.split("|")), error.value
    assert "\n" not in str(error.value)


def test_an_endless_loop_ends(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepfer.runtime._SECONDS", 0.2)
    loop = make_node("Loop", ["ever", "true", "z"], ["y"], body=FOREVER)
    with pytest.raises(ModelFileError, match="no end after"):
        Classifier(write(*MULTIPLY, loop))


def test_the_terminal_is_not_steered_and_nothing_else_is_written(
    write: Write, deepfer: Run
) -> None:
    path = write(metadata={"name": "a\x1b[2Jb\nc", "figures": {"d\x07": 1}})
    done = deepfer("info", path)
    assert done.returncode == 0
    assert r"a\x1b[2Jb\nc" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    done = deepfer("info", write(*MULTIPLY, make_node("Gather", ["z", "far"], ["y"])))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_weights_lie_nowhere_else_than_in_its_folder(write: Write, tmp_path: Path) -> None:
    model = onnx.load(str(write()))
    weights = next(one for one in model.graph.initializer if one.name == "w")
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    (tmp_path / "below").mkdir()
    for place in ("../weights.bin", str(tmp_path / "weights.bin")):
        del weights.external_data[:]
        weights.external_data.add(key="location", value=place)
        (tmp_path / "below" / "m.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(ModelFileError, match="not a readable ONNX model"):
            Classifier(tmp_path / "below" / "m.onnx")
