"""Where eyes, nose and mouth lie to each other, and an SVM."""

from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from deepfer.methods.base import OPTIONS, MethodInfo
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import Features, Pixels, five_points

_PAIRS = np.array(list(combinations(range(5), 2)))


def shape(points: Features) -> Features:
    """Return 10 coordinates and 10 distances of five points, (N, 5, 2) to (N, 20).

    Where the face lies, how large it is and how it is turned in the picture do not count: points
    are taken from their mean, in distances of the eyes, along the line of the eyes.
    """
    flat = points[..., 0] + 1j * points[..., 1]
    eyes = flat[:, 1] - flat[:, 0]
    own = (flat - flat.mean(axis=1, keepdims=True)) / eyes[:, None]
    apart = np.abs(own[:, _PAIRS[:, 0]] - own[:, _PAIRS[:, 1]])
    return np.concatenate([own.real, own.imag, apart], axis=1).astype(np.float32)


def geometry(faces: Pixels) -> Features:
    """Return the `shape` of each face's five landmarks."""
    return shape(five_points(faces))


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GeometrySvm(EstimatorMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="geometry-svm",
        title="five landmarks, SVM",
        what=(
            "Coordinates of the eyes, the nose and the corners of the mouth, and their distances, "
            "in distances of the eyes; an SVM with a radial kernel and weights that make "
            "expressions count alike. It shows what shape alone tells without brows and lips."
        ),
        reference="Bagherian, Rahmat and Udzir, Extract of facial feature point",
        year=2009,
        deviations=(
            "landmarks: 5 points; the publication finds points and classifies nothing, so the SVM "
            "is ours; learns from all folds but the one tested"
        ),
    )
    whole: ClassVar[bool] = True

    side: Literal[128] = 128
    c: Annotated[float, Field(gt=0)] = 1.0

    def estimator(self, seed: int) -> Any:
        """See `EstimatorMethod.estimator`."""
        return make_pipeline(
            FunctionTransformer(geometry),
            StandardScaler(),
            SVC(kernel="rbf", C=self.c, class_weight="balanced"),
        )
