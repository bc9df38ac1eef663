"""Cells to rows: means over seeds, intervals, gaps, and confusion matrices."""

import json
import math
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
        accuracies: Per seed whose folds are all finished, accuracy over its folds, 0 to 1.
        sequences: The same per sequence, where the data has sequences.
        confusion: (K, K) counts over the same seeds, rows true.
        independent: Images, or sequences where frames are near twins, that one seed tests.
        labels: Names of its rows and columns.
        recipe: Fingerprint of the first cell's recipe.
        commit: Commit of the first cell.
        fingerprint: Of the first cell's test images.
    """

    row: Row
    accuracies: tuple[float, ...]
    sequences: tuple[float, ...]
    confusion: metrics.Counts
    independent: int
    labels: tuple[str, ...]
    recipe: str
    commit: str
    fingerprint: str

    @property
    def mean(self) -> float | None:
        """Mean accuracy over seeds, 0 to 1."""
        return float(np.mean(self.accuracies)) if self.accuracies else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None for fewer than two."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the mean.

        The wider of Student's t over seeds and, since equal results over few seeds say little,
        Wilson's interval of the images that one seed tests.
        """
        n = len(self.accuracies)
        if n == 0 or self.mean is None:
            return None
        test = stats.binomtest(round(self.mean * self.independent), self.independent)
        found = test.proportion_ci(0.95, "wilson")
        reach = 0.0
        if self.deviation is not None:
            reach = float(stats.t.ppf(0.975, n - 1)) * self.deviation / math.sqrt(n)
        low = min(float(found.low), self.mean - reach)
        high = max(float(found.high), self.mean + reach)
        return max(0.0, low), min(1.0, high)

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
    whole = [found for found in by_seed.values() if len(found) == folds]
    first = contents[0] if contents else {}
    labels = tuple(first.get("per_expression", ()))
    total = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for content in (content for found in whole for content in found):
        total += np.array(content["confusion"], dtype=np.int64)
    return RowResult(
        row=row,
        accuracies=tuple(_pooled(found, "accuracy") for found in whole),
        sequences=tuple(
            _pooled(found, "sequence accuracy")
            for found in whole
            if "sequence accuracy" in found[0]["figures"]
        ),
        confusion=total,
        independent=sum(
            c["counts"].get("sequences", c["counts"]["images"]) for c in (whole[0] if whole else [])
        ),
        labels=labels,
        recipe=first.get("recipe", ""),
        commit=first.get("commit") or "",
        fingerprint=first.get("fingerprint", ""),
    )


def _pooled(found: list[dict[str, Any]], figure: str) -> float:
    """Return a figure over folds, each weighted by its test images."""
    weights = [content["counts"]["images"] for content in found]
    return float(np.average([content["figures"][figure] for content in found], weights=weights))
