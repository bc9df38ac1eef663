"""The table of networks. Listing them needs no torch; building one does.

To add a network: write one file, add one line here, add one recipe. The contract tests find it.
"""

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from deepfer.errors import MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from deepfer.models.base import Network

_MODELS = {
    "deepfer": "deepfer.models.deepfer:DeepFER",
    "deep_emotion": "deepfer.models.deep_emotion:DeepEmotion",
    "deepfer_fast": "deepfer.models.deepfer_fast:DeepFERFast",
    "tri_conv": "deepfer.models.tri_conv:TriConv",
    "ib_cnn": "deepfer.models.ib_cnn:IBCNN",
    "st_rnn": "deepfer.models.st_rnn:STRNN",
}
_LARGEST = 2048  # width of a layer, side of an input


def list_models() -> tuple[str, ...]:
    """Return the names of all networks."""
    return tuple(_MODELS)


def create_model(name: str, *, num_classes: int, **options: Any) -> "Network":
    """Build an untrained network that maps (N, 1, H, W) faces to (N, num_classes) logits.

    Args:
        name: A name from `list_models`.
        num_classes: Number of expressions.
        options: The network's own keyword arguments.

    Raises:
        UnknownNameError: There is no such network.
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


def _builder(name: str) -> Callable[..., "Network"]:
    if name not in _MODELS:
        raise UnknownNameError("model", name, list_models())
    module, _, attribute = _MODELS[name].partition(":")
    try:
        builder: Callable[..., Network] = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("train") from error
    return builder
