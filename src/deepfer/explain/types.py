"""What an explanation is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfer.labels import Expression


@dataclass(frozen=True)
class Explanation:
    """What decided about one face.

    Attributes:
        method: How the map was made; see `list_methods`.
        target: The expression that is explained.
        probabilities: Calibrated probability per expression, in the model's label order.
        face: uint8 (H, W), the face as the network was given it.
        map: float32 (H, W). Positive where the face speaks for the target, negative where it
            speaks against it. For ``occlusion`` the mean fall of the target's probability when
            the pixel is hidden, -1 to 1; for ``attention`` how much of the network's
            view the pixel fills, relative to no window, less 1; for the gradient methods see
            `gradients`, in units of the target's logit.
        hard: float32 (H, W), occlusion only: the share of patches over the pixel that change
            the most probable expression, 0 to 1.
        window: float32 (4, 2), attention only: x and y of the window's corners in pixels of
            `face`: top left, top right, bottom right, bottom left.
        view: float32 (H, W), attention only: the face through the window, 0 to 255.
        settings: The method's parameters.
    """

    method: str
    target: Expression
    probabilities: dict[Expression, float]
    face: NDArray[np.uint8]
    map: NDArray[np.float32]
    hard: NDArray[np.float32] | None = None
    window: NDArray[np.float32] | None = None
    view: NDArray[np.float32] | None = None
    settings: dict[str, Any] | None = None

    @property
    def evidence(self) -> NDArray[np.float32]:
        """float32 (H, W), never negative: what region shares are of.

        The map's positive part; for the attention, how much of the view each pixel fills.
        """
        return np.maximum(self.map + 1 if self.method == "attention" else self.map, 0)

    @property
    def expression(self) -> Expression:
        """The most probable expression."""
        return max(self.probabilities, key=self.probabilities.__getitem__)
