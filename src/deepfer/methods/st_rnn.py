"""ST-RNN: a network over places and moments, which answers for sequences."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from deepfer.data.base import ImageSet
from deepfer.data.ckplus_sequences import FRAMES
from deepfer.methods.base import OPTIONS, Fitted, MethodInfo, Place, Published
from deepfer.methods.network import NetworkMethod


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class StRnn(NetworkMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="st-rnn",
        title="ST-RNN",
        what=(
            "Recurrent networks that sweep feature maps in four directions, and one over the "
            "frames of a sequence; which places and moments count is learnt, and few are to. It "
            "answers for a sequence; in data without named frames, for each face."
        ),
        reference=(
            "Zhang et al., Spatial-temporal recurrent neural network for emotion recognition"
        ),
        year=2019,
        needs=("sequences",),
        deviations=(
            "rebuilt on deepfer_fast maps, four frames per sequence; hyper-parameters not "
            "published in what we could read"
        ),
        published=(Published(accuracy=97.20, on="CK+", source="a table of the DeepFER study"),),
    )

    recipe: str = "st_rnn"

    def fit(self, train_set: ImageSet, val_set: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        train_set, val_set = (images.take(_in_order(images)) for images in (train_set, val_set))
        return OfSequences(super().fit(train_set, val_set, place))


class OfSequences(Fitted):
    """Shows another whole sequences, frame after frame.

    Args:
        frames: What answers for them, in batches that divide none.
    """

    def __init__(self, frames: Fitted) -> None:
        self.frames, self.labels, self.facts = frames, frames.labels, frames.facts

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        """See `Fitted.probabilities`."""
        order = _in_order(images)
        found = np.empty((len(images), len(self.labels)), np.float32)
        parts = np.split(order, range(_AT_ONCE, len(order), _AT_ONCE))
        for part in parts:
            found[part] = self.frames.probabilities(images.take(part))
        return found


_AT_ONCE = 32 * len(FRAMES)  # less than what networks divide


def _in_order(images: ImageSet) -> NDArray[np.int64]:
    """Return the positions sequence by sequence, each in the order of its named frames."""
    if "frame" not in images.columns or images.sequences is None:
        return np.arange(len(images))
    moments = [FRAMES.index(name) for name in images.columns["frame"]]
    return np.lexsort((moments, images.sequences))
