"""Histograms of oriented gradients of eyes and mouth and an SVM, after Chen et al."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from deepfer.methods.base import OPTIONS, MethodInfo
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import Box, hog_boxes

PARTS: tuple[Box, ...] = ((16, 24, 96, 48), (32, 72, 64, 48))
"""Brows with eyes, and the mouth, on an aligned face of 128 pixels."""


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HogParts(EstimatorMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="hog-parts",
        title="HOG of eyes and mouth, linear SVM",
        what=(
            "Histograms of oriented gradients of the brows with the eyes, and of the mouth, side "
            "by side (8 orientations, 8x8 cells, 2x2 blocks), standardised, and a linear SVM. "
            "Against the same over the whole face it shows what the rest of the face costs."
        ),
        reference="Chen et al., Facial expression recognition based on facial components "
        "detection and HOG features",
        year=2014,
        deviations=(
            "eyes and mouth at fixed places of the aligned face instead of detected ones; sizes "
            "and C are ours; learns from all folds but the one tested"
        ),
    )
    whole: ClassVar[bool] = True

    side: Literal[128] = 128
    c: Annotated[float, Field(gt=0)] = 0.001

    def estimator(self, seed: int) -> Any:
        """See `EstimatorMethod.estimator`."""
        return make_pipeline(
            FunctionTransformer(hog_boxes, kw_args={"boxes": PARTS}),
            StandardScaler(),
            LinearSVC(C=self.c, random_state=seed, max_iter=5000),
        )
