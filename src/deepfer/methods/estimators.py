"""Methods that are an estimator of scikit-learn on the pixels of a face."""

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer.classify import softmax
from deepfer.data.base import ImageSet
from deepfer.labels import Expression
from deepfer.methods.base import Fitted, Method, Place
from deepfer.modelfile import InputSpec
from deepfer.preprocess import to_pixels

_NEVER = -1e3  # a score that no answer has


class EstimatorMethod(Method):
    """A method whose `estimator` does all.

    Attributes:
        side: Height and width of the faces that the estimator sees.
    """

    side: int = 48

    @abstractmethod
    def estimator(self, seed: int) -> Any:
        """Return an unfitted classifier that takes uint8 (N, H, W) faces.

        Usually a pipeline: features first, which may themselves be fitted, a classifier last.
        """

    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        return FittedEstimator(self.estimator(place.division.seed), train, self.side)


class FittedEstimator(Fitted):
    """An estimator, fitted to the training images.

    Probabilities are made from its margins or shares; they are not calibrated. An expression that
    train does not hold gets nothing.
    """

    def __init__(self, estimator: Any, train: ImageSet, side: int) -> None:
        self.labels: tuple[Expression, ...] = train.expressions
        self.spec = InputSpec(height=side, width=side)
        self.estimator = estimator.fit(to_pixels(train.images, self.spec), train.labels)

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        """See `Fitted.probabilities`."""
        return answers(self.estimator, to_pixels(images.images, self.spec), len(self.labels))


def answers(estimator: Any, features: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Return float32 (N, `count`) whose rows sum to 1 from a fitted classifier of scikit-learn."""
    margins = getattr(estimator, "decision_function", None)
    found = margins(features) if margins else np.log(estimator.predict_proba(features) + 1e-6)
    if found.ndim == 1:  # two classes have one margin
        found = np.stack([-found, found], axis=1)
    scores = np.full((len(features), count), _NEVER)
    scores[:, estimator.classes_] = found
    return softmax(scores)
