"""Figures of a classifier, as pure functions of a confusion matrix or of probabilities.

Rows of a confusion matrix are true classes, columns predicted ones, entries counts.
"""

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
    top = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == true
    place = np.minimum((top * bins).astype(int), bins - 1)
    size = np.bincount(place, minlength=bins)
    gap = np.abs(
        np.bincount(place, weights=correct, minlength=bins)
        - np.bincount(place, weights=top, minlength=bins)
    )
    return float(gap[size > 0].sum() / len(true))


def log_loss(probabilities: NDArray[np.floating], true: NDArray[np.int64]) -> float:
    """Return the mean negative log probability of the true class."""
    own = probabilities[np.arange(len(true)), true]
    return float(-np.log(np.maximum(own, 1e-12)).mean())
