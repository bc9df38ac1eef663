"""The nearest training face: what a protocol is worth to a method that learns nothing."""

from typing import Any, ClassVar

from pydantic.dataclasses import dataclass
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from deepfer.methods.base import OPTIONS, MethodInfo
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import raw


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Pixels1nn(EstimatorMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="pixels-1nn",
        title="pixels, nearest neighbour",
        what=(
            "Answers with the label of the training face whose pixels are closest. It learns "
            "nothing, so what it reaches tells how much a protocol gives away: near twins and "
            "copies on both sides of a split are found by it alone."
        ),
    )

    def estimator(self, seed: int) -> Any:
        """See `EstimatorMethod.estimator`."""
        return make_pipeline(FunctionTransformer(raw), KNeighborsClassifier(1))
