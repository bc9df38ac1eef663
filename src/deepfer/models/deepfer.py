"""DeepFER as published: seven convolutions, four dense layers, a spatial transformer.

Source:
    Mohsin, Rafi and Navil, DeepFER, and the layer table that the authors' notebooks print.
    Three forms of attention, since the study contradicts itself: its text warps the image, its
    figure multiplies the sampling grid into the path before the dense head (read here as warping
    that feature map), and its code declares the transformer and never calls it.
"""

import torch
from torch import Tensor, nn

from deepfer.models.base import Network
from deepfer.models.spatial_transformer import SpatialTransformer

ATTENTION = ("input", "features", "none")


class DeepFER(Network):
    """The published network; 256 pixels unpadded, or 48 pixels with padded convolutions.

    Args:
        num_classes: Number of logits.
        input_size: 256 for the published form, 48 for the padded one.
        attention: ``"input"`` warps the image, ``"features"`` the last feature map, ``"none"``
            is what the authors' code ran.
        dropout: Share of activations dropped.
        dropout_at: ``"dense"`` after the second dense layer (the code) or ``"features"`` after
            the last convolution (the figure).
    """

    def __init__(
        self,
        *,
        num_classes: int,
        input_size: int = 48,
        attention: str = "input",
        dropout: float = 0.35,
        dropout_at: str = "dense",
    ) -> None:
        super().__init__()
        if input_size not in {48, 256}:
            raise ValueError(f"deepfer: input_size is 48 or 256, got {input_size}")
        if attention not in ATTENTION:
            raise ValueError(f"deepfer: attention is one of {ATTENTION}, got {attention!r}")
        if dropout_at not in {"dense", "features"}:
            raise ValueError(f"deepfer: dropout_at is 'dense' or 'features', got {dropout_at!r}")
        self.input_size = input_size
        self.attention = attention
        self.transformer = None if attention == "none" else SpatialTransformer(input_size)
        padded = input_size == 48

        def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
            # Padding keeps the size where the kernel is odd; the last kernel (2) is never padded.
            padding = kernel // 2 if padded and kernel > 2 else 0
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(outputs),
            )

        self.convolutions = nn.Sequential(  # sides for 256 and 48 pixels:
            conv(1, 32, 7),  # 250, 48
            conv(32, 64, 5),  # 246, 48
            nn.MaxPool2d(2),  # 123, 24
            conv(64, 128, 5),  # 119, 24
            conv(128, 128, 3),  # 117, 24
            nn.MaxPool2d(2),  # 58, 12
            conv(128, 256, 3),  # 56, 12
            conv(256, 256, 3, stride=2),  # 27, 6
            nn.MaxPool2d(2),  # 13, 3
            conv(256, 128, 2),  # 12, 2
        )
        flat = 128 * (2 * 2 if padded else 12 * 12)
        drop = nn.Dropout(dropout)
        self.head = nn.Sequential(
            drop if dropout_at == "features" else nn.Identity(),
            nn.Flatten(),
            nn.Linear(flat, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 128),
            nn.ReLU(inplace=True),
            drop if dropout_at == "dense" else nn.Identity(),
            nn.Linear(128, 32),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(32, num_classes)

    def features(self, faces: Tensor) -> Tensor:
        """See `Network.features`."""
        seen = faces
        if self.transformer is not None and self.attention == "input":
            seen = self.transformer(faces, faces)
        maps = self.convolutions(seen.contiguous(memory_format=torch.channels_last))
        if self.transformer is not None and self.attention == "features":
            maps = self.transformer(faces, maps)
        features: Tensor = self.head(maps)
        return features

    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """See `Network.dense_layers`: all four."""
        hidden = [layer for layer in self.head if isinstance(layer, nn.Linear)]
        return (*hidden, self.classifier)

    def theta(self, faces: Tensor) -> Tensor | None:
        """See `Network.theta`."""
        return None if self.transformer is None else self.transformer.theta(faces)
