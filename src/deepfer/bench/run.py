"""Measuring what a table still misses.

Every cell (row, seed, fold) is a folder with its result and what its method keeps. A finished cell
is never done again, an unfinished one is gone on with, so that a table can be stopped at any
moment.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer.bench.table import Cell, Row, Table
from deepfer.data import dataset_class
from deepfer.data.base import ImageSet
from deepfer.data.protocols import Split
from deepfer.errors import CheckpointError, DataError
from deepfer.evaluation.run import Evaluation, measured
from deepfer.methods.base import Fitted, Place, missing_needs

_RESULT = "metrics.json"


def run_cell(table: Table, cell: Cell, *, root: Path | None, results: Path) -> None:
    """Fit and test one cell, unless its result is there already.

    The test side is looked at once, by what the method has chosen on validation.

    Raises:
        CheckpointError: The folder holds a result or run of another method, recipe or options.
        DataError: The method needs to know more of the images than the data says.
    """
    method, folder = cell.row.method, cell.folder(results)
    division = cell.division(table.dataset)
    own = method.fingerprint(division)
    if _is_done(folder, own):
        return
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(division, folder, root, lambda other: _finished(table, cell, other, results))
    split = table.protocol(cell.row).split(root, seed=cell.seed, fold=cell.fold)
    if unknown := missing_needs(method.info, split.sides["train"]):
        raise DataError(f"{cell.row.title}: {table.dataset} does not say its {unknown[0]}")
    fitted = method.fit(split.sides["train"], split.sides["val"], place)
    outcome = _tested(table, cell, fitted, split)
    split.write(folder / "split.json")
    facts: dict[str, Any] = {
        "recipe": own,
        "seed": cell.seed,
        "fold": cell.fold,
        **_prints(split),
        **fitted.facts,
    }
    if dataset_class(table.dataset).info.interval_over_groups:
        facts["groups"] = _right_per_group(outcome, split.sides["test"])
    outcome.write(folder, facts)  # metrics.json last: it says that the cell is finished
    method.tidy(place)


def _is_done(folder: Path, own: str) -> bool:
    result = folder / _RESULT
    if not result.exists():
        return False
    try:
        then = json.loads(result.read_text(encoding="utf-8"))["recipe"]
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{result}: damaged; delete it to measure anew") from None
    if then != own:
        raise CheckpointError(
            f"{folder} holds the result of another recipe or method; move it away or name another "
            "--out"
        )
    return True


def _finished(table: Table, cell: Cell, fingerprint: str, results: Path) -> Path | None:
    """Return the folder of a finished cell on the same division that has a fingerprint."""
    for row in table.rows:
        other = Cell(row, cell.seed, cell.fold)
        if (
            row.protocol == cell.row.protocol
            and (other.folder(results) / _RESULT).exists()
            and row.method.fingerprint(other.division(table.dataset)) == fingerprint
        ):
            return other.folder(results)
    return None


def _tested(table: Table, cell: Cell, fitted: Fitted, split: Split) -> Evaluation:
    """Ask a method about the test side."""
    test, row = split.sides["test"], cell.row
    if strange := [e for e in test.expressions if e not in fitted.labels]:
        raise CheckpointError(f"{row.title}: it does not know {', '.join(strange)}")
    found = fitted.probabilities(test)
    what = f"{table.dataset} {row.protocol} fold {cell.fold} seed {cell.seed} test"
    outcome = measured(row.title, fitted.labels, found, test, what, {})
    if test.sequences is not None:
        outcome.counts["sequences"] = count = len(set(test.sequences))
        # a neutral frame and a peak have no answer in common
        if len(set(zip(test.sequences, outcome.true.tolist(), strict=True))) == count:
            outcome.figures["sequence accuracy"] = _sequence_accuracy(
                found, outcome.true, test.sequences
            )
    return outcome


def require_sources(table: Table, rows: Sequence[Row]) -> None:
    """Look for what the rows' methods build on, before the first training.

    Raises:
        DeepferError: Weights are missing or cannot be read, or a recipe is wrong.
    """
    for row in rows:
        row.method.require(Cell(row, 0, 0).division(table.dataset))


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
