"""The table of networks. Listing them needs no torch; building one does.

To add a network: write one file, add one line here, add one recipe. The contract tests find it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepfer.errors import MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from deepfer.models.base import Network

_MODELS = {
    "deepfer": "deepfer.models.deepfer:DeepFER",
    "deep_emotion": "deepfer.models.deep_emotion:DeepEmotion",
    "deepfer_fast": "deepfer.models.deepfer_fast:DeepFERFast",
}


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
    """
    if name not in _MODELS:
        raise UnknownNameError("model", name, list_models())
    module, _, attribute = _MODELS[name].partition(":")
    try:
        builder = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("building a network", "train") from error
    network: Network = builder(num_classes=num_classes, **options)
    return network
