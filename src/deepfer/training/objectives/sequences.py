"""Whole sequences for a recurrent network, which is kept sparse in places and moments.

Source:
    Zhang et al., Spatial-Temporal Recurrent Neural Network for Emotion Recognition, 2019 (its
    abstract; the weights are ours).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from deepfer.errors import DataError, RecipeError
from deepfer.models.st_rnn import STRNN, SequenceHead
from deepfer.training.objective import Batch, Step, Task
from deepfer.training.objectives.expressions import Expressions


class Sequences(Expressions):
    """Cross-entropy + λ₁ Σ ‖G of a place‖ + λ₂ Σ |P of a moment|, in batches of whole sequences.

    The frames of a sequence are augmented alike, and follow each other as they do in the data.

    Args:
        task: What it is made for; the network is an ``st_rnn``.
        lambda1: λ₁, which makes places go to zero.
        lambda2: λ₂, which makes moments go to zero.
    """

    needs = ("sequences",)

    def __init__(self, task: Task, lambda1: float = 1e-4, lambda2: float = 1e-4) -> None:
        super().__init__(task)
        if not isinstance(task.network, STRNN):
            raise RecipeError("objective sequences: needs model st_rnn")
        head = task.network.hidden[0]
        assert isinstance(head, SequenceHead)  # noqa: S101
        self.lambda1, self.lambda2 = lambda1, lambda2
        self.head = (head,)  # in a tuple, since it is a part of the network already
        self.together = head.frames
        assert task.data.sequences is not None  # noqa: S101
        names = task.data.sequences.cpu()
        order = torch.argsort(names, stable=True)
        counts = torch.bincount(names)
        if self.together > 1 and (counts != self.together).any():
            raise DataError(
                f"{task.recipe.dataset}: sequences have {int(counts.min())} to {int(counts.max())} "
                f"images, and model_options.frames is {self.together}"
            )
        frames = order if self.together > 1 else torch.arange(len(names))
        self.frames = frames.reshape(-1, self.together)
        self.sequence = names if self.together > 1 else frames

    def batches(self, order: Tensor, size: int) -> Sequence[Tensor]:
        """See `Objective.batches`: each sequence at most once, in the order of its first image."""
        names = dict.fromkeys(self.sequence[order.cpu()].tolist())
        count = max(1, size // self.together)
        whole = max(1, len(order) // self.together // count) * count
        chosen = self.frames[list(names)[:whole]].flatten()
        return torch.split(chosen.to(order.device), count * self.together)

    def forward(self, batch: Batch) -> Step:
        """See `Objective.forward`."""
        step = super().forward(batch)
        places, moments = self.head[0].sparsity()
        return Step(step.loss + self.lambda1 * places + self.lambda2 * moments, step.logits)
