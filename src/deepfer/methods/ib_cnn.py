"""IB-CNN: a network whose units are boosted."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from deepfer.methods.base import OPTIONS, MethodInfo
from deepfer.methods.network import NetworkMethod


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class IbCnn(NetworkMethod):
    """See `info`."""

    info: ClassVar[MethodInfo] = MethodInfo(
        name="ib-cnn",
        title="IB-CNN",
        what=(
            "A small network whose dense units are weak classifiers. In each batch AdaBoost "
            "chooses among them for every expression; the answer is that of all batches together. "
            "Its probabilities are made from scores between -1 and 1, and are not calibrated."
        ),
        reference=(
            "Han et al., Incremental boosting convolutional neural network for facial action unit "
            "recognition"
        ),
        year=2016,
        deviations=(
            "IB-CNN detects action units; here its boosting head answers expressions one against "
            "the rest. No published figure"
        ),
    )

    recipe: str = "ib_cnn"
