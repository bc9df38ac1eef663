"""What a trained network's features are worth on other data: a linear classifier on them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from deepfer.bench.floors import fit_and_ask
from deepfer.data.base import ImageSet
from deepfer.modelfile import InputSpec
from deepfer.models.base import Network
from deepfer.preprocess import to_pixels
from deepfer.training.average import probabilities

_C = 1e-4  # thousands of features for a thousand faces; chosen on JAFFE's validation sides


def probe_probabilities(
    network: Network, spec: InputSpec, train: ImageSet, test: ImageSet
) -> NDArray[np.float32]:
    """Fit logistic regression to the last feature map on train and return (N, K) on test.

    Source:
        Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2017.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=300))
    return fit_and_ask(model, _maps(network, spec, train), train, _maps(network, spec, test))


def _maps(network: Network, spec: InputSpec, images: ImageSet) -> NDArray[np.float32]:
    """Return what the last convolution gives, (N, D)."""
    maps: list[Tensor] = []

    def keep(module: Any, inputs: Any, output: Tensor) -> None:
        maps.append(output.flatten(1))

    hook = network.convolutions.register_forward_hook(keep)
    try:
        probabilities(network, to_pixels(images.images, spec), spec)
    finally:
        hook.remove()
    return np.asarray(torch.cat(maps).numpy(), np.float32)
