"""Methods that are an estimator of scikit-learn on the pixels of a face."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deepfer.classify import softmax
from deepfer.data.base import ImageSet
from deepfer.data.copies import join, original_id
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
    whole: ClassVar[bool] = False
    """Learns from `photographs`, as cross-validation has two sides, rather than from train."""

    @abstractmethod
    def estimator(self, seed: int) -> Any:
        """Return an unfitted classifier that takes uint8 (N, H, W) faces.

        Usually a pipeline: features first, which may themselves be fitted, a classifier last.
        """

    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        faces = photographs(train, val) if self.whole else train
        return FittedEstimator(self.estimator(place.division.seed), faces, self.side)


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


def photographs(train: ImageSet, val: ImageSet) -> ImageSet:
    """Return what is not tested, without the copies that a protocol adds.

    For methods that choose nothing on val. Cross-validation, as publications have it, learns from
    all folds but the one tested.
    """
    both = join(train, val)
    return both.take(np.array([original_id(name) == name for name in both.ids]))


def answers(estimator: Any, features: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Return float32 (N, `count`) whose rows sum to 1 from a fitted classifier of scikit-learn."""
    return shares(margins(estimator, features), estimator.classes_, count)


def margins(estimator: Any, features: NDArray[Any]) -> NDArray[Any]:
    """Return a fitted classifier's margins, or the logarithms of its shares, a column per class."""
    asked = getattr(estimator, "decision_function", None)
    found = asked(features) if asked else np.log(estimator.predict_proba(features) + 1e-6)
    if found.ndim == 1:  # two classes have one margin
        found = np.stack([-found, found], axis=1)
    return np.asarray(found)


def shares(scores: NDArray[Any], classes: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Return float32 (N, `count`) whose rows sum to 1; what is not of `classes` gets nothing."""
    every = np.full((len(scores), count), _NEVER)
    every[:, classes] = scores
    return softmax(every)
