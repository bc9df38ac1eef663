"""Methods that need gradients, through captum; and a model file as a torch network.

Source:
    Gradient: Simonyan et al. 2013, here times the input's contrast. Integrated gradients:
    Sundararajan et al. 2017, from the face's mean gray. Grad-CAM: Selvaraju et al. 2017.
    HiResCAM: Draelos and Carin 2020.
"""

from functools import lru_cache

import numpy as np
import onnx
import torch
from captum.attr import (
    InputXGradient,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    LayerGradientXActivation,
)
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from deepfer.classify import Classifier
from deepfer.errors import DeepferError, InputError, ModelFileError, reason
from deepfer.modelfile import InputSpec
from deepfer.models import create_model
from deepfer.models.base import Network
from deepfer.preprocess import normalize

_MAX_STEPS = 1000  # of an integral that 32 approximate well; memory grows with them


def gradient_map(
    method: str,
    network: Network,
    face: NDArray[np.uint8],
    target: int,
    spec: InputSpec,
    *,
    steps: int = 32,
) -> NDArray[np.float32]:
    """Return float32 (H, W) in units of the target's logit.

    Args:
        method: ``"gradient"``: each pixel's deviation from the face's mean gray times the
            logit's gradient there; ``"integrated_gradients"``: the same, the gradient averaged
            over the way from the mean gray to the face, so that the map sums to the logit's
            change on that way; ``"grad_cam"``: the last feature maps of at least 6x6, weighted
            by the logit's mean gradient, positive part, enlarged; ``"hires_cam"``: the same maps,
            each position weighted by its own gradient, which a dense head on unpooled maps needs.
        network: In eval mode.
        face: uint8 (H, W).
        target: Column of the explained expression.
        spec: The network's input contract.
        steps: Of the integration.

    Raises:
        InputError: Too few or too many steps.
    """
    if not 2 <= steps <= _MAX_STEPS:
        raise InputError(f"integrated_gradients: {steps} steps; give 2 to {_MAX_STEPS}")
    inputs = torch.from_numpy(normalize(face[None], spec))
    mean = inputs.mean() * torch.ones_like(inputs)
    if method == "integrated_gradients":
        found = IntegratedGradients(network).attribute(
            inputs.requires_grad_(), mean, target=target, n_steps=steps, internal_batch_size=64
        )
    elif method == "gradient":
        shifted = _Shifted(network, mean)
        found = InputXGradient(shifted).attribute((inputs - mean).requires_grad_(), target=target)
    else:
        layer = _last_wide_layer(network, inputs)
        if method == "grad_cam":
            maps = LayerGradCam(network, layer).attribute(inputs, target, relu_attributions=True)
        else:
            parts = LayerGradientXActivation(network, layer).attribute(inputs, target)
            maps = parts.sum(dim=1, keepdim=True)
        found = LayerAttribution.interpolate(maps, face.shape, interpolate_mode="bilinear")
    return np.asarray(found.detach()[0, 0].numpy(), dtype=np.float32)


@lru_cache(maxsize=2)
def network_of(classifier: Classifier) -> Network:
    """Return a model file's network in torch, in eval mode.

    Where the exporter folded a batch norm into the layer before it, that layer gets the folded
    weights, and the batch norm is made to add the folded bias and nothing else.

    Raises:
        ModelFileError: The file does not say which network it holds, or it cannot be rebuilt.
    """
    about = classifier.info
    if not about.network:
        raise ModelFileError(
            f"{classifier.path}: does not say which network it holds; export the model again"
        )
    try:
        options = about.network_options
        network = create_model(about.network, num_classes=len(about.labels), **options).deployed()
    except (DeepferError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"{classifier.path}: names no known network ({reason(error)}); export the model again"
        ) from None
    try:
        network = _filled(network, classifier)
    except Exception:  # whatever a hostile file makes of it
        raise _other(classifier) from None
    return network


def _filled(network: Network, classifier: Classifier) -> Network:
    """Give a network the weights of a model file, and try that it answers alike."""
    stored = {
        i.name.removeprefix("network."): torch.from_numpy(numpy_helper.to_array(i).copy())
        for i in onnx.load(classifier.path).graph.initializer
    }
    layer = ""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            layer = name
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            folded = stored.get(f"{layer}.weight_bias")
            if f"{name}.running_mean" in stored or folded is None:
                continue
            stored[f"{name}.weight"] = torch.ones_like(folded)
            stored[f"{name}.bias"] = folded
            stored[f"{name}.running_mean"] = torch.zeros_like(folded)
            stored[f"{name}.running_var"] = torch.full_like(folded, 1 - module.eps)
    state = network.state_dict()
    network.load_state_dict({n: stored.get(n, t).reshape(t.shape) for n, t in state.items()})
    network.eval()
    spec = classifier.info.input
    noise = np.random.default_rng(0).integers(0, 256, (2, spec.height, spec.width), dtype=np.uint8)
    with torch.inference_mode():
        found = network(torch.from_numpy(normalize(noise, spec))).numpy()
    if not np.abs(found - classifier.logits(noise)).max() <= 1e-3:  # nor is nan
        raise _other(classifier)
    return network


def _other(classifier: Classifier) -> ModelFileError:
    return ModelFileError(
        f"{classifier.path}: its network cannot be rebuilt in torch for gradients; "
        "use occlusion or attention"
    )


class _Shifted(nn.Module):
    """The network as a function of the face's deviation from `origin`."""

    def __init__(self, network: Network, origin: Tensor) -> None:
        super().__init__()
        self.network, self.origin = network, origin

    def forward(self, difference: Tensor) -> Tensor:
        logits: Tensor = self.network(difference + self.origin)
        return logits


def _last_wide_layer(network: Network, inputs: Tensor) -> nn.Module:
    """Return the last block of the convolutions whose maps have at least 6x6 positions."""
    found: list[nn.Module] = []

    def keep(module: nn.Module, given: object, output: Tensor) -> None:
        if output.shape[-1] >= 6:
            found.append(module)

    hooks = [block.register_forward_hook(keep) for block in network.convolutions]
    with torch.inference_mode():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return found[-1]
