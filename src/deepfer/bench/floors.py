"""Constant-feature floors: what a protocol is worth to a method that learns no features.

Source:
    HOG: Dalal and Triggs 2005, in scikit-image's form with 8 orientations and 8x8 cells.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from deepfer.classify import softmax
from deepfer.data.base import ImageSet
from deepfer.errors import UnknownNameError
from deepfer.modelfile import InputSpec
from deepfer.preprocess import to_pixels

_SPEC = InputSpec(height=48, width=48)


def list_floors() -> tuple[str, ...]:
    """Return the names of the floors."""
    return tuple(_FLOORS)


def floor_probabilities(
    name: str, train: ImageSet, test: ImageSet, *, seed: int
) -> NDArray[np.float32]:
    """Fit a floor on train and return (N, K) scores on test that sum to 1.

    They are made from votes or margins and are not calibrated.
    """
    if name not in _FLOORS:
        raise UnknownNameError("floor", name, list_floors())
    features, build = _FLOORS[name]
    known, asked = (features(to_pixels(s.images, _SPEC)) for s in (train, test))
    return fit_and_ask(build(seed), known, train, asked)


def fit_and_ask(
    model: Any, known: NDArray[np.float32], train: ImageSet, asked: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Fit a classifier of scikit-learn on features (N, D) of train; return (M, K) for others.

    Expressions that train does not hold get nothing.
    """
    model.fit(known, train.labels)
    scores = np.full((len(asked), len(train.expressions)), -1e3)
    margins = getattr(model, "decision_function", None)
    found = margins(asked) if margins else np.log(model.predict_proba(asked) + 1e-6)
    scores[:, model.classes_] = found
    return softmax(scores)


def _raw(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(pixels.reshape(len(pixels), -1) / 255, dtype=np.float32)


def _hog(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows = [hog(p, orientations=8, pixels_per_cell=(8, 8), cells_per_block=(2, 2)) for p in pixels]
    return np.asarray(rows, dtype=np.float32)


def _nearest(seed: int) -> Any:
    return KNeighborsClassifier(1)


def _svm(seed: int) -> Any:
    return make_pipeline(StandardScaler(), LinearSVC(C=0.01, random_state=seed, max_iter=5000))


_FLOORS: dict[
    str, tuple[Callable[[NDArray[np.uint8]], NDArray[np.float32]], Callable[[int], Any]]
] = {"pixels-1nn": (_raw, _nearest), "hog-svm": (_hog, _svm)}
