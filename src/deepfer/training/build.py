"""What the loop trains: the data, the network with its heads, its start and its teachers."""

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from deepfer.data.base import ImageSet
from deepfer.data.splits import load_training_sets
from deepfer.errors import CheckpointError
from deepfer.labels import Expression
from deepfer.models.base import Network
from deepfer.training import checkpoint
from deepfer.training.recipe import Recipe

M = TypeVar("M", bound=nn.Module)


def placed(module: M, device: torch.device) -> M:
    """Move to a device, in the memory format in which convolutions run fastest."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def training_sets(recipe: Recipe, root: Path | None) -> tuple[ImageSet, ImageSet]:
    """Return what a recipe trains on and what it chooses on."""
    return load_training_sets(
        recipe.dataset,
        root,
        recipe.dataset_options,
        validation=recipe.validation,
        protocol=recipe.protocol,
        fold=recipe.fold,
        split_seed=recipe.split_seed,
    )


class Heads(nn.Module):
    """The network and, in training only, a second head that learns the votes."""

    def __init__(self, network: Network, votes: int) -> None:
        super().__init__()
        self.network = network
        width = network.classifier.in_features
        self.votes = nn.Linear(width, votes) if votes else None

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map (N, 1, H, W) faces to logits (N, K) and vote logits (N, V)."""
        features = self.network.features(faces)
        votes = None if self.votes is None else self.votes(features)
        return self.network.classifier(features), votes


def autocast_type(name: str, device: torch.device) -> torch.dtype:
    """Return what a recipe's precision comes to on a device.

    ``auto`` and ``bfloat16`` are bfloat16 where the hardware computes in it. Other CPUs imitate it
    at a tenth of the speed of float32, so there both are float32.
    """
    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if name != "float32" and fast else torch.float32


def start_from(network: Network, source: str, labels: tuple[Expression, ...]) -> None:
    """Load another network's weights; its classifier only where the label orders agree.

    Raises:
        CheckpointError: The other network is of another form.
    """
    other, description = checkpoint.load_network(source)
    weights, own = other.state_dict(), network.state_dict()
    if checkpoint.labels_of(description) != labels:
        for part in (weights, own):
            for name in [n for n in part if n.startswith("classifier.")]:
                del part[name]
    shapes, own_shapes = ({n: t.shape for n, t in part.items()} for part in (weights, own))
    if different := [n for n in {**own_shapes, **shapes} if own_shapes.get(n) != shapes.get(n)]:
        raise CheckpointError(
            f"{source}: cannot start from another form of network ({different[0]} differs)"
        )
    network.load_state_dict(weights, strict=False)


def teacher(source: str, student: Network, labels: tuple[Expression, ...]) -> Network:
    """Load a network to learn from.

    Raises:
        CheckpointError: It tells other expressions apart, or takes faces of another size.
    """
    network, description = checkpoint.load_network(source)
    if checkpoint.labels_of(description) != labels:
        raise CheckpointError(f"{source}: the teacher's label order differs from the data's")
    if network.input_size != student.input_size:
        raise CheckpointError(
            f"{source}: the teacher takes {network.input_size} pixels, "
            f"the student {student.input_size}"
        )
    return network
