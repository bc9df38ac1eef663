"""IACNN: an identity-aware network."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from deepfer.data.base import ImageSet
from deepfer.methods.base import OPTIONS, Fitted, MethodInfo, Place, Published
from deepfer.methods.network import NetworkMethod
from deepfer.methods.sequences import MeanOfFrames


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Iacnn(NetworkMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="iacnn",
        title="IACNN",
        what=(
            "A network with two sets of features, which contrastive losses over pairs of faces "
            "teach to say the expression and the person; the classifier sees both. A sequence "
            "gets the mean answer of its frames."
        ),
        reference=(
            "Meng et al., Identity-aware convolutional neural network for facial expression "
            "recognition"
        ),
        year=2017,
        needs=("subjects", "sequences"),
        deviations=(
            "10 folds instead of 8; layer widths and loss weights are ours; pairs of a batch of "
            "some eight subjects, with distances between features of length 1"
        ),
        published=(Published(accuracy=95.37, on="CK+, 8 folds by subject", source="its table"),),
    )

    recipe: str = "iacnn_tri_conv"

    def fit(self, train_set: ImageSet, val_set: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        return MeanOfFrames(super().fit(train_set, val_set, place))
