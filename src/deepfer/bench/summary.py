"""Cells to rows: means over seeds, intervals, gaps, and confusion matrices."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
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
        groups: By who is shown, right answers (mean over seeds) and images; empty unless intervals
            are over them (`DatasetInfo.interval_over_groups`).
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
    groups: dict[str, tuple[float, int]] = field(default_factory=dict)

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

        The widest of Student's t over seeds; over groups where these are what a result is to hold
        for; and, since equal results over few of them say little, Wilson's interval of the images
        that one seed tests.
        """
        if self.mean is None:
            return None
        low, high = metrics.wilson(round(self.mean * self.independent), self.independent)
        reach = 0.0
        if self.deviation is not None:
            reach = _reach(self._values)
        if len(self.groups) > 1:
            right, size = np.array(list(self.groups.values())).T
            reach = max(reach, _group_reach(right, size))
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
        groups=_groups(list(whole.values())),
    )


def difference(row: RowResult, other: RowResult) -> tuple[float, float, float] | None:
    """Return by how much a row's accuracy exceeds another's, and the 95 % interval of that.

    Both see the same divisions with the same seeds, so seeds are compared one by one (Student's
    t over the differences): what makes a seed easy or hard cancels. So are groups, where intervals
    are over them.

    Returns:
        Mean, low and high, -1 to 1; None where fewer than two seeds are finished in both, or fewer
        than two groups tested.
    """
    if row.groups or other.groups:
        if len(row.groups) < 2 or row.groups.keys() != other.groups.keys():
            return None
        size = np.array([n for _, n in row.groups.values()])
        gain = np.array([n - other.groups[name][0] for name, (n, _) in row.groups.items()])
        mean, reach = float(gain.sum() / size.sum()), _group_reach(gain, size)
        return mean, mean - reach, mean + reach
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


def _group_reach(total: NDArray[np.floating], size: NDArray[np.floating]) -> float:
    """Return half the width of the 95 % interval of sum(total) / sum(size), over groups.

    Source:
        Cochran, Sampling Techniques, 1977, chapter 6: the variance of a ratio; with Student's t.
    """
    n, images = len(size), float(size.sum())
    rest = total - total.sum() / images * size
    error = math.sqrt(n / (n - 1) * float((rest**2).sum())) / images
    return float(stats.t.ppf(0.975, n - 1)) * error


def _groups(seeds: list[list[dict[str, Any]]]) -> dict[str, tuple[float, int]]:
    """Return right answers, as a mean over seeds, and images by who is shown, over all folds."""
    found: dict[str, tuple[float, int]] = {}
    for contents in seeds:
        for content in contents:
            for name, (right, images) in content.get("groups", {}).items():
                before, others = found.get(name, (0.0, 0))
                found[name] = before + right / len(seeds), others + images
    return {name: (right, images // len(seeds)) for name, (right, images) in found.items()}


def _pooled(found: list[dict[str, Any]], figure: str) -> float:
    """Return a figure over folds, each weighted by its test images."""
    weights = [content["counts"]["images"] for content in found]
    return float(np.average([content["figures"][figure] for content in found], weights=weights))
