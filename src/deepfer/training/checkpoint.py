"""Files that hold weights: safetensors with a JSON description in the header.

One file per checkpoint, written under a temporary name and renamed, so that a kill at any moment
leaves either the old file or the new one. Nothing that could run code is ever loaded.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from deepfer.errors import CheckpointError, reason
from deepfer.files import write_bytes
from deepfer.models.base import Network
from deepfer.training.trained import TrainedInfo

BEST, LAST = "best.safetensors", "last.safetensors"


def save(path: Path, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write tensors and their JSON description as one file, atomically."""
    copies = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    try:
        # save_file would make a file that nobody else may read
        text = json.dumps(description)
        metadata = {"deepfer": text, "sha256": _checksum(copies, text)}
        write_bytes(path, serialize(copies, metadata=metadata))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error}); make room and pass --resume"
        ) from None


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote.

    Raises:
        CheckpointError: The file is missing, damaged or was not written by `save`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            description = json.loads(metadata["deepfer"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a readable checkpoint ({reason(error)}); give a run folder of "
            "`deepfer train`"
        ) from None
    # files of version 0.1 hold no checksum
    expected = metadata.get("sha256")
    if expected is not None and expected != _checksum(tensors, metadata["deepfer"]):
        raise CheckpointError(
            f"{path}: damaged, its content is not what was written; copy it again, or train anew"
        )
    if not isinstance(description, dict):
        raise CheckpointError(f"{path}: not a checkpoint of `deepfer train`; give a run folder")
    return tensors, description


def _checksum(tensors: dict[str, Tensor], description: str) -> str:
    found = hashlib.sha256(description.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


@contextmanager
def fitting(path: Path, what: str) -> Iterator[None]:
    """Say in one line that a checkpoint holds something else than was expected.

    Args:
        path: The checkpoint.
        what: What it does not fit.

    Raises:
        CheckpointError: The block failed over the checkpoint's content.
    """
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        unknown = " is not known or missing" if isinstance(error, KeyError) else ""
        raise CheckpointError(
            f"{path}: does not fit {what} ({reason(error)}{unknown}); train anew, into another "
            "folder"
        ) from None


def load_network(source: str | Path) -> tuple[Network, TrainedInfo]:
    """Build the network of a run folder (its best epoch) or of one checkpoint file.

    Returns:
        The network in eval mode, and what is known about it.

    Raises:
        CheckpointError: There is no such file or it does not fit the network it names.
    """
    path = Path(source)
    if path.is_dir():
        path = path / BEST
    tensors, description = load(path)
    if "labels" not in description:
        raise CheckpointError(f"{path}: holds a run's state; give the run folder instead")
    with fitting(path, "the network it names"):
        info = TrainedInfo.read(description)
        network = info.build()
        network.load_state_dict(tensors)
    return network.eval(), info
