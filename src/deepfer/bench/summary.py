"""Cells to rows: means over seeds, intervals, gaps, and confusion matrices."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from deepfer import metrics
from deepfer.bench.table import Row, Table


@dataclass(frozen=True)
class RowResult:
    """What a row's finished cells say.

    Attributes:
        row: The row.
        accuracies: By seed whose folds are all finished, accuracy over its folds, 0 to 1.
        sequences: The same per sequence, where the data has sequences.
        confusion: (K, K) counts over the same seeds, rows true.
        independent: Images, or sequences where frames are near twins, that one seed tests.
        labels: Names of its rows and columns.
        recipe: Fingerprint of the first cell's recipe.
        commit: Commit of the first cell.
        fingerprint: Of the first cell's test images.
    """

    row: Row
    accuracies: dict[int, float]
    sequences: tuple[float, ...]
    confusion: metrics.Counts
    independent: int
    labels: tuple[str, ...]
    recipe: str
    commit: str
    fingerprint: str

    @property
    def _values(self) -> list[float]:
        return list(self.accuracies.values())

    @property
    def mean(self) -> float | None:
        """Mean accuracy over seeds, 0 to 1."""
        return float(np.mean(self._values)) if self.accuracies else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None for fewer than two."""
        return _deviation(self._values) if len(self.accuracies) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the mean.

        The wider of Student's t over seeds and, since equal results over few seeds say little,
        Wilson's interval of the images that one seed tests.
        """
        if self.mean is None:
            return None
        low, high = metrics.wilson(round(self.mean * self.independent), self.independent)
        reach = 0.0
        if self.deviation is not None:
            reach = _reach(self._values)
        return max(0.0, min(low, self.mean - reach)), min(1.0, max(high, self.mean + reach))

    @property
    def gap(self) -> float | None:
        """Ours minus published, in points."""
        if self.mean is None or self.row.published is None:
            return None
        return 100 * self.mean - self.row.published


def summarize(table: Table, row: Row, results: Path) -> RowResult:
    """Read a row's finished cells."""
    by_seed: dict[int, list[dict[str, Any]]] = {}
    for cell in table.cells(row):
        path = cell.folder(results) / "metrics.json"
        if path.exists():
            by_seed.setdefault(cell.seed, []).append(json.loads(path.read_text()))
    contents = [content for found in by_seed.values() for content in found]
    folds = table.protocol(row).folds
    whole = {seed: found for seed, found in by_seed.items() if len(found) == folds}
    first = contents[0] if contents else {}
    labels = tuple(first.get("per_expression", ()))
    total = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for content in (content for found in whole.values() for content in found):
        total += np.array(content["confusion"], dtype=np.int64)
    return RowResult(
        row=row,
        accuracies={seed: _pooled(found, "accuracy") for seed, found in whole.items()},
        sequences=tuple(
            _pooled(found, "sequence accuracy")
            for found in whole.values()
            if "sequence accuracy" in found[0]["figures"]
        ),
        confusion=total,
        independent=sum(
            c["counts"].get("sequences", c["counts"]["images"])
            for c in next(iter(whole.values()), [])
        ),
        labels=labels,
        recipe=first.get("recipe", ""),
        commit=first.get("commit") or "",
        fingerprint=first.get("fingerprint", ""),
    )


def difference(row: RowResult, other: RowResult) -> tuple[float, float, float] | None:
    """Return by how much a row's accuracy exceeds another's, and the 95 % interval of that.

    Both see the same divisions with the same seeds, so seeds are compared one by one (Student's
    t over the differences): what makes a seed easy or hard cancels.

    Returns:
        Mean, low and high, -1 to 1; None where fewer than two seeds are finished in both.
    """
    seeds = row.accuracies.keys() & other.accuracies.keys()
    if len(seeds) < 2:
        return None
    found = [row.accuracies[seed] - other.accuracies[seed] for seed in sorted(seeds)]
    mean, reach = float(np.mean(found)), _reach(found)
    return mean, mean - reach, mean + reach


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1))


def _reach(values: Sequence[float]) -> float:
    """Return half the width of the 95 % interval of a mean, Student's t."""
    n = len(values)
    return float(stats.t.ppf(0.975, n - 1)) * _deviation(values) / math.sqrt(n)


def _pooled(found: list[dict[str, Any]], figure: str) -> float:
    """Return a figure over folds, each weighted by its test images."""
    weights = [content["counts"]["images"] for content in found]
    return float(np.average([content["figures"][figure] for content in found], weights=weights))
