"""What every network has in common, so that training and export need to know nothing else."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Network(nn.Module, ABC):
    """An expression network: features, then one linear classifier.

    Attributes:
        input_size: Height and width of the input, in pixels.
        convolutions: The blocks that make feature maps, in order.
        classifier: The last dense layer, features to logits.
    """

    input_size: int
    convolutions: nn.Sequential
    classifier: nn.Linear

    @abstractmethod
    def features(self, faces: Tensor) -> Tensor:
        """Map float (N, 1, H, W) faces to the (N, D) input of the classifier."""

    @abstractmethod
    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """Return the dense layers that the published weight penalty applies to."""

    def deployed(self) -> "Network":
        """Return the network that answers the same in evaluation, in layers that exporters know."""
        return self

    def theta(self, faces: Tensor) -> Tensor | None:
        """Return the attention's affine maps (N, 2, 3), output to input, or None without one.

        Convention:
            Coordinates run from -1 to 1 over the input, x first; ``align_corners=False``.
        """
        return None

    def forward(self, faces: Tensor) -> Tensor:
        """Map float (N, 1, H, W) faces to logits (N, K)."""
        logits: Tensor = self.classifier(self.features(faces))
        return logits
