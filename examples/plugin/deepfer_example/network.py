"""A network: features, then a linear classifier."""

from torch import Tensor, nn

from deepfer.models.base import Network


class Tiny(Network):
    """Two convolutions.

    Args:
        num_classes: Number of logits.
        width: Channels of the second convolution; recipes set it by ``model_options``.
    """

    input_size = 48

    def __init__(self, *, num_classes: int, width: int = 32) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, width, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
        )
        self.classifier = nn.Linear(16 * width, num_classes)

    def features(self, faces: Tensor) -> Tensor:
        """Map (N, 1, 48, 48) faces to (N, 16 * width)."""
        return self.convolutions(faces).flatten(1)

    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """Return what a penalty on dense weights counts."""
        return (self.classifier,)
