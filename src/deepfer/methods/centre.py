"""Centre loss."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from deepfer.methods.base import OPTIONS, MethodInfo, Published
from deepfer.methods.island import Island


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Centre(Island):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="centre",
        title="centre loss",
        what=(
            "A network whose features are pulled to the centre of their expression: the island "
            "loss without the island term. A sequence gets the mean answer of its frames."
        ),
        reference=(
            "Wen et al., A discriminative feature learning approach for deep face recognition"
        ),
        year=2016,
        needs=("sequences",),
        deviations=Island.info.deviations + "; λ and α as for the island loss",
        published=(
            Published(accuracy=92.26, on="CK+, 10 folds by subject", source="Cai et al. 2018"),
        ),
    )

    recipe: str = "centre_tri_conv"
