"""The table of networks. Listing them needs no torch; building one does.

To add a network: write one file, add one line here, add one recipe. The contract tests find it.
Another package adds one by an entry point of the group ``deepfer.models``.
"""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from deepfer.errors import MissingExtraError
from deepfer.registry import Registry, subclass_of

if TYPE_CHECKING:
    from deepfer.models.base import Network

MODELS = Registry(
    "model",
    "deepfer.models",
    {
        "deepfer": "deepfer.models.deepfer:DeepFER",
        "deep_emotion": "deepfer.models.deep_emotion:DeepEmotion",
        "deepfer_fast": "deepfer.models.deepfer_fast:DeepFERFast",
        "tri_conv": "deepfer.models.tri_conv:TriConv",
        "ib_cnn": "deepfer.models.ib_cnn:IBCNN",
        "st_rnn": "deepfer.models.st_rnn:STRNN",
    },
    subclass_of("deepfer.models.base:Network"),
)
"""All networks, ours and those of other packages."""

_LARGEST = 2048  # width of a layer, side of an input


def list_models() -> tuple[str, ...]:
    """Return the names of all networks."""
    return MODELS.names()


def create_model(name: str, *, num_classes: int, **options: Any) -> "Network":
    """Build an untrained network that maps (N, 1, H, W) faces to (N, num_classes) logits.

    Args:
        name: A name from `list_models`.
        num_classes: Number of expressions.
        options: The network's own keyword arguments.

    Raises:
        UnknownNameError: There is no such network.
        PackageError: Another package added it, and it cannot be used.
        MissingExtraError: torch is not installed.
        ValueError: An option is out of range.
    """
    for option, value in {"num_classes": num_classes, **options}.items():
        for number in value if isinstance(value, list | tuple) else (value,):
            low, high = (0, 1) if "dropout" in option or number is False else (1, _LARGEST)
            if isinstance(number, int | float) and not low <= number <= high:
                raise ValueError(f"{name}: {option} runs from {low} to {high}, got {number!r:.20}")
    network: Network = _builder(name)(num_classes=num_classes, **options)
    return network


def model_options(name: str) -> tuple[str, ...]:
    """Return the names of a network's own options; raises as `create_model` does."""
    return tuple(p for p in signature(_builder(name)).parameters if p != "num_classes")


def resolved_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a network, JSON-ready: those given, and the defaults of the others."""
    defaults = {
        p.name: list(p.default) if isinstance(p.default, tuple) else p.default
        for p in signature(_builder(name)).parameters.values()
        if p.name != "num_classes" and p.default is not p.empty
    }
    return {**defaults, **options}


def _builder(name: str) -> Callable[..., "Network"]:
    try:
        builder: Callable[..., Network] = MODELS.load(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("train") from error
    return builder
