"""PPDN: a peak-piloted network."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from deepfer.data.base import ImageSet
from deepfer.data.ckplus_sequences import FRAMES
from deepfer.methods.base import OPTIONS, Fitted, MethodInfo, Place, Published
from deepfer.methods.network import NetworkMethod


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Ppdn(NetworkMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="ppdn",
        title="PPDN",
        what=(
            "A network for single faces that learns from pairs of one sequence: its features of "
            "the frames before the peak are pulled to those of the peak, and not the other way. "
            "Where frames are named it answers for a sequence by its peak, and does not learn from "
            "the neutral frame."
        ),
        reference="Zhao et al., Peak-piloted deep network for facial expression recognition",
        year=2016,
        needs=("sequences",),
        deviations=(
            "non-peak frames: the two before the peak, none interpolated; trunk deepfer_fast "
            "(FER2013) instead of GoogLeNet (500k faces)"
        ),
        published=(
            Published(accuracy=99.3, on="CK+, 6 expressions", source="Li and Deng 2018"),
            Published(accuracy=97.3, on="CK+, 6 expressions", source="Cai et al. 2018"),
        ),
    )

    recipe: str = "ppdn_deepfer_fast"

    def fit(self, train_set: ImageSet, val_set: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        return OfPeaks(super().fit(_expressive(train_set), _expressive(val_set), place))


class OfPeaks(Fitted):
    """Gives all frames of a sequence, where they are named, what another gives its peak.

    Args:
        faces: What answers for single faces.
    """

    def __init__(self, faces: Fitted) -> None:
        self.faces, self.labels, self.facts = faces, faces.labels, faces.facts

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        """See `Fitted.probabilities`."""
        if "frame" not in images.columns or images.sequences is None:
            return self.faces.probabilities(images)
        peaks = images.take(np.array(images.columns["frame"]) == FRAMES[-1])
        found = self.faces.probabilities(peaks)
        row = {name: i for i, name in enumerate(peaks.sequences or ())}
        return found[[row[name] for name in images.sequences]]


def _expressive(images: ImageSet) -> ImageSet:
    """Return all but the frames that are named neutral."""
    if "frame" not in images.columns:
        return images
    return images.take(np.array(images.columns["frame"]) != FRAMES[0])
