"""Deep-Emotion, the forerunner: four convolutions of ten channels behind a spatial transformer.

Source:
    Minaee and Abdolrashidi, Deep-Emotion, arXiv 1902.01019 (2019), figure 3. The figure prints
    3x3 kernels and a dense layer of 90 inputs in the localisation network, which no 48-pixel
    face gives; both consistent readings are here. Public re-implementations use 7x7 and 5x5.
"""

from torch import Tensor, nn

from deepfer.models.base import Network
from deepfer.models.spatial_transformer import SpatialTransformer

_LOCALIZATION = {"7x7-5x5": (7, 5), "3x3-3x3": (3, 3)}


class DeepEmotion(Network):
    """The published network for 48-pixel faces: 66,857 or 76,777 parameters.

    Args:
        num_classes: Number of logits.
        localization: Kernels of the localisation network: ``"7x7-5x5"`` (66,857 parameters in
            all) or ``"3x3-3x3"`` (76,777).
        dropout: Share of features dropped before the dense layers; the paper gives none.
    """

    input_size = 48

    def __init__(
        self, *, num_classes: int, localization: str = "7x7-5x5", dropout: float = 0.5
    ) -> None:
        super().__init__()
        if localization not in _LOCALIZATION:
            known = ", ".join(_LOCALIZATION)
            raise ValueError(f"deep_emotion: localization is one of {known}; got {localization!r}")
        self.transformer = SpatialTransformer(self.input_size, _LOCALIZATION[localization])
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 10, 3),  # (N, 10, 46, 46)
            nn.ReLU(inplace=True),
            nn.Conv2d(10, 10, 3),  # (N, 10, 44, 44)
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(10, 10, 3),  # (N, 10, 20, 20)
            nn.ReLU(inplace=True),
            nn.Conv2d(10, 10, 3),  # (N, 10, 18, 18)
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        )
        self.hidden = nn.Sequential(
            nn.Flatten(),  # (N, 810)
            nn.Dropout(dropout),
            nn.Linear(810, 50),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(50, num_classes)
        for weight in self.parameters():  # section 4: Gaussian, mean 0, standard deviation 0.05
            if weight.ndim > 1:
                nn.init.normal_(weight, std=0.05)
        self.transformer.reset()

    def features(self, faces: Tensor) -> Tensor:
        """See `Network.features`."""
        features: Tensor = self.hidden(self.convolutions(self.transformer(faces, faces)))
        return features

    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """See `Network.dense_layers`: the last two."""
        hidden = self.hidden[2]
        assert isinstance(hidden, nn.Linear)  # noqa: S101
        return (hidden, self.classifier)

    def theta(self, faces: Tensor) -> Tensor | None:
        """See `Network.theta`."""
        return self.transformer.theta(faces)
