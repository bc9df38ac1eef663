"""Weights that were trained elsewhere, measured as they are."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from deepfer.data.base import ImageSet
from deepfer.methods.base import OPTIONS, Division, Fitted, Method, MethodInfo, Place
from deepfer.methods.network import FittedNetwork
from deepfer.prior import reweighted
from deepfer.training import checkpoint
from deepfer.training.build import training_sets


class WithWeights(Method):
    """A method made of a network that was trained before.

    Attributes:
        weights: A run folder or checkpoint.
    """

    weights: str
    mark: ClassVar[str]
    """What tells its results from those of the weights themselves."""

    def fingerprint(self, division: Division) -> str:
        """Return the fingerprint of the recipe that made the weights, and the mark."""
        _, about = checkpoint.load_network(self.weights)
        recipe = about.trained_by(self.weights).fingerprint()
        return f"{recipe} {self.mark}".strip()

    def require(self, division: Division) -> None:
        """See `Method.require`."""
        checkpoint.load_network(self.weights)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Trained(WithWeights):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="trained",
        title="given weights",
        what="Answers as a network that was trained before; learns nothing from the division.",
    )
    mark: ClassVar[str] = ""

    weights: str

    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        return _Weights(self.weights)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Reweighted(WithWeights):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="reweighted",
        title="given weights, as if all expressions were equally frequent",
        what=(
            "Answers as a network that was trained before, its probabilities divided by how often "
            "its own training images show each expression."
        ),
        reference="Saerens, Latinne and Decaestecker, Adjusting the outputs of a classifier",
        year=2002,
    )
    mark: ClassVar[str] = "equal"

    weights: str

    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        fitted = _Weights(self.weights)
        recipe = fitted.about.trained_by(self.weights)
        learnt, _ = training_sets(recipe, place.root)
        fitted.factors = 1 / np.bincount(learnt.labels, minlength=len(fitted.labels))
        return fitted


class _Weights(FittedNetwork):
    factors: NDArray[np.float64] | None = None

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        found = super().probabilities(images)
        return found if self.factors is None else np.asarray(reweighted(found, self.factors), "f4")
