"""The first layer in blocks: the same answers from another graph."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from deepfer.classify import Classifier, model_path
from deepfer.modelfile import InputSpec
from deepfer.models import create_model
from deepfer.training.export import write_model
from deepfer.training.quantize import first_layer_in_blocks

FLOAT_MODEL = model_path("fer2013", exact=True)


def test_answers_stay_the_same() -> None:
    before = onnx.load(FLOAT_MODEL)
    after = onnx.load(FLOAT_MODEL)
    first_layer_in_blocks(after, InputSpec(48, 48))
    assert len(after.graph.initializer) < len(before.graph.initializer) + 4  # none left over
    assert "SpaceToDepth" in {node.op_type for node in after.graph.node}
    faces = np.random.default_rng(0).normal(size=(5, 1, 48, 48)).astype(np.float32)
    expected, found = (
        ort.InferenceSession(model.SerializeToString()).run(["logits"], {"faces": faces})[0]
        for model in (before, after)
    )
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_other_beginnings_stay_as_they_are(tmp_path: Path) -> None:
    network = create_model("deep_emotion", num_classes=7).eval()
    write_model(network, Classifier(FLOAT_MODEL).info, tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    before = model.SerializeToString()
    first_layer_in_blocks(model, InputSpec(48, 48))
    assert model.SerializeToString() == before
