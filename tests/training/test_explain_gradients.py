"""Gradient methods on networks in torch, and the judge of all methods."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from conftest import Run
from deepfer.bench.judge import judge
from deepfer.classify import Classifier
from deepfer.data import open_dataset
from deepfer.errors import InputError, ModelFileError
from deepfer.explain import explain
from deepfer.explain.gradients import _last_wide_layer, gradient_map, network_of
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.modelfile import InputSpec, ModelInfo
from deepfer.models import create_model, list_models
from deepfer.preprocess import normalize
from deepfer.training.export import write_model

pytestmark = pytest.mark.usefixtures("drawn_once")

REBUILT = [name for name in list_models() if name != "st_rnn"]
"""Of a recurrent network the exporter turns the weights around, so it is none again."""
METHODS = ("grad_cam", "hires_cam", "gradient", "integrated_gradients")


def write(folder: Path, name: str, *, known: bool = True, **options: object) -> Classifier:
    """Write a network whose batch norms are not as they were born."""
    torch.manual_seed(1)
    network = create_model(name, num_classes=7, **options)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                assert tensor is not None
                tensor.add_(0.2 * torch.randn_like(tensor))
            assert module.running_var is not None
            module.running_var.mul_(1 + torch.rand_like(module.running_var))
    side = network.input_size
    info = ModelInfo(
        name=name,
        labels=BASIC_EXPRESSIONS,
        input=InputSpec(side, side),
        network=name if known else "",
        network_options=options,
    )
    write_model(network, info, folder / f"{name}.onnx")
    return Classifier(folder / f"{name}.onnx")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"network_options": {"widths": ["a"] * 7}}, "names no known network"),
        ({"network_options": {"num_classes": 7}}, "names no known network"),
        ({"network_options": {"dropout": 0.5, "widths": [8] * 7}}, "cannot be rebuilt"),
        ({"network": "deepfer", "network_options": {"input_size": 256}}, "cannot be rebuilt"),
    ],
)
def test_a_model_file_that_names_another_network(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    path = write(tmp_path, "deepfer_fast", widths=[4] * 7, hidden=8).path
    model = onnx.load(path)
    info = ModelInfo.from_metadata({p.key: p.value for p in model.metadata_props}, "")
    onnx.helper.set_model_props(model, replace(info, **changes).to_metadata())
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match=expected):
        network_of(Classifier(path))


@pytest.fixture
def face() -> NDArray[np.uint8]:
    return np.asarray(open_dataset("drawn", None, per_class=3).load("test").images[5])


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in REBUILT), ("deepfer_fast", {"symmetric": True})],
)
def test_a_model_file_is_a_torch_network_again(
    name: str, options: dict[str, object], tmp_path: Path
) -> None:
    classifier = write(tmp_path, name, **options)
    noise = np.random.default_rng(2).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    with torch.inference_mode():
        found = network_of(classifier)(torch.from_numpy(normalize(noise, classifier.info.input)))
    np.testing.assert_allclose(found.numpy(), classifier.logits(noise), atol=1e-3)


@pytest.mark.slow
def test_a_network_that_cannot_be_rebuilt_says_so(tmp_path: Path, face: NDArray[np.uint8]) -> None:
    classifier = write(tmp_path, "st_rnn", widths=[4] * 7)
    with pytest.raises(ModelFileError, match="cannot be rebuilt in torch for gradients; use occl"):
        explain(face, "gradient", model=classifier)


def test_a_file_that_does_not_name_its_network(tmp_path: Path, face: NDArray[np.uint8]) -> None:
    classifier = write(tmp_path, "deep_emotion", known=False)
    assert explain(face, model=classifier).map.any()
    with pytest.raises(ModelFileError, match="export the model again"):
        explain(face, "gradient", model=classifier)


@pytest.mark.parametrize("name", REBUILT)
@pytest.mark.parametrize("method", METHODS)
def test_gradient_methods(method: str, name: str, tmp_path: Path, face: NDArray[np.uint8]) -> None:
    classifier = write(tmp_path, name)
    first, second = (explain(face, method, model=classifier) for _ in range(2))
    np.testing.assert_array_equal(first.map, second.map)
    assert first.map.shape == (48, 48)
    if method == "grad_cam":  # of an untrained network its positive part may be empty
        assert first.map.min() >= 0
    else:
        assert first.map.std() > 0
    assert np.isfinite(first.map).all()


def test_integrated_gradients_sum_to_the_change_of_the_logit(
    tmp_path: Path, face: NDArray[np.uint8]
) -> None:
    classifier = write(tmp_path, "deep_emotion")
    network, spec = network_of(classifier), classifier.info.input
    values = gradient_map("integrated_gradients", network, face, 2, spec, steps=256)
    inputs = torch.from_numpy(normalize(face[None], spec))
    with torch.inference_mode():
        change = (
            network(inputs)[0, 2] - network(torch.full_like(inputs, inputs.mean().item()))[0, 2]
        )
    assert values.sum() == pytest.approx(float(change), abs=0.02 * max(1, abs(float(change))))


def test_the_gradient_is_the_logits_slope(tmp_path: Path, face: NDArray[np.uint8]) -> None:
    classifier = write(tmp_path, "deep_emotion")
    network, spec = network_of(classifier), classifier.info.input
    values = gradient_map("gradient", network, face, 4, spec)
    inputs = torch.from_numpy(normalize(face[None], spec)).requires_grad_()
    network(inputs)[0, 4].backward()
    assert inputs.grad is not None
    expected = inputs.grad[0, 0] * (inputs - inputs.mean())[0, 0]
    np.testing.assert_allclose(values, expected.detach().numpy(), atol=1e-6)


@pytest.mark.slow
def test_the_judge(tmp_path: Path, deepfer: Run) -> None:
    classifier = write(tmp_path, "deepfer_fast")
    drawn = open_dataset("drawn", None, per_class=3)
    faces = np.asarray(drawn.load("test").images)[:2]
    table = judge(
        classifier, faces, ["happy", "sad"], faces > 128, what="two", out=tmp_path / "result"
    )
    rows = list(csv.DictReader((tmp_path / "result" / "table.csv").read_text().splitlines()))
    names = [row["map"] for row in rows]
    assert names[:2] == ["occlusion", "attention"]
    assert sum("control" in name for name in names) == 4
    assert len(table.splitlines()) == len(rows) + 4
    for row in rows:
        for key, value in row.items():
            if "deletion" in key or "insertion" in key or "true regions" in key:
                assert 0 <= float(value) <= 1
    with pytest.raises(InputError, match="at least two"):
        judge(classifier, faces[:1], ["happy"], None, what="one", out=tmp_path / "one")


def test_the_cam_layer_is_the_trunks_also_with_attention_on_the_features() -> None:
    network = create_model("deepfer", num_classes=7, attention="features").eval()
    layer = _last_wide_layer(network, torch.zeros(1, 1, 48, 48))
    assert layer is network.convolutions[7]  # (N, 256, 6, 6)


def test_the_shipped_model_has_gradients(face: NDArray[np.uint8]) -> None:
    assert explain(face, "hires_cam").map.std() > 0
