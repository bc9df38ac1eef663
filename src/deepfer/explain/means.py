"""The figure that the study announces and does not show: what decides on average."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer.classify import Classifier
from deepfer.data.base import ImageSet
from deepfer.errors import DataError
from deepfer.explain.methods import explain
from deepfer.explain.regions import REGIONS, face_regions, region_shares
from deepfer.explain.types import Explanation
from deepfer.files import csv_text, write_text
from deepfer.labels import Expression
from deepfer.preprocess import to_pixels


@dataclass(frozen=True)
class MeanMaps:
    """Mean maps over correctly classified faces.

    Attributes:
        maps: float32 (H, W) per expression; each face's map has the scale of the method.
        shares: Mean share of each region per expression, see `region_shares`.
        counts: Faces per expression.
    """

    maps: dict[Expression, NDArray[np.float32]]
    shares: dict[Expression, dict[str, float]]
    counts: dict[Expression, int]

    def differences(self) -> dict[Expression, NDArray[np.float32]]:
        """Return each expression's map less the mean map of the others."""
        total = np.sum(list(self.maps.values()), axis=0)
        others = max(len(self.maps) - 1, 1)
        return {
            e: np.asarray(values - (total - values) / others, dtype=np.float32)
            for e, values in self.maps.items()
        }

    def write(self, folder: Path) -> None:
        """Write ``region_shares.csv`` and ``mean_maps.csv`` (one line per expression and row)."""
        folder.mkdir(parents=True, exist_ok=True)
        shares = [
            [e, self.counts[e], *(f"{share:.4f}" for share in own.values())]
            for e, own in self.shares.items()
        ]
        write_text(
            folder / "region_shares.csv", csv_text([["expression", "faces", *REGIONS], *shares])
        )
        rows = [
            [e, i, *(f"{v:.6g}" for v in row)]
            for e, values in self.maps.items()
            for i, row in enumerate(values)
        ]
        width = len(rows[0]) - 2
        write_text(
            folder / "mean_maps.csv", csv_text([["expression", "row", *range(width)], *rows])
        )


def correct_faces(
    classifier: Classifier, images: ImageSet, *, per_expression: int, seed: int = 0
) -> NDArray[np.int64]:
    """Return the positions of faces that the model classifies correctly.

    Blank images (FER2013 has twelve) are passed over: their maps would be blank too.

    Args:
        classifier: The model.
        images: Where to take them from.
        per_expression: At most so many of each, drawn at random.
        seed: Decides which.

    Raises:
        DataError: No face is classified correctly.
    """
    labels = classifier.info.labels
    faces = to_pixels(images.images, classifier.info.input)
    found = classifier(faces).argmax(axis=1)
    blank = faces.min(axis=(1, 2)) == faces.max(axis=(1, 2))
    place = np.array([labels.index(e) if e in labels else -1 for e in images.expressions])
    right = np.flatnonzero((found == place[images.labels]) & ~blank)
    if not len(right):
        raise DataError("the model classifies none of the faces correctly; nothing to explain")
    order = np.random.default_rng(seed).permutation(right)
    kept = [order[found[order] == k][:per_expression] for k in range(len(labels))]
    return np.sort(np.concatenate(kept))


def explain_all(
    classifier: Classifier, faces: NDArray[np.uint8], method: str, **settings: Any
) -> Iterator[Explanation]:
    """Explain the most probable expression of uint8 (N, H, W) faces, one after the other."""
    for face in faces:
        yield explain(face, method, model=classifier, **settings)


def mean_maps(explanations: Iterable[Explanation]) -> MeanMaps:
    """Average explanations by their target, in the order of the expressions."""
    grouped: dict[Expression, list[Explanation]] = {}
    for explanation in explanations:
        grouped.setdefault(explanation.target, []).append(explanation)
    own = {e: grouped[e] for e in Expression if e in grouped}
    height, width = next(iter(own.values()))[0].map.shape
    regions = face_regions(height, width)
    return MeanMaps(
        maps={
            e: np.mean([x.map for x in group], axis=0, dtype=np.float32) for e, group in own.items()
        },
        shares={
            e: _mean_shares([region_shares(x.evidence, regions) for x in group])
            for e, group in own.items()
        },
        counts={e: len(group) for e, group in own.items()},
    )


def _mean_shares(shares: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([own[name] for own in shares])) for name in REGIONS}
