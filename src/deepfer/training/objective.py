"""What a network is to learn: the loop gives batches of faces, an objective makes a loss of them.

Source:
    The division of work is that of timm's ``TrainingTask``: what is special about a loss, be it
    teachers, pairs or identities, stands in the objective and not in the loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from deepfer.data.base import ImageSet
from deepfer.errors import DataError
from deepfer.labels import Expression
from deepfer.models.base import Network
from deepfer.training.batches import TensorSet
from deepfer.training.recipe import Recipe

Targets = dict[str, Tensor]
"""By name, float32 (N, ...): what is to be learnt of each face of a batch."""


@dataclass(frozen=True)
class Task:
    """What an objective is made for.

    Attributes:
        recipe: What to do.
        network: What learns, still on the CPU.
        data: The training images, on the device of the training.
        labels: What the network's logits stand for.
        precision: That the network computes in.
    """

    recipe: Recipe
    network: Network
    data: TensorSet
    labels: tuple[Expression, ...]
    precision: torch.dtype

    @property
    def device(self) -> torch.device:
        """Where the training runs."""
        return self.data.pixels.device

    def autocast(self) -> torch.autocast:
        """Return a block in which networks compute in the precision."""
        low = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision, enabled=low)


@dataclass(frozen=True)
class Batch:
    """What the loop gives an objective.

    Attributes:
        faces: float32 (N, 1, H, W), as the network sees them.
        chosen: int64 (N,), their positions in the training images.
        targets: As `Objective.targets` gave them, mixed as the faces were.
    """

    faces: Tensor
    chosen: Tensor
    targets: Targets


@dataclass(frozen=True)
class Step:
    """What an objective makes of a batch.

    Attributes:
        loss: A scalar to descend.
        logits: (N, K), to count what is right.
    """

    loss: Tensor
    logits: Tensor


class Objective(nn.Module):
    """A loss, and whatever it needs beside the network.

    Its parameters are trained, its buffers kept, and both are saved with the run: heads, centres,
    running means. The network is its `network`, and is all that is left after the training.

    Args:
        task: What it is made for.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """What the images must say of themselves, by attributes of `ImageSet`, such as subjects."""
    together: int = 1
    """So many images that follow each other belong together: they are augmented alike, and looked
    at in one batch of the validation images, in their order there."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = task.network
        self.task = task

    @classmethod
    def require(cls, recipe: Recipe, images: ImageSet) -> None:
        """Look at the training images before any work.

        Raises:
            DataError: They do not say what the objective needs.
        """
        for need in cls.needs:
            if getattr(images, need) is None:
                raise DataError(
                    f"{recipe.dataset}: the objective {recipe.objective} needs to know the {need} "
                    "of the images, and the data does not say them; take other data or another one"
                )

    def batches(self, order: Tensor, size: int) -> Sequence[Tensor]:
        """Divide an epoch's images into steps; the number of steps must not depend on the order.

        Args:
            order: int64 (N,) positions in random order, N a multiple of `size`.
            size: Images in a batch.
        """
        return torch.split(order, size)

    def targets(self, chosen: Tensor) -> Targets:
        """Return what is to be learnt of the images at int64 (N,) positions."""
        return {"expressions": self.task.data.targets[chosen]}

    def seen(self, faces: Tensor, targets: Targets) -> Targets:
        """Add to the targets what somebody says who sees the faces before they are degraded.

        Args:
            faces: float32 (N, 1, H, W), 0 to 1.
            targets: As they are to be learnt.
        """
        return targets

    def hidden(self, targets: Targets, share: Tensor) -> Targets:
        """Return what can be known of faces of which a share, (N, 1), is covered."""
        return targets

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch: by default, cross-entropy with the targets."""
        with self.task.autocast():
            logits = self.network(batch.faces)
        loss = nn.functional.cross_entropy(logits.float(), batch.targets["expressions"])
        return Step(loss, logits)
