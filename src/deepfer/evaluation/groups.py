"""Figures per group of people or pictures, and how far the groups lie apart.

Source:
    Percentile bootstrap over subjects, or over images where no subjects are known or these are the
    groups; the chance gap
    by permutation of the groups.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer import metrics
from deepfer.data.base import ImageSet
from deepfer.errors import InputError
from deepfer.evaluation.run import Evaluation
from deepfer.files import csv_text, git_commit, write_text

EMPTY = "(empty)"
FEW = 20
"""Groups of fewer images are shown, but do not count for the largest gap."""
_FEW_SUBJECTS = 5
_MANY = 12  # different numbers that are still taken for groups
_DRAWS = 2000


@dataclass(frozen=True)
class Group:
    """One group's figures, shares from 0 to 1.

    Attributes:
        name: The column's value, or the range of values.
        images: Number of images.
        subjects: Number of people; None where unknown.
        accuracy: Share of right answers.
        interval: Its 95 % interval.
        uar: Mean recall of the expressions that the group shows.
        uar_interval: Its 95 % interval.
        ece: Expected calibration error; grows by itself as groups get smaller.
        overconfidence: Mean probability of the answers minus accuracy.
        confusion: (K, K) counts, rows true.
    """

    name: str
    images: int
    subjects: int | None
    accuracy: float
    interval: tuple[float, float]
    uar: float
    uar_interval: tuple[float, float]
    ece: float
    overconfidence: float
    confusion: metrics.Counts


@dataclass(frozen=True)
class Gap:
    """The largest difference in accuracy between two groups.

    Attributes:
        best: The group with the highest accuracy.
        worst: The one with the lowest.
        size: Difference, 0 to 1.
        interval: 95 % interval of the difference between these two.
        chance: The gap that 95 % of random divisions into groups of these sizes stay below; None
            where people stand in several groups.
    """

    best: str
    worst: str
    size: float
    interval: tuple[float, float]
    chance: float | None


@dataclass(frozen=True)
class Grouped:
    """An evaluation by groups.

    Attributes:
        evaluation: All images together.
        column: What was grouped by.
        groups: Sorted by name.
        gap: None where fewer than two groups have `FEW` images.
        notes: What a reader must know.
    """

    evaluation: Evaluation
    column: str
    groups: tuple[Group, ...]
    gap: Gap | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        whole = self.evaluation
        return {
            "model": whole.model,
            "data": whole.data,
            "fingerprint": whole.fingerprint,
            "commit": git_commit(),
            "column": self.column,
            "labels": [str(label) for label in whole.labels],
            "groups": [
                {**vars(group), "confusion": group.confusion.tolist()} for group in self.groups
            ],
            "gap": None if self.gap is None else vars(self.gap),
            "notes": list(self.notes),
        }

    def write(self, folder: Path) -> None:
        """Write ``groups.csv`` and ``groups.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        header = ["group", "images", "subjects", "accuracy", "accuracy_low", "accuracy_high"]
        header += ["UAR", "UAR_low", "UAR_high", "ECE", "overconfidence"]
        rows: list[list[object]] = [list(header)]
        for g in self.groups:
            shares = (g.accuracy, *g.interval, g.uar, *g.uar_interval, g.ece, g.overconfidence)
            people = "" if g.subjects is None else g.subjects
            rows.append([g.name, g.images, people, *(f"{share:.6f}" for share in shares)])
        write_text(folder / "groups.csv", csv_text(rows))
        write_text(folder / "groups.json", json.dumps(self.to_json(), indent=2) + "\n")


def group_names(images: ImageSet, column: str) -> tuple[str, list[str]]:
    """Return a column's name and the group of each image.

    Args:
        images: A data set's.
        column: A manifest's column or ``subject``; ``age=30,60`` bins numbers at these edges.

    Raises:
        InputError: There is no such column, its edges are no rising numbers, it holds a text
            where numbers are to be binned, or so many numbers that they must be.
    """
    name, _, edges = column.partition("=")
    known = dict(images.columns)
    if images.subjects is not None:
        known["subject"] = images.subjects
    if name not in known:
        choices = f"its columns: {', '.join(known)}" if known else "it has none to group by"
        raise InputError(
            f"--groups {name}: the data has no such column; {choices} (see `deepfer data info "
            "manifest`)"
        )
    values = known[name]
    if edges:
        return name, _binned(name, values, edges)
    numbers = {value for value in values if _number(value) is not None}
    if len(numbers) > _MANY and name != "subject":
        raise InputError(
            f"--groups {name}: {len(numbers)} different numbers; bin them, as in "
            f"--groups {name}=30,60"
        )
    return name, [value or EMPTY for value in values]


def by_groups(result: Evaluation, images: ImageSet, column: str) -> Grouped:
    """Divide an evaluation by a column.

    Args:
        result: Of some of `images`.
        images: With the column, and subjects where they are known.
        column: As for `group_names`.

    Raises:
        InputError: As for `group_names`.
    """
    name, all_groups = group_names(images, column)
    place = {own: i for i, own in enumerate(images.ids)}
    chosen = [place[own] for own in result.ids]
    members = np.array([all_groups[i] for i in chosen])
    people = None
    if images.subjects is not None and name != "subject":
        people = np.array([images.subjects[i] for i in chosen])
    clusters = np.arange(len(members))
    if people is not None:
        clusters = np.unique(people, return_inverse=True)[1]
    order = _sorted(set(members.tolist()))
    number = np.array([order.index(member) for member in members])
    accuracies, uars = _redrawn(result, number, clusters, len(order))
    groups = tuple(
        _group(result, own, number == i, people, accuracies[:, i], uars[:, i])
        for i, own in enumerate(order)
    )
    notes = [
        f"{group.name}: only {group.images} images, not in the largest gap"
        for group in groups
        if group.images < FEW
    ]
    notes += [
        f"{group.name}: only {group.subjects} subjects, its intervals say little"
        for group in groups
        if group.subjects is not None and group.subjects < _FEW_SUBJECTS
    ]
    enough = [i for i, group in enumerate(groups) if group.images >= FEW]
    gap = None
    if len(enough) > 1:
        gap = _gap(result, groups, enough, number, clusters, accuracies)
    way = "subjects drawn anew" if people is not None else "Wilson's; of UAR, images drawn anew"
    notes.append(f"intervals: 95 %, {way}; a group's ECE grows by itself as the group gets smaller")
    return Grouped(result, name, groups, gap, tuple(notes))


def _group(
    result: Evaluation,
    name: str,
    own: NDArray[np.bool_],
    people: NDArray[np.str_] | None,
    accuracies: NDArray[np.float64],
    uars: NDArray[np.float64],
) -> Group:
    true, rows = result.true[own], result.probabilities[own]
    confusion = metrics.confusion_matrix(true, rows.argmax(axis=1), len(result.labels))
    accuracy = metrics.accuracy(confusion)
    low, high = _interval(accuracies)
    # equal answers of few people say little, so never narrower than what the images alone allow
    least, most = metrics.wilson(int(np.trace(confusion)), len(true))
    return Group(
        name=name,
        images=len(true),
        subjects=None if people is None else len(set(people[own].tolist())),
        accuracy=accuracy,
        interval=(least, most) if people is None else (min(low, least), max(high, most)),
        uar=metrics.uar(confusion),
        uar_interval=_interval(uars),
        ece=metrics.calibration_error(rows, true),
        overconfidence=float(rows.max(axis=1).mean()) - accuracy,
        confusion=confusion,
    )


def _redrawn(
    result: Evaluation, number: NDArray[np.int64], clusters: NDArray[np.int64], groups: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (draws, groups) accuracies and UARs when clusters are drawn anew; NaN for none."""
    count, classes = int(clusters.max()) + 1, len(result.labels)
    hits = (result.predicted == result.true).astype(float)
    cell = number * classes + result.true
    size = np.zeros((count, groups * classes))
    right = np.zeros_like(size)
    np.add.at(size, (clusters, cell), 1)
    np.add.at(right, (clusters, cell), hits)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=_DRAWS)
    sizes = (drawn @ size).reshape(_DRAWS, groups, classes)
    rights = (drawn @ right).reshape(_DRAWS, groups, classes)
    total = sizes.sum(axis=2)
    present = (sizes > 0).sum(axis=2)
    recalls = (rights / np.maximum(sizes, 1)).sum(axis=2)
    accuracies = np.where(total > 0, rights.sum(axis=2) / np.maximum(total, 1), np.nan)
    return accuracies, np.where(present > 0, recalls / np.maximum(present, 1), np.nan)


def _gap(
    result: Evaluation,
    groups: tuple[Group, ...],
    enough: list[int],
    number: NDArray[np.int64],
    clusters: NDArray[np.int64],
    accuracies: NDArray[np.float64],
) -> Gap:
    best = max(enough, key=lambda i: groups[i].accuracy)
    worst = min(enough, key=lambda i: groups[i].accuracy)
    hits = result.predicted == result.true
    counted = np.isin(number, enough)
    return Gap(
        best=groups[best].name,
        worst=groups[worst].name,
        size=groups[best].accuracy - groups[worst].accuracy,
        interval=_interval(accuracies[:, best] - accuracies[:, worst]),
        chance=_chance(hits[counted], number[counted], clusters[counted]),
    )


def _chance(
    hits: NDArray[np.bool_], number: NDArray[np.int64], clusters: NDArray[np.int64]
) -> float | None:
    """Return the gap below which 95 % of random divisions stay; None for mixed clusters."""
    who, first, own = np.unique(clusters, return_index=True, return_inverse=True)
    group = number[first]
    if (group[own] != number).any():
        return None
    sizes = np.bincount(own).astype(float)
    right = np.bincount(own, weights=hits)
    rng, gaps = np.random.default_rng(0), []
    _, group = np.unique(group, return_inverse=True)
    for _ in range(_DRAWS):
        shuffled = group[rng.permutation(len(who))]
        shares = np.bincount(shuffled, weights=right) / np.bincount(shuffled, weights=sizes)
        gaps.append(shares.max() - shares.min())
    return float(np.percentile(gaps, 95))


def _interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _binned(name: str, values: tuple[str, ...], edges: str) -> list[str]:
    bounds = [_number(edge) for edge in edges.split(",")]
    rising = [bound for bound in bounds if bound is not None]
    if len(rising) < len(bounds) or rising != sorted(set(rising)):
        raise InputError(f"--groups {name}={edges}: expected rising numbers, such as 30,60")
    shown = [f"{bound:g}" for bound in rising]
    middle = [f"{a} to under {b}" for a, b in pairwise(shown)]
    bins = [f"under {shown[0]}", *middle, f"{shown[-1]} and over"]
    if wrong := [value for value in values if value and _number(value) is None]:
        raise InputError(f"--groups {name}={edges}: {wrong[0]!r} is no number; mend the column")
    return [bins[int(np.searchsorted(rising, float(v), "right"))] if v else EMPTY for v in values]


def _sorted(names: set[str]) -> list[str]:
    """Return groups in the order people expect: numbers and ranges by size, the empty one last."""

    def key(name: str) -> tuple[bool, float, str]:
        word = name.removeprefix("under ").split(" ")[0]
        number = _number(word)
        below = -1e-9 if name.startswith("under ") else 0.0
        return (name == EMPTY, np.inf if number is None else number + below, name)

    return sorted(names, key=key)
