"""The loss: cross-entropy in its published and modern forms, votes, penalty and distillation."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepfer.models.base import Network
from deepfer.training.recipe import Distill, Loss


class ExpressionLoss:
    """Computes the loss of one batch; all constants come from the recipe and the training split.

    Args:
        options: The recipe's ``[loss]`` table.
        distill: The recipe's ``[distill]`` table.
        counts: Training images per class, (K,), on the device of the training.
    """

    def __init__(self, options: Loss, distill: Distill, counts: Tensor) -> None:
        self.options, self.distill = options, distill
        counts = counts.float().clamp(min=1)
        self.weights = None
        if options.class_weights:
            self.weights = counts.mean() / counts / (counts.mean() / counts).mean()
        self.adjustment = options.logit_adjustment * torch.log(counts / counts.sum())

    def __call__(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        vote_logits: Tensor | None = None,
        vote_targets: Tensor | None = None,
        teacher: Tensor | None = None,
    ) -> Tensor:
        """Return the batch's mean loss, without the weight penalty.

        Args:
            logits: (N, K).
            targets: (N, K) class probabilities.
            vote_logits: (N, V) of the second head.
            vote_targets: (N, V) vote shares; rows of zeros do not count.
            teacher: (N, K) probabilities at the distillation temperature.
        """
        loss = functional.cross_entropy(
            logits + self.adjustment,
            targets,
            weight=self.weights,
            label_smoothing=self.options.label_smoothing,
        )
        if teacher is not None:
            t = self.distill.temperature
            log_student = functional.log_softmax(logits / t, dim=1)
            divergence = functional.kl_div(log_student, teacher, reduction="batchmean") * t * t
            loss = (1 - self.distill.weight) * loss + self.distill.weight * divergence
        if vote_logits is not None and vote_targets is not None:
            loss = loss + self.options.votes * functional.cross_entropy(vote_logits, vote_targets)
        return loss


def dense_penalty(network: Network) -> Tensor:
    """Return Σ‖w‖² over the network's dense layers, biases left out.

    Source:
        Minaee and Abdolrashidi 2019, section 3; the DeepFER study names four dense layers.
    """
    return torch.stack([layer.weight.square().sum() for layer in network.dense_layers()]).sum()


@torch.no_grad()
def teacher_probabilities(teachers: Sequence[nn.Module], faces: Tensor, options: Distill) -> Tensor:
    """Return the teachers' mean probabilities (N, K) at the temperature."""
    views = (faces, faces.flip(3)) if options.mirror else (faces,)
    shares = [
        torch.softmax(teacher(view).float() / options.temperature, dim=1)
        for teacher in teachers
        for view in views
    ]
    return torch.stack(shares).mean(dim=0)
