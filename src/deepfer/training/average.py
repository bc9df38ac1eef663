"""Runs that started from the same weights, averaged into one network that costs no more.

Source:
    Wortsman et al., Model soups, 2022: fine-tuned networks with the same start lie in one basin,
    and the mean of their weights often beats each of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepfer import metrics
from deepfer.errors import CheckpointError
from deepfer.files import claimed
from deepfer.modelfile import InputSpec
from deepfer.models.base import Network
from deepfer.preprocess import normalize, to_pixels
from deepfer.training import checkpoint
from deepfer.training.build import training_sets
from deepfer.training.trained import TrainedInfo

_SAME = ("model", "model_options", "labels", "input", "data")  # of what is known about them


def average(sources: Sequence[str | Path], out: Path, *, root: Path | None) -> TrainedInfo:
    """Write the mean of several runs' best weights as a run folder.

    Args:
        sources: Run folders or checkpoints of the same network on the same data, that started from
            the same weights or, one of them, are these weights, by the same name.
        out: The folder to write ``best.safetensors`` into.
        root: Folder that holds the data set, for the validation figures.

    Returns:
        What is known about the mean, with its figures on validation.

    Raises:
        CheckpointError: Networks, starts or data differ, or the folder holds a run already.
    """
    with claimed(out):
        if (out / checkpoint.BEST).exists():
            raise CheckpointError(f"{out} holds a run already; name another folder")
        return _average(sources, out, root)


def _average(sources: Sequence[str | Path], out: Path, root: Path | None) -> TrainedInfo:
    loaded = [checkpoint.load_network(source) for source in sources]
    info = loaded[0][1]
    for source, (_, other) in zip(sources, loaded, strict=True):
        for key in _SAME:
            if getattr(other, key) != getattr(info, key):
                raise CheckpointError(
                    f"{source}: its {key} differs from {sources[0]}'s; "
                    "only runs of one network on the same data can be averaged"
                )
    recipes = [
        other.trained_by(str(source)) for source, (_, other) in zip(sources, loaded, strict=True)
    ]
    recipe = recipes[0]
    begun = {own.init for own in recipes}
    # the weights that the others started from lie in the same basin
    starts = {
        own.init for source, own in zip(sources, recipes, strict=True) if str(source) not in begun
    }
    if len(starts) != 1 or "" in starts:
        raise CheckpointError(
            f"{', '.join(map(str, sources))}: did not start from the same weights, nor is one of "
            "them what the others started from"
        )
    if recipe.saliency.variant != "none":
        raise CheckpointError(f"{sources[0]}: networks of [saliency] cannot be averaged")
    _, val = training_sets(recipe, root)
    if val.fingerprint() != info.data["val"]:
        raise CheckpointError(f"{recipe.dataset} below {root} is not the data of these runs")
    states = [network.state_dict() for network, _ in loaded]
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(tensor.dtype)
        for name, tensor in states[0].items()
    }
    network = loaded[0][0]
    network.load_state_dict(mean)
    found = probabilities(network, to_pixels(val.images, info.input), info.input)
    confusion = metrics.confusion_matrix(
        val.labels, found.argmax(axis=1).astype(np.int64), len(val.expressions)
    )
    figures = {
        "val_confusion": confusion.tolist(),
        "val_accuracy": metrics.accuracy(confusion),
        "val_uar": metrics.uar(confusion),
        "val_macro_f1": metrics.macro_f1(confusion),
        "val_loss": metrics.log_loss(found, val.labels),
    }
    averaged = tuple(own.fingerprint() for own in recipes)
    info = replace(info, averaged=averaged, figures=figures)
    checkpoint.save(out / checkpoint.BEST, mean, info.to_json())
    return info


@torch.inference_mode()
def probabilities(
    network: Network, pixels: NDArray[np.uint8], spec: InputSpec
) -> NDArray[np.float32]:
    """Return a network's probabilities (N, K) in float32; it must be in eval mode.

    Args:
        network: On the CPU.
        pixels: uint8 (N, H, W), at the network's size.
        spec: Its input contract.
    """
    rows = [
        torch.softmax(network(torch.from_numpy(normalize(part, spec))), dim=1).numpy()
        for part in np.array_split(pixels, max(1, len(pixels) // 128))
    ]
    return np.concatenate(rows)
