"""Checkpoints, most without the checksum that would tell of any change."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save

from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.models import create_model
from deepfer.training import checkpoint
from deepfer.training.average import average

from . import mutate
from .refusals import each

WORDS = (b'"dtype":"F32"', b'"shape":[1]', b"data_offsets", b"__metadata__", b"BF16", b"F8_E4M3")
_OPTIONS = {"widths": [4] * 7, "hidden": 8}
_STRUCTURE = 0.7  # share of changes that are ones of the header's values


@cache
def seeds() -> list[bytes]:
    torch.manual_seed(0)
    network = create_model("deepfer_fast", num_classes=len(BASIC_EXPRESSIONS), **_OPTIONS)
    description = {
        "model": "deepfer_fast",
        "model_options": _OPTIONS,
        "labels": list(BASIC_EXPRESSIONS),
        "input": {"height": 48, "width": 48},
        "recipe": {"model": "deepfer_fast", "dataset": "drawn"},
        "data": {"train": "0", "val": "1"},
        "epoch": 1,
    }
    metadata = {"deepfer": json.dumps(description)}
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "c.safetensors"
        checkpoint.save(whole, network.state_dict(), description)
        with_checksum = whole.read_bytes()
    tensors = {name: t.contiguous() for name, t in network.state_dict().items()}
    return [save(tensors, metadata), with_checksum]


def run(data: bytes) -> None:
    path = Path("c.safetensors")
    path.write_bytes(data)
    each((_used, _averaged), path)


def _used(path: Path) -> None:
    network, _ = checkpoint.load_network(path)
    with torch.inference_mode():
        network(torch.zeros(2, 1, network.input_size, network.input_size))


def _averaged(path: Path) -> None:
    average([path], Path("mean"), root=None)


def changed(data: bytes, others: Sequence[bytes], rng: Random, words: Sequence[bytes]) -> bytes:
    if rng.random() > _STRUCTURE:
        return mutate.changed(data, others, rng, words)
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    metadata = header["__metadata__"]
    description = json.loads(metadata["deepfer"])
    for _ in range(rng.choice((1, 1, 2, 4))):
        if rng.random() < 0.7:
            description = mutate.json_changed(description, rng)
        else:
            header = mutate.json_changed(header, rng)
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["deepfer"] = json.dumps(description)
        if rng.random() < 0.9:
            header["__metadata__"].pop("sha256", None)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]
