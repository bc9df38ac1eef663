"""One answer for all frames of a recording."""

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import ImageSet
from deepfer.methods.base import Fitted


class MeanOfFrames(Fitted):
    """Gives each frame the mean of what another gives the frames of its sequence.

    Args:
        frames: What answers for single frames.
    """

    def __init__(self, frames: Fitted) -> None:
        self.frames, self.labels, self.facts = frames, frames.labels, frames.facts

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        """See `Fitted.probabilities`."""
        found = self.frames.probabilities(images)
        if images.sequences is None:
            return found
        place = np.unique(images.sequences, return_inverse=True)[1]
        total = np.zeros((place.max() + 1, found.shape[1]))
        np.add.at(total, place, found)
        means = total / np.bincount(place)[:, None]
        return np.asarray(means[place], np.float32)
