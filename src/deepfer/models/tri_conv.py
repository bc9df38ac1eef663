"""Three wide convolutions, the trunk of networks that are compared by their losses.

Source:
    The pattern (three 5x5 convolutions, each with batch norm, PReLU and pooling, and dense layers)
    is that of the authors of the island loss and of IACNN; the widths are ours.
"""

import torch
from torch import Tensor, nn

from deepfer.models.base import Network

_FORMS = ("chain", "pair")


class TriConv(Network):
    """Three convolutions, then dense layers in one of two forms.

    Args:
        num_classes: Number of logits.
        widths: Channels of the three convolutions.
        hidden: Width of each dense layer.
        form: ``"chain"``: two dense layers, one after the other, as for the island loss;
            ``"pair"``: two side by side on the convolutions, one for the expression and one for
            the person, whose outputs together are the features, as for IACNN.
        dropout: Share of features dropped before each dense layer of a chain, before the one of
            the pair; the classifier sees all.
    """

    input_size = 48

    def __init__(
        self,
        *,
        num_classes: int,
        widths: tuple[int, ...] = (64, 96, 256),
        hidden: int = 256,
        form: str = "chain",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if len(widths) != 3 or form not in _FORMS:
            raise ValueError("tri_conv: give three widths, and form 'chain' or 'pair'")
        first, second, third = widths
        self.convolutions = nn.Sequential(
            *_block(1, first),  # (N, first, 24, 24)
            *_block(first, second),  # (N, second, 12, 12)
            *_block(second, third),  # (N, third, 6, 6)
        )
        flat = third * 6 * 6
        self.flatten = nn.Sequential(nn.Flatten(), nn.Dropout(dropout))
        self.expression = _dense(flat, hidden)
        if form == "chain":
            self.deeper = nn.Sequential(nn.Dropout(dropout), *_dense(hidden, hidden))
        else:
            self.identity = _dense(flat, hidden)
        self.form = form
        self.classifier = nn.Linear(hidden * (1 if form == "chain" else 2), num_classes)

    def features(self, faces: Tensor) -> Tensor:
        """See `Network.features`: of a pair, first what is about the expression."""
        flat = self.flatten(self.convolutions(faces))
        expression: Tensor = self.expression(flat)
        if self.form == "pair":
            return torch.cat([expression, self.identity(flat)], dim=1)
        deeper: Tensor = self.deeper(expression)
        return deeper

    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """See `Network.dense_layers`: all three."""
        return tuple(layer for layer in self.modules() if isinstance(layer, nn.Linear))


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 5, padding=2),
        nn.BatchNorm2d(outputs),
        nn.PReLU(outputs),
        nn.MaxPool2d(2),
    )


def _dense(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.PReLU(outputs))
