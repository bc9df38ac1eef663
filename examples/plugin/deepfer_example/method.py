"""A method: anything that learns from images and answers for others."""

from typing import Any, ClassVar

from pydantic.dataclasses import dataclass
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from deepfer.methods.base import OPTIONS, MethodInfo
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import raw


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ClassMeans(EstimatorMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="example-means",
        title="the nearest mean face",
        what="Answers with the expression whose mean training face is closest.",
    )

    def estimator(self, seed: int) -> Any:
        """Return an unfitted classifier of uint8 (N, H, W) faces."""
        return make_pipeline(FunctionTransformer(raw), NearestCentroid())
