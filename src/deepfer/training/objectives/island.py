"""Island loss and centre loss: features near the centre of their expression, centres apart.

Source:
    Cai et al., Island Loss for Learning Discriminative Features in Facial Expression Recognition,
    2018 (read). Centre loss: Wen et al., A Discriminative Feature Learning Approach for Deep Face
    Recognition, 2016 (read).
"""

import torch
from torch import Tensor
from torch.nn import functional

from deepfer.errors import RecipeError
from deepfer.training.objective import Batch, Step, Task
from deepfer.training.objectives.expressions import Expressions

_LEAST = 1e-8  # a norm below it is no direction


class Island(Expressions):
    """Cross-entropy + λ (½ Σ_i ‖x_i − c_yi‖² + λ₁ Σ_j Σ_k≠j (cos(c_j, c_k) + 1)).

    The centres are buffers that follow the features by `moves`, not by the optimiser. Over several
    processes those of the first one count.

    Args:
        task: What it is made for.
        lambda_c: λ, the weight of what is not cross-entropy.
        lambda1: λ₁, how much centres shun each other; 0 is the centre loss.
        alpha: α, how far centres move in a step.
        reduction: ``"sum"``, as printed, or ``"mean"`` over the batch's faces.
    """

    def __init__(
        self,
        task: Task,
        lambda_c: float = 0.01,
        lambda1: float = 10.0,
        alpha: float = 1.0,
        reduction: str = "sum",
    ) -> None:
        super().__init__(task)
        if reduction not in {"sum", "mean"}:
            raise RecipeError(f"objective_options.reduction: sum or mean, not {reduction!r}")
        self.lambda_c, self.lambda1, self.alpha = lambda_c, lambda1, alpha
        self.reduction = reduction
        width = task.network.classifier.in_features
        self.register_buffer("centres", torch.zeros(len(task.labels), width))
        self.centres: Tensor

    def forward(self, batch: Batch) -> Step:
        """See `Objective.forward`; in training, the centres move."""
        features, logits = self.look(batch.faces)
        loss = self.cost(features, logits, batch.targets)
        labels, features = self.task.data.labels[batch.chosen], features.float()
        centres = self.centres.clone()  # those that the loss is told by stay as they are
        away = (features - centres[labels]).square().sum(1) / 2
        near = away.sum() if self.reduction == "sum" else away.mean()
        loss = loss + self.lambda_c * (near + self.lambda1 * crowding(centres))
        if self.training:
            with torch.no_grad():
                self.centres -= self.alpha * moves(centres, features, labels, self.lambda1)
        return Step(loss, logits)


def crowding(centres: Tensor) -> Tensor:
    """Return Σ_j Σ_k≠j (cos(c_j, c_k) + 1) of (K, D) centres."""
    units = functional.normalize(centres, dim=1, eps=_LEAST)
    others = ~torch.eye(len(centres), dtype=torch.bool, device=centres.device)
    return ((units @ units.T + 1) * others).sum()


def moves(centres: Tensor, features: Tensor, labels: Tensor, lambda1: float) -> Tensor:
    """Return the printed Δ, (K, D): a step takes α Δ from the centres.

    Its first part pulls a centre to the batch's faces of its expression. Its second is the gradient
    of λ₁ `crowding` over 2 (K − 1).
    """
    count = len(centres)
    members = functional.one_hot(labels, count).to(centres.dtype)
    number = members.sum(0).unsqueeze(1)
    pull = (number * centres - members.T @ features) / (1 + number)
    norms = centres.norm(dim=1, keepdim=True).clamp(min=_LEAST)
    units = centres / norms
    cosines = (units @ units.T).fill_diagonal_(0)
    towards = units.sum(0) - units
    push = (towards - cosines.sum(1, keepdim=True) * units) / norms
    total: Tensor = pull + lambda1 / (count - 1) * push
    return total
