"""ST-RNN: a spatial recurrent network over feature maps, and a temporal one over frames.

Source:
    Zhang et al., Spatial-Temporal Recurrent Neural Network for Emotion Recognition, 2019 (its
    abstract; the form of the equations is recalled, and the sizes are ours).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepfer.errors import CheckpointError
from deepfer.models.deepfer_fast import DeepFERFast

_DIRECTIONS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2, -1), (-2,))
"""The axes to flip so that a sweep to the lower right goes ↘, ↙, ↖ and ↗."""


class SpatialRNN(nn.Module):
    """Sweeps maps in four directions, and projects each sweep's states over the places.

    h_ij = tanh(U x_ij + W (h_i-1,j ; h_i,j-1 ; h_i-1,j-1) + b), for each direction with its own
    weights; s = Σ_ij G_ij h_ij.

    Args:
        inputs: Channels of the maps.
        hidden: Width of a state.
        side: Height and width of the maps.
        slots: What each direction's places are projected to.
    """

    def __init__(self, inputs: int, hidden: int, side: int, slots: int) -> None:
        super().__init__()
        count = len(_DIRECTIONS)
        self.side, self.hidden = side, hidden
        self.inward = nn.Parameter(_uniform(count, inputs, hidden))
        self.onward = nn.Parameter(_uniform(count, 3 * hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(count, 1, hidden))
        self.places = nn.Parameter(_uniform(count, side * side, slots).transpose(1, 2).contiguous())
        self.offset = nn.Parameter(torch.zeros(count, slots, 1))

    def states(self, maps: Tensor) -> Tensor:
        """Return (4, N, hidden, S, S) states of (N, C, S, S) maps, at their places in the maps."""
        flipped = torch.stack([maps.flip(axes) if axes else maps for axes in _DIRECTIONS])
        side, inward = self.side, self.inward[:, None, None]
        fed = flipped.permute(0, 3, 4, 1, 2) @ inward + self.bias[:, None, None]  # (4, S, S, N, H)
        # shear the rows, so that places on a diagonal, which do not need each other, are a column
        last = side - 1
        sheared = torch.stack(
            [functional.pad(fed[:, i], (0, 0, 0, 0, i, last - i)) for i in range(side)], dim=1
        )
        column = older = torch.zeros_like(sheared[:, :, 0])  # (4, S, N, H)
        columns = []
        for diagonal in range(2 * side - 1):
            before = torch.cat([_down(column), column, _down(older)], dim=-1)
            new = torch.tanh(sheared[:, :, diagonal] + before @ self.onward[:, None])
            top, bottom = max(0, diagonal - last), min(side, diagonal + 1)
            older, column = (
                column,
                functional.pad(new[:, top:bottom], (0, 0, 0, 0, top, side - bottom)),
            )
            columns.append(column)
        swept = torch.stack(columns, dim=2)
        grid = torch.stack([swept[:, i, i : i + side] for i in range(side)], dim=1)
        grid = grid.permute(0, 3, 4, 1, 2)  # (4, N, H, S, S)
        return torch.stack(
            [s.flip(axes) if axes else s for s, axes in zip(grid, _DIRECTIONS, strict=True)]
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, C, S, S) to (N, 4 slots hidden)."""
        states = self.states(maps).flatten(3)  # (4, N, hidden, places)
        found = torch.einsum("dnhp,dsp->dnsh", states, self.places) + self.offset.unsqueeze(1)
        return found.permute(1, 0, 2, 3).flatten(1)


class SequenceHead(nn.Module):
    """What makes features of the maps of a sequence.

    Attributes:
        frames: That make a sequence.
        width: Of the features.
    """

    frames: int
    width: int

    def sparsity(self) -> tuple[Tensor, Tensor]:
        """Return what is to be small so that few places, and few moments, count."""
        return torch.zeros(()), torch.zeros(())


class Pooled(SequenceHead):
    """The mean over places and frames, standardised: what recurrent networks have to beat.

    Args:
        channels: Of the trunk's maps.
        frames: That make a sequence.
    """

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.frames, self.width = frames, channels
        self.norm = nn.BatchNorm1d(channels, affine=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, C, S, S), of which each run of `frames` is a sequence, to (N, C)."""
        means = maps.mean((2, 3)).reshape(-1, self.frames, self.width).mean(1)
        found: Tensor = self.norm(means).repeat_interleave(self.frames, dim=0)
        return found


class Recurrent(SequenceHead):
    """The spatial and the temporal network, as the head of a trunk.

    Args:
        channels: Of the trunk's maps.
        side: Their height and width.
        frames: That make a sequence.
        dropout: Share of a frame's values that are dropped.
    """

    def __init__(self, channels: int, side: int, frames: int, dropout: float) -> None:
        super().__init__()
        self.frames, self.width = frames, 128
        self.reduce = nn.Sequential(nn.Conv2d(channels, 64, 1), nn.Tanh())
        self.spatial = SpatialRNN(64, 32, side, 8)
        self.dropout = nn.Dropout(dropout)
        self.temporal = nn.RNN(1024, 64, bidirectional=True, batch_first=True)
        self.moments = nn.Parameter(torch.full((frames,), 1 / frames))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, C, S, S), of which each run of `frames` is a sequence, to (N, 128).

        All frames of a sequence get the same.
        """
        slices = self.dropout(self.spatial(self.reduce(maps)))
        states, _ = self.temporal(slices.reshape(-1, self.frames, slices.shape[1]))
        sequences = torch.einsum("nth,t->nh", states, self.moments)
        return sequences.repeat_interleave(self.frames, dim=0) if self.frames > 1 else sequences

    def sparsity(self) -> tuple[Tensor, Tensor]:
        """Return Σ ‖G of a place‖ over places and directions, and Σ |P| over moments."""
        return self.spatial.places.norm(dim=1).sum(), self.moments.abs().sum()


class STRNN(DeepFERFast):
    """ST-RNN on the maps that deepfer_fast makes before its last pooling.

    A batch is whole sequences, frame after frame, unless a face is a sequence of its own.

    Args:
        num_classes: Number of logits.
        frames: That make a sequence; 1: still faces, with the spatial network alone at work.
        head: ``"recurrent"``, or ``"pooled"`` for the mean of the maps in its place.
        widths: As of deepfer_fast, whose weights can be the start: reset its ``hidden``, freeze
            ``attention`` and ``convolutions``.
        dropout: Share of a frame's values that are dropped between the two networks.
        attention: As of deepfer_fast.
        symmetric: As of deepfer_fast, for the convolutions; the rest is not symmetric.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        frames: int = 1,
        head: str = "recurrent",
        widths: tuple[int, ...] = (32, 64, 96, 128, 256, 256, 320),
        dropout: float = 0.5,
        attention: str = "window",
        symmetric: bool = False,
    ) -> None:
        super().__init__(
            num_classes=num_classes, widths=widths, attention=attention, symmetric=symmetric
        )
        if head not in {"recurrent", "pooled"}:
            raise ValueError("st_rnn: head is 'recurrent' or 'pooled'")
        self.frames = frames
        made = (
            Recurrent(widths[-1], self.input_size // 8, frames, dropout)
            if head == "recurrent"
            else Pooled(widths[-1], frames)
        )
        self.hidden = nn.Sequential(made)
        self.classifier = nn.Linear(made.width, num_classes)

    def features(self, faces: Tensor) -> Tensor:
        """See `Network.features`."""
        seen = self.seen(faces)
        features: Tensor = self.hidden(self.convolutions[:-1](seen))
        return features

    def deployed(self) -> "STRNN":
        """See `Network.deployed`.

        Raises:
            CheckpointError: It answers for sequences, and a model file is given single faces.
        """
        if self.frames > 1:
            raise CheckpointError(
                "st_rnn: answers for sequences, which a model file cannot; measure it with "
                "`deepfer bench`, or train it with model_options.frames=1"
            )
        network = super().deployed()
        assert isinstance(network, STRNN)  # noqa: S101
        return network

    def dense_layers(self) -> tuple[nn.Linear, ...]:
        """See `Network.dense_layers`."""
        return (self.classifier,)


def _down(column: Tensor) -> Tensor:
    """Move the rows of (4, S, N, H) down by one; nothing comes in."""
    return functional.pad(column[:, :-1], (0, 0, 0, 0, 1, 0))


def _uniform(*shape: int) -> Tensor:
    """Return weights as `nn.Linear` draws them, the last dimension but one being what comes in."""
    bound = shape[-2] ** -0.5
    return torch.empty(*shape).uniform_(-bound, bound)
