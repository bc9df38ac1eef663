"""Training and measuring what a table still misses.

Every cell (row, seed, fold) is a folder with its run and its result. A finished cell is never
done again, an unfinished one is resumed, so that a table can be stopped at any moment.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfer.bench.floors import floor_probabilities, list_floors
from deepfer.bench.probe import probe_probabilities
from deepfer.bench.table import Cell, Row, Table
from deepfer.data import dataset_class
from deepfer.data.base import ImageSet
from deepfer.data.protocols import Split
from deepfer.errors import CheckpointError, UnknownNameError
from deepfer.evaluation.run import Evaluation, measured
from deepfer.modelfile import InputSpec
from deepfer.preprocess import to_pixels
from deepfer.prior import reweighted
from deepfer.training import checkpoint
from deepfer.training.average import probabilities
from deepfer.training.build import training_sets
from deepfer.training.loop import train
from deepfer.training.recipe import Recipe, Saliency, from_json
from deepfer.training.saliency import FIRST, SaliencyView


def run_cell(table: Table, cell: Cell, *, root: Path | None, results: Path) -> None:
    """Train and test one cell, unless its result is there already.

    The test side is looked at once, by the epoch that the recipe selects.

    Raises:
        CheckpointError: The folder holds a result or run of another recipe.
    """
    row, folder = cell.row, cell.folder(results)
    recipe = table.recipe(row, cell.seed, cell.fold) if row.recipe else None
    own = recipe.fingerprint() if recipe else _weights_recipe(row) if row.weights else row.floor
    result = folder / "metrics.json"
    if result.exists():
        try:
            recipe_then = json.loads(result.read_text(encoding="utf-8"))["recipe"]
        except (ValueError, KeyError, TypeError):
            raise CheckpointError(f"{result}: damaged; delete it to measure anew") from None
        if recipe_then != own:
            raise CheckpointError(
                f"{folder} holds the result of another recipe; move it away or name another --out"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    first = None
    if recipe is not None:
        first = _first(table, cell, recipe, results)
        train(recipe, root=root, run=folder / "run", resume=True, first=first)
    split = table.protocol(row).split(root, seed=cell.seed, fold=cell.fold)
    known, test = split.sides["train"], split.sides["test"]
    if row.floor:
        labels = known.expressions
        found = floor_probabilities(row.floor, known, test, seed=cell.seed)
    elif row.answer == "probe":
        labels = known.expressions
        network, description = checkpoint.load_network(row.weights)
        found = probe_probabilities(network, InputSpec(**description["input"]), known, test)
    else:
        network, description = checkpoint.load_network(row.weights or folder / "run")
        labels = checkpoint.labels_of(description)
        if strange := [e for e in test.expressions if e not in labels]:
            raise CheckpointError(f"{row.method}: its network does not know {', '.join(strange)}")
        shown = test
        if recipe is not None and recipe.saliency.variant != "none":
            first = first or folder / "run" / FIRST
            shown = SaliencyView(recipe.saliency, first, known)(test)
        spec = InputSpec(**description["input"])
        found = probabilities(network, to_pixels(shown.images, spec), spec)
        if row.answer == "equal":
            learnt, _ = training_sets(from_json(description["recipe"], row.weights), root)
            counts = np.bincount(learnt.labels, minlength=len(labels))
            found = np.asarray(reweighted(found, 1 / counts), np.float32)
    what = f"{table.dataset} {row.protocol} fold {cell.fold} seed {cell.seed} test"
    outcome = measured(row.method, labels, found, test, what, {})
    if test.sequences is not None:
        outcome.figures["sequence accuracy"] = _sequence_accuracy(
            found, outcome.true, test.sequences
        )
        outcome.counts["sequences"] = len(set(test.sequences))
    split.write(folder / "split.json")
    groups = {}
    if dataset_class(table.dataset).info.interval_over_groups:
        groups["groups"] = _right_per_group(outcome, test)
    facts = {"recipe": own, "seed": cell.seed, "fold": cell.fold, **_prints(split), **groups}
    if recipe is not None:
        environment = json.loads((folder / "run/environment.json").read_text(encoding="utf-8"))
        facts |= {key: environment[key] for key in ("precision", "device")}
    # metrics.json last: it says that the cell is finished
    outcome.write(folder, facts)
    (folder / "run" / checkpoint.LAST).unlink(missing_ok=True)


def _first(table: Table, cell: Cell, recipe: Recipe, results: Path) -> Path | None:
    """Return the finished run that a recipe with saliency builds on, where the table has it."""
    if recipe.saliency.variant == "none":
        return None
    plain = replace(recipe, saliency=Saliency())
    for row in table.rows:
        if row.recipe and table.recipe(row, cell.seed, cell.fold) == plain:
            folder = Cell(row, cell.seed, cell.fold).folder(results)
            return folder / "run" if (folder / "metrics.json").exists() else None
    return None


def require_sources(table: Table, rows: Sequence[Row]) -> None:
    """Look for all floors and weights that rows name, before the first training.

    Raises:
        UnknownNameError: There is no such floor.
        CheckpointError: One is missing or cannot be read.
    """
    for row in rows:
        if row.floor and row.floor not in list_floors():
            raise UnknownNameError("floor", row.floor, list_floors())
        sources = [row.weights] if row.weights else []
        if row.recipe:
            recipe = table.recipe(row, 0, 0)
            sources += [source for source in (recipe.init, *recipe.distill.teachers) if source]
        for source in sources:
            checkpoint.load_network(source)


def _weights_recipe(row: Row) -> str:
    _, description = checkpoint.load_network(row.weights)
    own = from_json(description["recipe"], row.weights).fingerprint()
    return own if row.answer == "own" else f"{own} {row.answer}"


def _right_per_group(outcome: Evaluation, test: ImageSet) -> dict[str, tuple[int, int]]:
    """Return, by the names of who is shown, the number of right answers and of images."""
    names = np.array(test.subjects)
    hits = outcome.predicted == outcome.true
    return {
        str(name): (int(hits[names == name].sum()), int((names == name).sum()))
        for name in np.unique(names)
    }


def _prints(split: Split) -> dict[str, dict[str, str]]:
    return {"data_fingerprints": {s: i.fingerprint() for s, i in split.sides.items()}}


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
