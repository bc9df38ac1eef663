"""Figures of a classifier, as pure functions of a confusion matrix or of probabilities.

Rows of a confusion matrix are true classes, columns predicted ones, entries counts.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def confusion_matrix(true: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Counts:
    """Return the (K, K) counts of (true, predicted) pairs."""
    pairs = np.bincount(true * classes + predicted, minlength=classes * classes)
    return pairs.reshape(classes, classes).astype(np.int64)


def accuracy(confusion: Counts) -> float:
    """Return the share of correct predictions, also called WAR."""
    return float(np.trace(confusion) / confusion.sum())


def recalls(confusion: Counts) -> NDArray[np.float64]:
    """Return recall per class; NaN for a class without images."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.diag(confusion) / confusion.sum(axis=1))


def precisions(confusion: Counts) -> NDArray[np.float64]:
    """Return precision per class; 0 for a class that is never predicted."""
    predicted = confusion.sum(axis=0)
    return np.asarray(np.diag(confusion) / np.maximum(predicted, 1))


def f1_scores(confusion: Counts) -> NDArray[np.float64]:
    """Return F1 per class; 0 where a class is neither present nor predicted."""
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    return np.asarray(2 * np.diag(confusion) / np.maximum(total, 1))


def uar(confusion: Counts) -> float:
    """Return the unweighted mean recall of the classes present: balanced accuracy."""
    return float(np.nanmean(recalls(confusion)))


def macro_f1(confusion: Counts) -> float:
    """Return the mean F1 of the classes that are present or predicted."""
    used = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return float(f1_scores(confusion)[used].mean())


def calibration_error(
    probabilities: NDArray[np.floating], true: NDArray[np.int64], bins: int = 15
) -> float:
    """Return the expected calibration error of the top probability.

    Args:
        probabilities: (N, K), rows sum to 1.
        true: (N,) class positions.
        bins: Number of equal-width bins over 0 to 1.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, 2017, equation 3.
    """
    return _calibration_gap(probabilities, probabilities.argmax(axis=1) == true, bins)


def vote_calibration_error(
    probabilities: NDArray[np.floating], shares: NDArray[np.floating], bins: int = 15
) -> float:
    """Return the expected calibration error against people's votes.

    The top probability is held against the share of people who give that answer, instead of
    against right or wrong.

    Args:
        probabilities: (N, K), rows sum to 1.
        shares: (N, K) shares of the votes, 0 to 1; rows sum to less than 1 where people gave
            answers that are none of the K.
        bins: Number of equal-width bins over 0 to 1.
    """
    answer = probabilities.argmax(axis=1)
    return _calibration_gap(probabilities, shares[np.arange(len(shares)), answer], bins)


def _calibration_gap(
    probabilities: NDArray[np.floating], outcome: NDArray[Any], bins: int
) -> float:
    """Return by how much the mean top probability of a bin misses its mean outcome, on average."""
    top = probabilities.max(axis=1)
    place = np.minimum((top * bins).astype(int), bins - 1)
    gap = np.abs(
        np.bincount(place, weights=outcome, minlength=bins)
        - np.bincount(place, weights=top, minlength=bins)
    )
    return float(gap.sum() / len(top))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, 0 to 1.

    Args:
        hits: Of `count`.
        count: At least 1.

    Source:
        Wilson 1927, without continuity correction.
    """
    z, share = 1.959963984540054, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    reach /= 1 + z * z / count
    return max(0.0, middle - reach), min(1.0, middle + reach)


def log_loss(probabilities: NDArray[np.floating], true: NDArray[np.int64]) -> float:
    """Return the mean negative log probability of the true class."""
    own = probabilities[np.arange(len(true)), true]
    return float(-np.log(np.maximum(own, 1e-12)).mean())
