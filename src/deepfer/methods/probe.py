"""What a trained network's features are worth on other data: a linear classifier on them."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from deepfer.data.base import ImageSet
from deepfer.methods.base import OPTIONS, Fitted, MethodInfo, Place
from deepfer.methods.estimators import answers
from deepfer.methods.trained import WithWeights
from deepfer.modelfile import InputSpec
from deepfer.models.base import Network
from deepfer.preprocess import to_pixels
from deepfer.training import checkpoint
from deepfer.training.average import probabilities

_C = 1e-4  # thousands of features for a thousand faces; chosen on JAFFE's validation sides


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Probe(WithWeights):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="probe",
        title="logistic regression on a trained network's last feature map",
        what=(
            "Standardises what the last convolution of a network gives, which was trained before, "
            "and fits a logistic regression to it on the training side."
        ),
        reference="Alain and Bengio, Understanding intermediate layers using linear probes",
        year=2017,
    )
    mark: ClassVar[str] = "probe"

    weights: str

    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        network, about = checkpoint.load_network(self.weights)
        return _FittedProbe(network, about.input, train)


class _FittedProbe(Fitted):
    def __init__(self, network: Network, spec: InputSpec, train: ImageSet) -> None:
        self.network, self.spec, self.labels = network, spec, train.expressions
        self.model = make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=300))
        self.model.fit(last_maps(network, spec, train), train.labels)

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        maps = last_maps(self.network, self.spec, images)
        return answers(self.model, maps, len(self.labels))


def last_maps(network: Network, spec: InputSpec, images: ImageSet) -> NDArray[np.float32]:
    """Return what the network's last convolution gives, float32 (N, D)."""
    maps: list[Tensor] = []

    def keep(module: Any, inputs: Any, output: Tensor) -> None:
        maps.append(output.flatten(1))

    hook = network.convolutions.register_forward_hook(keep)
    try:
        probabilities(network, to_pixels(images.images, spec), spec)
    finally:
        hook.remove()
    return np.asarray(torch.cat(maps).numpy(), np.float32)
