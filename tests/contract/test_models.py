"""What every network in the table must do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from deepfer.classify import SHIPPED, Classifier, model_path
from deepfer.data import open_dataset
from deepfer.errors import CheckpointError, UnknownNameError
from deepfer.models import create_model, list_models
from deepfer.models.base import Network
from deepfer.models.deepfer_fast import AttentionWindow, MirroredNorm, mirror

FORMS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in list_models()),
    ("deepfer", {"attention": "features"}),
    ("deepfer", {"attention": "none", "dropout_at": "features"}),
    ("deep_emotion", {"localization": "3x3-3x3"}),
    ("deepfer_fast", {"attention": "none"}),
    ("deepfer_fast", {"symmetric": True}),
    ("tri_conv", {"form": "pair"}),
    ("ib_cnn", {"boosted": False}),
    ("st_rnn", {"head": "pooled"}),
]
WITHOUT_ATTENTION = {"tri_conv", "ib_cnn"}
DENSE = {"deepfer": 4, "tri_conv": 3, "st_rnn": 1}
"""Dense layers, where they are not two."""


def attentive(name: str, options: dict[str, Any]) -> bool:
    return name not in WITHOUT_ATTENTION and options.get("attention") != "none"


def last_of_attention(network: Network) -> str:
    fast = "attention" in dict(network.named_children())
    return "attention.locate.3" if fast else "transformer.last"


def parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def faces(network: Network, n: int) -> torch.Tensor:
    return torch.randn(n, 1, network.input_size, network.input_size)


@pytest.mark.parametrize(("name", "options"), FORMS)
class TestEveryNetwork:
    def test_logits_and_gradients(self, name: str, options: dict[str, Any]) -> None:
        torch.manual_seed(0)
        network = create_model(name, num_classes=7, **options)
        logits = network(faces(network, 4))
        assert logits.shape == (4, 7)
        assert network.features(faces(network, 4)).shape == (4, network.classifier.in_features)
        functional.cross_entropy(logits, torch.arange(4)).backward()
        missing = [n for n, p in network.named_parameters() if p.grad is None]
        assert missing == []

    def test_eval_is_deterministic_and_batch_invariant(
        self, name: str, options: dict[str, Any]
    ) -> None:
        torch.manual_seed(0)
        network = create_model(name, num_classes=7, **options).eval()
        x = faces(network, 5)
        with torch.inference_mode():
            assert torch.equal(network(x), network(x))
            torch.testing.assert_close(network(x)[2:3], network(x[2:3]), atol=1e-5, rtol=1e-5)

    def test_attention_starts_at_the_whole_face(self, name: str, options: dict[str, Any]) -> None:
        network = create_model(name, num_classes=7, **options)
        theta = network.theta(faces(network, 2))
        if not attentive(name, options):
            assert theta is None
        else:
            assert theta is not None
            identity = torch.eye(2, 3).expand(2, 2, 3)
            torch.testing.assert_close(theta, identity, atol=1e-6, rtol=0)

    def test_attention_is_really_computed(self, name: str, options: dict[str, Any]) -> None:
        """Moving the attention must change the logits, and learning must move the attention."""
        torch.manual_seed(0)
        network = create_model(name, num_classes=7, **options)
        if network.theta(faces(network, 2)) is None:
            return
        functional.cross_entropy(network(faces(network, 8)), torch.arange(8) % 7).backward()
        attention = network.get_submodule(last_of_attention(network))
        assert attention.bias.grad is not None  # type: ignore[union-attr]
        assert attention.bias.grad.abs().max() > 0  # type: ignore[union-attr, operator]
        network.eval()
        x = faces(network, 2)
        with torch.inference_mode():
            before = network(x)
            attention.bias.add_(1.0)  # type: ignore[union-attr, operator]
            assert not torch.allclose(before, network(x))

    def test_dense_layers_end_in_the_classifier(self, name: str, options: dict[str, Any]) -> None:
        network = create_model(name, num_classes=7, **options)
        assert network.dense_layers()[-1] is network.classifier
        assert len(network.dense_layers()) == DENSE.get(name, 2)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("deepfer", {"input_size": 256, "attention": "none"}, 6_179_911),
        ("deepfer", {"attention": "none"}, 1_592_391),
        ("deepfer", {"attention": "input"}, 1_615_511),
        ("deepfer", {"attention": "features"}, 1_615_511),
        ("deep_emotion", {}, 66_857),
        ("deep_emotion", {"localization": "3x3-3x3"}, 76_777),
        ("tri_conv", {}, 3_198_919),
        ("ib_cnn", {}, 372_768),
        ("tri_conv", {"form": "pair"}, 5_496_270 - 1_799),  # without the expressions' own head
    ],
)
def test_published_parameter_counts(name: str, options: dict[str, Any], expected: int) -> None:
    assert parameters(create_model(name, num_classes=7, **options)) == expected


def test_a_sequence_network_counts_as_specified() -> None:
    network = create_model("st_rnn", num_classes=7, frames=4)
    head = sum(p.numel() for p in network.hidden.parameters())  # type: ignore[union-attr, operator]
    assert head + 903 == 182_759 + 4  # and one weight for each moment
    with pytest.raises(CheckpointError, match="answers for sequences"):
        network.deployed()


def test_published_form_takes_256_pixels() -> None:
    network = create_model("deepfer", num_classes=7, input_size=256, attention="none").eval()
    with torch.inference_mode():
        maps = network.convolutions(faces(network, 1))  # type: ignore[operator]
    assert maps.shape == (1, 128, 12, 12)


def test_fast_network_stays_small() -> None:
    network = create_model("deepfer_fast", num_classes=7)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 7
    assert parameters(network) < 5_000_000


def test_a_mirrored_face_gets_the_same_answer_of_a_symmetric_network() -> None:
    torch.manual_seed(0)
    network = create_model("deepfer_fast", num_classes=7, symmetric=True)
    assert isinstance(network.attention, AttentionWindow)
    torch.nn.init.normal_(network.attention.locate[3].weight)  # type: ignore[arg-type]
    x = faces(network, 8)
    for _ in range(30):
        network(x)  # on to real batch statistics
    network.eval()
    with torch.inference_mode():
        assert network(x).std(dim=0).min() > 1e-3
        torch.testing.assert_close(network(x), network(x.flip(3)), atol=1e-5, rtol=1e-5)
        maps, mirrored = network.convolutions(x), network.convolutions(x.flip(3))
        torch.testing.assert_close(mirrored, mirror(maps), atol=1e-4, rtol=1e-4)
        deployed = network.deployed()
        assert not [m for m in deployed.modules() if isinstance(m, MirroredNorm)]
        torch.testing.assert_close(deployed(x), network(x), atol=1e-5, rtol=1e-5)


def test_a_mirrored_norm_is_the_norm_of_channel_and_mirror_image() -> None:
    torch.manual_seed(0)
    mine, usual = MirroredNorm(8), torch.nn.BatchNorm2d(4)
    x = torch.randn(6, 8, 5, 5) * 3 + 1
    pairs = torch.cat([x[:, :4], x[:, 4:]])  # both halves as more images
    for _ in range(2):  # in training, then with the running figures
        expected = torch.cat(usual(pairs).chunk(2), dim=1)
        torch.testing.assert_close(mine(x), expected, atol=1e-5, rtol=1e-5)
        mine.eval()
        usual.eval()


def test_attention_window_equals_grid_sampling() -> None:
    """The two matrix products give what the general spatial transformer gives."""
    torch.manual_seed(0)
    window = AttentionWindow(48)
    torch.nn.init.normal_(window.locate[3].weight, std=3.0)  # type: ignore[arg-type]
    x = torch.rand(6, 1, 48, 48)
    sx, sy, tx, ty = window.window(x).unbind(1)
    assert sx.std() > 0.01
    zero = torch.zeros_like(sx)
    theta = torch.stack([sx, zero, tx, zero, sy, ty], 1).reshape(-1, 2, 3)
    grid = functional.affine_grid(theta, [6, 1, 48, 48], align_corners=False)
    expected = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(window(x), expected, atol=1e-5, rtol=1e-4)


def test_unknown_names_and_options() -> None:
    with pytest.raises(UnknownNameError, match="deep_emotion"):
        create_model("resnet", num_classes=7)
    for name, options in (
        ("deepfer", {"attention": "image"}),
        ("deepfer", {"input_size": 64}),
        ("deepfer", {"dropout_at": "input"}),
        ("deep_emotion", {"localization": "5x5"}),
        ("deepfer_fast", {"attention": "grid"}),
        ("tri_conv", {"form": "triple"}),
        ("deepfer_fast", {"symmetric": True, "widths": (31, 64, 96, 128, 256, 256, 320)}),
    ):
        with pytest.raises(ValueError, match=name):
            create_model(name, num_classes=7, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in list_models()), ("deepfer_fast", {"symmetric": True})],
)
def test_export_agrees_with_torch(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    from deepfer.labels import BASIC_EXPRESSIONS
    from deepfer.modelfile import InputSpec, ModelInfo
    from deepfer.runtime import open_session
    from deepfer.training.export import write_model

    torch.manual_seed(0)
    network = create_model(name, num_classes=7, **options).eval()
    if attentive(name, options):
        attention = last_of_attention(network)
        torch.nn.init.normal_(network.get_submodule(attention).weight, std=0.1)  # type: ignore[arg-type]
    info = ModelInfo("m@1", BASIC_EXPRESSIONS, InputSpec(48, 48))
    write_model(network, info, tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(3, 1, 48, 48)).astype(np.float32)
    logits, *found = open_session(tmp_path / "m.onnx").run(None, {"faces": x})
    with torch.inference_mode():
        np.testing.assert_allclose(logits, network(torch.from_numpy(x)), atol=1e-4)
        expected = network.theta(torch.from_numpy(x))
    assert (expected is not None) == bool(found) == attentive(name, options)
    if expected is not None:
        assert expected.std(dim=0).max() > 1e-3  # the window differs between faces
        np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_files_are_one_network(name: str) -> None:
    small, exact = Classifier(name), Classifier(model_path(name, exact=True))
    assert small.path.stat().st_size < exact.path.stat().st_size / 3
    assert (small.info.labels, small.info.prior) == (exact.info.labels, exact.info.prior)
    assert sum(small.info.prior) == pytest.approx(1, abs=1e-4)
    faces = np.asarray(open_dataset("drawn", None).load("train").images)
    found, expected = small(faces), exact(faces)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.95
    assert np.abs(found - expected).mean() < 0.02
    windows = small.theta(faces[:8]), exact.theta(faces[:8])
    np.testing.assert_allclose(*windows, atol=1e-4)
