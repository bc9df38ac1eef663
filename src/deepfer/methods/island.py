"""Island loss."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from deepfer.data.base import ImageSet
from deepfer.methods.base import OPTIONS, Fitted, MethodInfo, Place, Published
from deepfer.methods.network import NetworkMethod
from deepfer.methods.sequences import MeanOfFrames


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Island(NetworkMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="island",
        title="island loss",
        what=(
            "A network whose features are pulled to the centre of their expression, while the "
            "centres are pushed apart: cross-entropy, centre loss and the island term. A sequence "
            "gets the mean answer of its frames."
        ),
        reference=(
            "Cai et al., Island loss for learning discriminative features in facial expression "
            "recognition"
        ),
        year=2018,
        needs=("sequences",),
        deviations=(
            "48-px crops that are shifted, not enlarged to 60 px and cropped; standardised, not "
            "equalised; weight decay 5e-4, since the printed .05 is extreme; pre-training on "
            "FER2013 alone, or none"
        ),
        published=(Published(accuracy=94.35, on="CK+, 10 folds by subject", source="its table"),),
    )

    recipe: str = "island_tri_conv"

    def fit(self, train_set: ImageSet, val_set: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`."""
        return MeanOfFrames(super().fit(train_set, val_set, place))
