"""The network of IB-CNN: three small convolutions, and dense units that vote.

Source:
    Han et al., Incremental Boosting Convolutional Neural Network for Facial Action Unit
    Recognition, 2016 (its abstract, and what others say of it). The convolutions are those of
    Caffe's cifar10_quick, at 48 pixels.
"""

import torch
from torch import Tensor, nn

from deepfer.models.base import Network

_SLOPE = 0.5  # a unit's answer turns around within this many of its deviations


class Votes(nn.Linear):
    """A linear layer whose weights are given, not trained."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        del self.weight
        self.register_buffer("weight", torch.full((outputs, inputs), 1 / inputs))


class Threshold(nn.BatchNorm1d):
    """(x − λ) / σ with the running mean λ and deviation σ: a batch norm that learns no scale."""

    def __init__(self, units: int) -> None:
        super().__init__(units)
        for name in ("weight", "bias"):
            value = getattr(self, name).detach()
            delattr(self, name)
            self.register_buffer(name, value)


class IBCNN(Network):
    """Three 5x5 convolutions, a dense layer, and each of its units as a weak classifier.

    Args:
        num_classes: Number of logits.
        widths: Channels of the three convolutions.
        units: Weak classifiers.
        boosted: The classifier's weights are the objective's `boosted` to set; otherwise it is
            trained as those of other networks are, for softmax.
    """

    input_size = 48

    def __init__(
        self,
        *,
        num_classes: int,
        widths: tuple[int, ...] = (32, 32, 64),
        units: int = 128,
        boosted: bool = True,
    ) -> None:
        super().__init__()
        if len(widths) != 3:
            raise ValueError("ib_cnn: give three widths")
        first, second, third = widths
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, first, 5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
            nn.Conv2d(second, third, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(2),
        )
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(third * 6 * 6, units))
        self.threshold = Threshold(units)
        self.classifier = Votes(units, num_classes) if boosted else nn.Linear(units, num_classes)

    def features(self, faces: Tensor) -> Tensor:
        """See `Network.features`: (N, units), the weak answers, between -1 and 1."""
        return weak(self.threshold(self.hidden(self.convolutions(faces))))

    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """See `Network.dense_layers`."""
        linear = self.hidden[1]
        assert isinstance(linear, nn.Linear)  # noqa: S101
        return (linear, self.classifier)


def weak(outputs: Tensor) -> Tensor:
    """Return h = (x − λ) / √((x − λ)² + η²), η = σ/2.

    Args:
        outputs: (x − λ) / σ.
    """
    return outputs / (outputs.square() + _SLOPE**2).sqrt()
