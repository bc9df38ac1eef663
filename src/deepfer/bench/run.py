"""Training and measuring what a table still misses.

Every cell (row, seed, fold) is a folder with its run and its result. A finished cell is never
done again, an unfinished one is resumed, so that a table can be stopped at any moment.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepfer.bench.floors import floor_probabilities
from deepfer.bench.table import Row, Table
from deepfer.data.base import ImageSet
from deepfer.data.protocols import Split
from deepfer.evaluation.run import measured
from deepfer.files import git_commit, write_text
from deepfer.modelfile import InputSpec
from deepfer.models.base import Network
from deepfer.preprocess import normalize, to_pixels
from deepfer.training import checkpoint
from deepfer.training.loop import train


@dataclass(frozen=True)
class Cell:
    """One training of a row."""

    row: Row
    seed: int
    fold: int

    def folder(self, results: Path) -> Path:
        """Return where the cell's run and result are kept."""
        return results / "cells" / self.row.slug / f"seed{self.seed}-fold{self.fold}"


def cells(table: Table, row: Row) -> Iterator[Cell]:
    """Yield the trainings of a row."""
    for seed in range(row.seeds):
        for fold in range(table.protocol(row).folds):
            yield Cell(row, seed, fold)


def run_cell(
    table: Table, cell: Cell, *, root: Path | None, results: Path, announce: Callable[[str], None]
) -> None:
    """Train and test one cell, unless its result is there already.

    The test side is looked at once, by the epoch that validation chose.
    """
    folder = cell.folder(results)
    recipe = table.recipe(cell.row, cell.seed, cell.fold) if cell.row.recipe else None
    wanted = {"recipe": recipe.fingerprint() if recipe else cell.row.floor}
    result = folder / "metrics.json"
    if result.exists() and json.loads(result.read_text()).get("recipe") == wanted["recipe"]:
        return
    if result.exists():  # the recipe has changed since
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    split = table.protocol(cell.row).split(root, seed=cell.seed, fold=cell.fold)
    test = split.sides["test"]
    if recipe is None:
        side = split.sides["train"]
        probabilities = floor_probabilities(cell.row.floor, side, test, seed=cell.seed)
        labels = side.expressions
    else:
        train(recipe, root=root, run=folder / "run", resume=True, announce=announce)
        network, description = checkpoint.load_network(folder / "run")
        labels = checkpoint.labels_of(description)
        probabilities = _probabilities(network, test, InputSpec(**description["input"]))
        (folder / "run" / checkpoint.LAST).unlink(missing_ok=True)
    what = f"{table.dataset} {cell.row.protocol} fold {cell.fold} seed {cell.seed} test"
    outcome = measured(cell.row.method, labels, probabilities, test, what, {})
    if test.sequences is not None:
        outcome.figures["sequence accuracy"] = _sequence_accuracy(
            probabilities, outcome.true, test.sequences
        )
    split.write(folder / "split.json")
    outcome.write(folder)
    content = {**outcome.to_json(), **wanted, "commit": git_commit(), **_prints(split)}
    write_text(result, json.dumps(content, indent=2) + "\n")


def _prints(split: Split) -> dict[str, dict[str, str]]:
    return {"data_fingerprints": {s: i.fingerprint() for s, i in split.sides.items()}}


@torch.inference_mode()
def _probabilities(network: Network, images: ImageSet, spec: InputSpec) -> NDArray[np.float32]:
    pixels = to_pixels(images.images, spec)
    rows = [
        torch.softmax(network(torch.from_numpy(normalize(part, spec))), dim=1).numpy()
        for part in np.array_split(pixels, max(1, len(pixels) // 128))
    ]
    return np.concatenate(rows)


def _sequence_accuracy(
    probabilities: NDArray[np.float32], true: NDArray[np.int64], sequences: tuple[str, ...]
) -> float:
    """Return the share of sequences whose frames' mean probability meets the label."""
    _, place = np.unique(sequences, return_inverse=True)
    total = np.zeros((place.max() + 1, probabilities.shape[1]))
    np.add.at(total, place, probabilities)
    label = np.zeros(len(total), dtype=np.int64)
    label[place] = true
    return float((total.argmax(axis=1) == label).mean())
