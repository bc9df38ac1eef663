"""Salient facial patches, after Happy and Routray."""

from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from deepfer.align import TEMPLATE_SIZE
from deepfer.methods.base import OPTIONS, MethodInfo, Published
from deepfer.methods.estimators import EstimatorMethod
from deepfer.methods.features import (
    Features,
    Pixels,
    histograms,
    lbp_codes,
)

PATCHES: dict[str, tuple[float, float]] = {
    "left brow": (12, 13),
    "right brow": (36, 13),
    "between the brows": (24, 12),
    "root of the nose": (24, 17),
    "under the left eye": (15, 24),
    "under the right eye": (33, 24),
    "nose, upper left": (19, 22),
    "nose, upper right": (29, 22),
    "nose, lower left": (20, 27),
    "nose, lower right": (28, 27),
    "left corner of the mouth": (16.4, 35.5),
    "right corner of the mouth": (31.6, 35.5),
    "upper lip": (24, 32),
    "lower lip": (24, 40),
    "left cheek": (13, 31),
    "right cheek": (35, 31),
    "below the left corner": (18, 41),
    "below the right corner": (30, 41),
    "chin": (24, 44),
}
"""Centres of the patches on an aligned face of 48 pixels."""

_CENTRES = np.array(list(PATCHES.values()), dtype=np.float32)
_FOLDS, _COMPONENTS = 5, 12  # of the ranking
_SHRINKAGE = 1e-3  # of LDA's scatter, so that it can be inverted


def patches(faces: Pixels, patch: int = 16, smooth: float = 1.0) -> Features:
    """Return the histogram of local binary patterns of every patch, (N, 19, 59).

    Args:
        faces: Aligned faces.
        patch: Height and width of a patch in pixels.
        smooth: See `lbp_codes`.
    """
    side = faces.shape[1]
    codes = lbp_codes(faces, smooth=smooth)
    corners = np.rint(_CENTRES * (side / TEMPLATE_SIZE) - patch / 2).astype(int)
    parts = [
        histograms(codes[:, y : y + patch, x : x + patch])
        for x, y in np.clip(corners, 0, side - patch).tolist()
    ]
    return np.stack(parts, axis=1) / np.float32(patch * patch)


def salience(features: Features, second: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """Return how well each patch alone tells two expressions apart, 0 to 1, by five folds.

    Args:
        features: Of every patch, (N, P, D).
        second: Which of the faces show the second expression.
        seed: Decides the folds.

    Source:
        Happy and Routray 2015: LDA on the principal components of one patch.
    """
    random = np.random.default_rng(seed)
    fold = np.empty(len(second), dtype=np.int64)
    for side in (False, True):  # dealt out evenly
        members = random.permutation(np.flatnonzero(second == side))
        fold[members] = np.arange(len(members)) % _FOLDS
    x = features.transpose(1, 0, 2).astype(np.float64)
    right = np.zeros(len(x))
    for k in range(_FOLDS):
        train, test = fold != k, fold == k
        if len(set(second[train].tolist())) < 2:
            continue
        mean = x[:, train].mean(axis=1, keepdims=True)
        axes = np.linalg.svd(x[:, train] - mean, full_matrices=False)[2][:, :_COMPONENTS]
        low = (x - mean) @ axes.transpose(0, 2, 1)
        groups = [low[:, train & (second == side)] for side in (False, True)]
        centres = [group.mean(axis=1, keepdims=True) for group in groups]
        rest = np.concatenate([g - c for g, c in zip(groups, centres, strict=True)], axis=1)
        scatter = rest.transpose(0, 2, 1) @ rest / train.sum()
        trace = np.trace(scatter, axis1=1, axis2=2)[:, None, None] + 1e-12
        scatter += _SHRINKAGE * trace * np.eye(scatter.shape[1])
        apart = (centres[1] - centres[0]).transpose(0, 2, 1)
        weights = np.linalg.solve(scatter, apart)
        middle = (centres[0] + centres[1]) / 2
        answer = ((low[:, test] - middle) @ weights)[..., 0] > 0
        right += (answer == second[test]).sum(axis=1)
    return right / len(second)


class SalientPatches(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One classifier per pair of expressions, on the patches that tell these two apart best.

    Args:
        keep: Patches per pair; 0 for all, unranked.
        kernel: Of the classifiers.
        seed: Decides the folds of the ranking.

    Attributes:
        chosen_: The patches of each pair.
    """

    def __init__(self, keep: int = 4, kernel: str = "poly", seed: int = 0) -> None:
        self.keep, self.kernel, self.seed = keep, kernel, seed

    def fit(self, features: Features, labels: NDArray[np.int64]) -> Self:
        """Rank the patches of every pair and fit its classifier."""
        self.classes_ = np.unique(labels)
        self.chosen_: dict[tuple[int, int], NDArray[np.int64]] = {}
        self.models_ = {}
        for pair in combinations(range(len(self.classes_)), 2):
            first, second = self.classes_[list(pair)]
            own = (labels == first) | (labels == second)
            target = labels[own] == second
            chosen = np.arange(features.shape[1])
            if self.keep:
                ranks = salience(features[own], target, self.seed)
                chosen = np.argsort(-ranks, kind="stable")[: self.keep]
            svm = SVC(kernel=self.kernel, degree=2, coef0=1.0, C=1.0)
            model = make_pipeline(StandardScaler(), svm)
            self.models_[pair] = model.fit(_flat(features[own], chosen), target)
            self.chosen_[pair] = chosen
        return self

    def predict_proba(self, features: Features) -> NDArray[np.float64]:
        """Return shares of the votes; margins decide between equal ones."""
        votes = np.zeros((len(features), len(self.classes_)))
        margins = np.zeros_like(votes)
        for pair, model in self.models_.items():
            margin = model.decision_function(_flat(features, self.chosen_[pair]))
            for one, sign in zip(pair, (-1, 1), strict=True):
                votes[:, one] += sign * margin > 0
                margins[:, one] += sign * margin
        scores = votes + margins / (3 * (np.abs(margins) + 1)) + 1 / 3
        shares: NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return shares


def _flat(features: Features, chosen: NDArray[np.int64]) -> Features:
    return features[:, chosen].reshape(len(features), -1)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class SalientPatchesSvm(EstimatorMethod):
    """See `info`.

    Attributes:
        patch: Height and width of a patch in pixels, on a face of 96.
        keep: Patches per pair of expressions; 0 for all.
        smooth: See `lbp_codes`.
        kernel: Of the SVMs.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="salient-patches",
        title="salient facial patches",
        what=(
            "Histograms of local binary patterns of 19 small patches around brows, eyes, nose and "
            "mouth. For every pair of expressions the four patches are taken that tell these two "
            "apart best on the training faces (LDA in cross-validation), and an SVM decides "
            "between the two; the pairs vote."
        ),
        reference="Happy and Routray, Automatic facial expression recognition using features of "
        "salient facial patches",
        year=2015,
        deviations=(
            "patches at fixed places of the aligned face instead of 19 landmark-guided ones; 6 "
            "classes without neutral where compared with 91.80; learns from all folds but the one "
            "tested"
        ),
        published=(
            Published(accuracy=91.80, on="JAFFE, six expressions", source="the DeepFER study"),
        ),
    )
    whole: ClassVar[bool] = True

    side: Literal[96] = 96
    patch: Annotated[int, Field(ge=8, le=48)] = 16
    keep: Annotated[int, Field(ge=0, le=len(PATCHES))] = 4
    smooth: Annotated[float, Field(ge=0)] = 1.0
    kernel: Literal["poly", "rbf", "linear"] = "poly"

    def estimator(self, seed: int) -> Any:
        """See `EstimatorMethod.estimator`."""
        how = {"patch": self.patch, "smooth": self.smooth}
        return make_pipeline(
            FunctionTransformer(patches, kw_args=how),
            SalientPatches(self.keep, self.kernel, seed),
        )
