"""deepfer_fast: the product's own network for 48-pixel faces.

Seven 3x3 convolutions behind an attention window that is really computed. The window is the
attention form of the spatial transformer (Jaderberg et al. 2015, equation 2: scale and shift,
no rotation, since faces arrive upright). Without rotation the bilinear resampling is separable,
so it costs two small matrix products instead of a general grid sampling: 48x48 faces are warped
in microseconds, and the same two products run in any ONNX runtime.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepfer.models.base import Network

_THUMBNAIL = 12
_REACH = 0.25  # the window may change size and move by at most a quarter
_PACE = 0.1  # at the trunk's learning rate the window runs to its limits and stays there


class AttentionWindow(nn.Module):
    """Finds a window (scale and shift per axis) on the face and enlarges it to the input's size.

    Args:
        input_size: Height and width of the faces, in pixels.
        symmetric: Give a mirrored face the mirrored window.
    """

    def __init__(self, input_size: int, *, symmetric: bool = False) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.shrink = input_size // _THUMBNAIL
        self.locate = nn.Sequential(
            nn.Flatten(), nn.Linear(_THUMBNAIL**2, 32), nn.ReLU(inplace=True), nn.Linear(32, 4)
        )
        for parameter in self.locate[-1].parameters():
            nn.init.zeros_(parameter)  # start at the whole face
        centres = (torch.arange(input_size, dtype=torch.float32) + 0.5) * 2 / input_size - 1
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer(
            "pixels", torch.arange(input_size, dtype=torch.float32), persistent=False
        )
        self.register_buffer("signs", torch.tensor([1.0, 1, -1, 1]), persistent=False)
        self.centres: Tensor
        self.pixels: Tensor
        self.signs: Tensor

    def window(self, faces: Tensor) -> Tensor:
        """Return (N, 4): scale x, scale y, shift x, shift y in -1..1 coordinates."""
        thumbnail = functional.avg_pool2d(faces, self.shrink)
        moves = self.locate(thumbnail)
        if self.symmetric:  # the shift along x changes its sign with the face, the others do not
            mirrored = self.locate(thumbnail.flip(3)) * self.signs
            moves = (moves + mirrored) / 2
        moves = _REACH * torch.tanh(_PACE * moves)
        return torch.cat([1 + moves[:, :2], moves[:, 2:]], dim=1)

    def forward(self, faces: Tensor) -> Tensor:
        """Warp float32 (N, 1, S, S) faces; the border is repeated outside the face."""
        window = self.window(faces)
        across = self._interpolation(window[:, 0:1], window[:, 2:3])  # (N, S, S)
        down = self._interpolation(window[:, 1:2], window[:, 3:4])
        warped = down @ faces.squeeze(1) @ across.transpose(1, 2)
        return warped.unsqueeze(1)

    def _interpolation(self, scale: Tensor, shift: Tensor) -> Tensor:
        """Return (N, S, S) matrices whose row i holds output pixel i's bilinear weights."""
        size = len(self.pixels)
        position = ((scale * self.centres + shift + 1) * size - 1) / 2  # in pixels
        position = position.clamp(0, size - 1)
        return functional.relu(1 - (position.unsqueeze(2) - self.pixels).abs())


def mirror(maps: Tensor) -> Tensor:
    """Mirror (N, C, H, W) maps, or kernels, whose second half of channels mirrors the first.

    One channel is its own mirror image.
    """
    return maps.flip(3).roll(maps.shape[1] // 2, 1)


class MirroredConvolution(nn.Conv2d):
    """3x3 convolution whose second half of filters are the mirror images of the first.

    A mirrored face gives the `mirror` of its maps: the network need not learn twice what a raised
    left or right corner of the mouth looks like (Cohen and Welling 2016, for reflections alone).
    It costs what the usual convolution costs and has half the weights.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs // 2, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        return functional.conv2d(maps, self._kernels(), padding=1)

    def usual(self) -> nn.Conv2d:
        """Return the usual convolution that does the same."""
        outputs, inputs = 2 * self.out_channels, self.in_channels
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        convolution.weight = nn.Parameter(self._kernels().detach())
        return convolution

    def _kernels(self) -> Tensor:
        return torch.cat([self.weight, mirror(self.weight)])


class MirroredNorm(nn.BatchNorm2d):
    """Batch norm over a channel and its mirror image together."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels // 2)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        # in channels-last memory the two halves of C lie like neighbours in W: nothing is copied
        n, c, h, w = maps.shape
        pairs = maps.permute(0, 2, 3, 1).reshape(n, h, 2 * w, c // 2).permute(0, 3, 1, 2)
        return super().forward(pairs).permute(0, 2, 3, 1).reshape(n, h, w, c).permute(0, 3, 1, 2)

    def usual(self) -> nn.BatchNorm2d:
        """Return the usual batch norm that does the same in evaluation."""
        norm = nn.BatchNorm2d(2 * self.num_features, self.eps)
        state = self.state_dict()
        norm.load_state_dict({n: torch.cat([t, t]) if t.ndim else t for n, t in state.items()})
        return norm


class DeepFERFast(Network):
    """Attention window, seven convolutions in four scales, one hidden dense layer.

    Args:
        num_classes: Number of logits.
        widths: Channels of the seven convolutions. The default has 2.5 M parameters and
            94 M multiply-adds per face.
        hidden: Width of the hidden dense layer, which is also the feature size.
        dropout: Share of features dropped before and after the hidden layer.
        attention: ``"window"``, or ``"none"`` to leave the window out.
        symmetric: Give a face and its mirror image the same answer, by filters in mirrored pairs;
            1.6 M parameters, the same multiply-adds. The hidden layer sees both and is averaged.
    """

    input_size = 48

    def __init__(
        self,
        *,
        num_classes: int,
        widths: tuple[int, ...] = (32, 64, 96, 128, 256, 256, 320),
        hidden: int = 256,
        dropout: float = 0.3,
        attention: str = "window",
        symmetric: bool = False,
    ) -> None:
        super().__init__()
        if len(widths) != 7 or attention not in {"window", "none"}:
            raise ValueError("deepfer_fast: give seven widths, and attention 'window' or 'none'")
        if symmetric and any(width % 2 for width in widths):
            raise ValueError("deepfer_fast: symmetric needs even widths, for filters in pairs")
        w1, w2, w3, w4, w5, w6, w7 = widths
        self.symmetric = symmetric
        self.attention = (
            AttentionWindow(self.input_size, symmetric=symmetric) if attention == "window" else None
        )
        pool = nn.MaxPool2d(2)
        block = _mirrored if symmetric else _usual
        self.convolutions = nn.Sequential(
            block(1, w1),  # (N, w1, 48, 48)
            pool,
            block(w1, w2),  # (N, w2, 24, 24)
            pool,
            block(w2, w3),  # (N, w3, 12, 12)
            block(w3, w4),
            pool,
            block(w4, w5),  # (N, w5, 6, 6)
            block(w5, w6),
            block(w6, w7),
            pool,  # (N, w7, 3, 3)
        )
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(w7 * 9, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(hidden, num_classes)

    def features(self, faces: Tensor) -> Tensor:
        """See `Network.features`."""
        maps = self.convolutions(self.seen(faces))
        features: Tensor = self.hidden(maps)
        if self.symmetric:
            features = (features + self.hidden(mirror(maps))) / 2
        return features

    def seen(self, faces: Tensor) -> Tensor:
        """Return what the convolutions see of faces: the attention's window."""
        if self.attention is not None:
            # bfloat16 would round the sampling positions to a quarter of a pixel
            with torch.autocast(faces.device.type, enabled=False):
                faces = self.attention(faces.float())
        return faces.contiguous(memory_format=torch.channels_last)

    def deployed(self) -> "DeepFERFast":
        """See `Network.deployed`."""
        network = copy.deepcopy(self)
        for block in network.convolutions:
            for i, layer in enumerate(block.children()):
                if isinstance(layer, MirroredConvolution | MirroredNorm):
                    block[i] = layer.usual()  # type: ignore[operator]
        return network.eval()

    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """See `Network.dense_layers`."""
        linear = self.hidden[2]
        assert isinstance(linear, nn.Linear)  # noqa: S101
        return (linear, self.classifier)

    def theta(self, faces: Tensor) -> Tensor | None:
        """See `Network.theta`."""
        if self.attention is None:
            return None
        sx, sy, tx, ty = self.attention.window(faces).unbind(1)
        zero = torch.zeros_like(sx)
        return torch.stack([sx, zero, tx, zero, sy, ty], dim=1).reshape(-1, 2, 3)


def _usual(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution that keeps the size, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _mirrored(inputs: int, outputs: int) -> nn.Sequential:
    """The same in mirrored pairs."""
    return nn.Sequential(
        MirroredConvolution(inputs, outputs), MirroredNorm(outputs), nn.ReLU(inplace=True)
    )
