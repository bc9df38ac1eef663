"""Histograms of local binary patterns and an SVM, after Shan, Gong and McOwan."""

from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from deepfer.methods.base import OPTIONS, MethodInfo
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import lbp_grid


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class LbpSvm(EstimatorMethod):
    """See `info`.

    Attributes:
        side: See `EstimatorMethod`.
        rows: Of cells.
        columns: Of cells.
        radius: Of the patterns, in pixels.
        c: Of the SVM.
        gamma: Of its radial kernel; 0 for a linear one.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="lbp-svm",
        title="LBP, SVM",
        what=(
            "Histograms of uniform local binary patterns in a grid of 7x6 cells, standardised, and "
            "an SVM with a radial kernel."
        ),
        reference="Shan, Gong and McOwan, Facial expression recognition based on local binary "
        "patterns: a comprehensive study",
        year=2009,
        deviations=(
            "square faces framed by five points instead of 110x150; C and gamma are ours; learns "
            "from all folds but the one tested"
        ),
    )
    whole: ClassVar[bool] = True

    side: Annotated[int, Field(ge=32, le=256)] = 128
    rows: Annotated[int, Field(ge=1, le=16)] = 7
    columns: Annotated[int, Field(ge=1, le=16)] = 6
    radius: Annotated[int, Field(ge=1, le=8)] = 2
    c: Annotated[float, Field(gt=0)] = 10.0
    gamma: Annotated[float, Field(ge=0)] = 1e-4

    def estimator(self, seed: int) -> Any:
        """See `EstimatorMethod.estimator`."""
        grid = {"rows": self.rows, "columns": self.columns, "radius": self.radius}
        svm = (
            SVC(kernel="rbf", C=self.c, gamma=self.gamma)
            if self.gamma
            else SVC(kernel="linear", C=self.c)
        )
        return make_pipeline(FunctionTransformer(lbp_grid, kw_args=grid), StandardScaler(), svm)
