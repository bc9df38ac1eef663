"""Fisherfaces and a neural network, after Abidin and Harjoko."""

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from deepfer.methods.base import OPTIONS, MethodInfo, Published
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import Features, equalized

_SOURCE = "the abstract"


class Fisherfaces(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Projects faces to where their classes lie furthest apart: PCA, then LDA.

    Args:
        components: Of the PCA; 0 for faces less classes, as many as leave LDA a scatter to divide
            by.

    Source:
        Belhumeur, Hespanha and Kriegman, Eigenfaces vs. Fisherfaces, 1997.
    """

    def __init__(self, components: int = 0) -> None:
        self.components = components

    def fit(self, faces: Features, labels: NDArray[np.int64]) -> Self:
        """Learn both projections."""
        most = len(faces) - len(np.unique(labels))
        count = min(self.components or most, most, faces.shape[1])
        self.pca_ = PCA(count, svd_solver="full").fit(faces)
        self.lda_ = LinearDiscriminantAnalysis().fit(self.pca_.transform(faces), labels)
        return self

    def transform(self, faces: Features) -> NDArray[Any]:
        """Return one value per class but one."""
        found: NDArray[Any] = self.lda_.transform(self.pca_.transform(faces))
        return found


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class FisherfaceMlp(EstimatorMethod):
    """See `info`.

    Attributes:
        components: See `Fisherfaces`.
        hidden: Units of the hidden layer.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="fisherface-mlp",
        title="Fisherfaces, neural network",
        what=(
            "Projects the equalised pixels of the face to where the training faces' expressions "
            "lie furthest apart (PCA, then LDA), and answers with a network of one hidden layer. "
            "With as many components as training allows, LDA separates the training faces fully; "
            "what it reaches elsewhere depends on whether the same people are shown."
        ),
        reference="Abidin and Harjoko, A neural network based facial expression recognition using "
        "Fisherface",
        year=2012,
        deviations=(
            "framing by five points instead of integral projection; hidden layer, its training and "
            "the folds are not published; learns from all folds but the one tested"
        ),
        published=(
            Published(accuracy=86.85, on="JAFFE, first crop", source=_SOURCE),
            Published(accuracy=89.20, on="JAFFE, second crop", source=_SOURCE),
            Published(accuracy=87.79, on="JAFFE, third crop", source=_SOURCE),
        ),
    )
    whole: ClassVar[bool] = True

    components: Annotated[int, Field(ge=0)] = 0
    hidden: Annotated[int, Field(ge=1)] = 20

    def estimator(self, seed: int) -> Any:
        """See `EstimatorMethod.estimator`."""
        return make_pipeline(
            FunctionTransformer(equalized),
            Fisherfaces(self.components),
            StandardScaler(),
            MLPClassifier((self.hidden,), activation="tanh", max_iter=5000, random_state=seed),
        )
