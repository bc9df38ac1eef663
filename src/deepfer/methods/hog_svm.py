"""Histograms of oriented gradients over the face, and a linear SVM."""

from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from deepfer.methods.base import OPTIONS, MethodInfo
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import hog_grid


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HogSvm(EstimatorMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="hog-svm",
        title="HOG, linear SVM",
        what=(
            "Histograms of oriented gradients over the whole 48-pixel face (8 orientations, 8x8 "
            "cells, 2x2 blocks), standardised, and a linear SVM, one against the rest. A fair "
            "floor: what does not beat it has learnt no features worth having."
        ),
        reference="Dalal and Triggs, Histograms of oriented gradients for human detection",
        year=2005,
        deviations="a floor of ours: the publication detects people",
    )

    c: Annotated[float, Field(gt=0)] = 0.01

    def estimator(self, seed: int) -> Any:
        """See `EstimatorMethod.estimator`."""
        return make_pipeline(
            FunctionTransformer(hog_grid),
            StandardScaler(),
            LinearSVC(C=self.c, random_state=seed, max_iter=5000),
        )
