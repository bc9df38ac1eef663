"""What the loop trains: the data, the network, its start and its teachers."""

from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from deepfer.data.base import ImageSet
from deepfer.data.splits import load_training_sets
from deepfer.errors import CheckpointError, RecipeError
from deepfer.labels import Expression
from deepfer.models import create_model
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


def network_of(recipe: Recipe, labels: tuple[Expression, ...], *, begun: bool) -> Network:
    """Build a recipe's network, with the weights to start from unless the run has `begun`.

    Raises:
        RecipeError: The network does not take these options.
        CheckpointError: The weights to start from are missing, or of another form.
    """
    try:
        network = create_model(recipe.model, num_classes=len(labels), **recipe.model_options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RecipeError(f"model_options: {error}") from None
    if recipe.init and not begun:
        start_from(network, recipe, labels)
    return network


def autocast_type(name: str, device: torch.device) -> torch.dtype:
    """Return what a recipe's precision comes to on a device.

    ``auto`` and ``bfloat16`` are bfloat16 where the hardware computes in it. Other CPUs imitate it
    at a tenth of the speed of float32, so there both are float32.
    """
    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if name != "float32" and fast else torch.float32


def start_from(network: Network, recipe: Recipe, labels: tuple[Expression, ...]) -> None:
    """Load the weights of the recipe's ``init``; those of the classifier only if the labels agree.

    Raises:
        CheckpointError: The other network is of another form.
        RecipeError: The network has no part that ``reset`` names.
    """
    other, about = checkpoint.load_network(recipe.init)
    weights, own = other.state_dict(), network.state_dict()
    _parts(network, recipe.reset, "reset")  # only to refuse unknown names
    anew = list(recipe.reset)
    if about.labels != labels:
        anew.append("classifier")
    for part in (weights, own):
        for name in [n for n in part if n.startswith(tuple(f"{a}." for a in anew))]:
            del part[name]
    shapes, own_shapes = ({n: t.shape for n, t in part.items()} for part in (weights, own))
    if different := [n for n in {**own_shapes, **shapes} if own_shapes.get(n) != shapes.get(n)]:
        raise CheckpointError(
            f"{recipe.init}: cannot start from another form of network ({different[0]} differs)"
        )
    network.load_state_dict(weights, strict=False)


def freeze(network: Network, names: tuple[str, ...]) -> list[nn.Module]:
    """Stop the training of some parts of a network and return them.

    They must stay in evaluation mode, or their batch norms would go on learning.

    Raises:
        RecipeError: The network has no such part, or nothing is left to train.
    """
    frozen = _parts(network, names, "freeze")
    for part in frozen:
        part.requires_grad_(False)
    if not any(p.requires_grad for p in network.parameters()):
        raise RecipeError("freeze: nothing is left to train; leave the classifier out")
    return frozen


def _parts(network: Network, names: tuple[str, ...], key: str) -> list[nn.Module]:
    """Look up parts by their dotted names, such as ``convolutions`` or ``convolutions.0``."""
    parts = {name: part for name, part in network.named_modules() if name}
    if unknown := [name for name in names if name not in parts]:
        own = ", ".join(name for name, _ in network.named_children())
        raise RecipeError(f"{key}: the network has no part {unknown[0]!r}; its parts: {own}")
    return [parts[name] for name in names]


def teacher(source: str, student: Network, labels: tuple[Expression, ...]) -> Network:
    """Load a network to learn from.

    Raises:
        CheckpointError: It tells other expressions apart, or takes faces of another size.
    """
    network, about = checkpoint.load_network(source)
    if about.labels != labels:
        raise CheckpointError(f"{source}: the teacher's label order differs from the data's")
    if network.input_size != student.input_size:
        raise CheckpointError(
            f"{source}: the teacher takes {network.input_size} pixels, "
            f"the student {student.input_size}"
        )
    return network
