"""When an answer is certain, and which expressions people may see where it is not.

Both go by two numbers that a model file holds, found on its validation split: `fit_set_mass` and
`fit_certainty` find them. They apply to probabilities under any prior.

Source:
    Sets: split conformal prediction with adaptive sets, not randomised; Angelopoulos and Bates, A
    Gentle Introduction to Conformal Prediction, 2021, section 2.1. What shall be in the set is not
    one true label but the answer of one person of ten, so each face counts by its votes.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def possible(probabilities: Mapping[T, float], mass: float) -> tuple[T, ...]:
    """Return the fewest expressions that together are as probable as asked, most probable first.

    Args:
        probabilities: Of one face, summing to 1.
        mass: 0 to 1; the most probable expression is there even if it is 0.

    Example:
        >>> possible({"happy": 0.05, "sad": 0.6, "neutral": 0.35}, 0.9)
        ('sad', 'neutral')
    """
    chosen: list[T] = []
    total = 0.0
    for label in sorted(probabilities, key=lambda label: -probabilities[label]):
        if chosen and total >= mass:
            break
        chosen.append(label)
        total += probabilities[label]
    return tuple(chosen)


def set_members(probabilities: NDArray[np.floating], mass: float) -> NDArray[np.bool_]:
    """Return (N, K), whether each expression is in its face's set; `possible` for many faces."""
    before = _mass_before(probabilities)
    return np.asarray((before < mass) | (before == 0))


def set_coverage(members: NDArray[np.bool_], votes: NDArray[np.floating]) -> float:
    """Return the mean share (0 to 1) of people whose answer is in the set.

    Args:
        members: (N, K), from `set_members`.
        votes: (N, K), people per expression; faces without votes do not count.
    """
    shares = vote_shares(votes)
    return float((shares * members).sum() / (shares.sum(axis=1) > 0).sum())


def fit_set_mass(
    probabilities: NDArray[np.floating], votes: NDArray[np.floating], coverage: float = 0.9
) -> float:
    """Return the least mass at which sets hold what a person says as often as asked.

    Args:
        probabilities: (N, K) of a validation split, calibrated.
        votes: (N, K), people per expression in the order of the columns; faces without votes do
            not count.
        coverage: 0 to 1. On new faces of the same kind, sets hold one person's answer at least
            this often on average.

    Returns:
        0 to 1. With too few faces to promise anything, 1: all expressions.
    """
    shares = vote_shares(votes)
    faces = int((shares.sum(axis=1) > 0).sum())
    before = _mass_before(probabilities)[shares > 0]
    order = np.argsort(before, kind="stable")
    held = np.cumsum(shares[shares > 0][order])  # answers in the sets, as the mass grows
    place = int(np.searchsorted(held, coverage * (faces + 1)))
    if place == len(held):
        return 1.0
    return min(float(np.nextafter(before[order[place]], 1)), 1.0)


def fit_certainty(
    probabilities: NDArray[np.floating],
    majority: NDArray[np.int64],
    *,
    right: float = 0.95,
    share: float = 0.8,
) -> float:
    """Return the least probability at which answers count as certain.

    Args:
        probabilities: (N, K) of a validation split, calibrated.
        majority: int64 (N,), column of what most people say, -1 without a majority; such faces do
            not count.
        right: Share of certain answers that are to be what most people say.
        share: Share of faces that are to be certain; where the two cannot be had together, this
            one holds.

    Returns:
        The least threshold at which `right` holds, but at most the one that keeps `share`.
    """
    counted = majority >= 0
    top = probabilities[counted].max(axis=1)
    hit = probabilities[counted].argmax(axis=1) == majority[counted]
    if not len(top):
        return 0.0
    order = np.argsort(-top, kind="stable")
    number = np.arange(1, len(top) + 1)
    good = np.cumsum(hit[order]) >= right * number
    most = int(np.flatnonzero(good)[-1]) + 1 if good.any() else 0
    kept = max(most, int(np.ceil(share * len(top))))
    return float(top[order[kept - 1]])


def vote_shares(votes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return votes as shares of each face's, zeros where there are none."""
    total = votes.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.asarray(votes / np.where(total > 0, total, 1))


def _mass_before(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (N, K): the sum of what is more probable than each expression."""
    values = np.asarray(probabilities, np.float64)
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    sums = np.cumsum(ranked, axis=1)
    before = np.empty_like(values)
    np.put_along_axis(before, order, np.pad(sums[:, :-1], ((0, 0), (1, 0))), axis=1)
    return before
