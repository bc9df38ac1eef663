"""IB-CNN's loss: in each batch AdaBoost chooses units, and a classifier of all batches answers.

Source:
    Han et al., Incremental Boosting Convolutional Neural Network for Facial Action Unit
    Recognition, 2016 (its abstract, and what others say of it). It detects action units; here
    there is one detector for each expression against the rest.
"""

import torch
from torch import Tensor
from torch.nn import functional

from deepfer.errors import RecipeError
from deepfer.models.ib_cnn import Votes
from deepfer.training.objective import Batch, Objective, Step, Task

_CERTAIN = 1e-3  # no unit errs less


class Boosted(Objective):
    """β mean (H − y)² + (1 − β) mean over active units of (h − y)², for each expression.

    H = Σ α h with the mean α of all batches so far, which is the network's classifier. Each
    expression weighs as much as all others, and α is constant where slopes are taken.

    Args:
        task: What it is made for; the network is an ``ib_cnn``.
        beta: Share of the strong classifier in the loss.
        rounds: Of boosting, in each batch.
        incremental: Answer with all batches' units, not with the last one's alone.
    """

    def __init__(
        self, task: Task, beta: float = 0.5, rounds: int = 20, incremental: bool = True
    ) -> None:
        super().__init__(task)
        if not isinstance(task.network.classifier, Votes):
            raise RecipeError("objective boosted: needs model ib_cnn with model_options.boosted")
        self.beta, self.rounds, self.incremental = beta, rounds, incremental
        self.register_buffer("batches_seen", torch.zeros(len(task.labels), 1))
        self.batches_seen: Tensor

    def forward(self, batch: Batch) -> Step:
        """See `Objective.forward`; in training, the classifier takes in the batch."""
        with self.task.autocast():
            answers = self.network.features(batch.faces)
        answers = answers.float()
        truth = 2 * batch.targets["expressions"].round().T - 1  # (K, N)
        shares = evenly(truth)
        alpha = boost(answers.detach(), truth, shares, self.rounds)
        if self.training:
            self._take(alpha, shown=(truth > 0).any(1, keepdim=True))
        mean = self.network.classifier.weight.clone()
        strong = mean @ answers.T  # (K, N)
        # (K, N, J): the weak answers, turned to say yes where they are right
        wrong = (answers * alpha.sign().unsqueeze(1) - truth.unsqueeze(2)).square()
        active = (alpha != 0).float()
        weak = (wrong * active.unsqueeze(1)).sum(2) / active.sum(1, keepdim=True).clamp(min=1)
        errors = self.beta * (strong - truth).square() + (1 - self.beta) * weak
        return Step((errors * shares).sum(1).mean(), strong.T)

    @torch.no_grad()
    def _take(self, alpha: Tensor, shown: Tensor) -> None:
        """Move the classifier to the mean of all batches in which an expression was shown."""
        self.batches_seen += shown
        pace = shown / self.batches_seen.clamp(min=1) if self.incremental else shown.float()
        self.network.classifier.weight.lerp_(alpha, pace.expand_as(alpha))


def evenly(truth: Tensor) -> Tensor:
    """Return weights (K, N) that sum to 1, half of it for the faces that show an expression.

    Args:
        truth: (K, N), 1 or -1.
    """
    yes, no = (truth > 0).float(), (truth < 0).float()
    shares = sum(part / part.sum(1, keepdim=True).clamp(min=1) for part in (yes, no))
    return functional.normalize(torch.as_tensor(shares), p=1, dim=1)


def boost(answers: Tensor, truth: Tensor, shares: Tensor, rounds: int) -> Tensor:
    """Return α, (K, J), whose sizes sum to 1, by discrete AdaBoost on the signs of the answers.

    A unit counts with the sign of its correlation with the truth.

    Args:
        answers: (N, J).
        truth: (K, N), 1 or -1.
        shares: (K, N), weights of the faces at the start.
        rounds: How many units are chosen, each as often as it is the best.
    """
    said = torch.where(answers > 0, 1.0, -1.0).T  # (J, N)
    turned = torch.where((shares * truth) @ said.T < 0, -1.0, 1.0)  # (K, J)
    alpha, kinds = torch.zeros_like(turned), torch.arange(len(truth), device=truth.device)
    for _ in range(rounds):
        errors = (1 - turned * ((shares * truth) @ said.T)) / 2
        error, best = errors.min(1)
        worth = torch.log((1 - error) / error.clamp(min=_CERTAIN)).clamp(min=0) / 2
        alpha[kinds, best] += worth
        right = truth * turned[kinds, best].unsqueeze(1) * said[best]
        shares = functional.normalize(shares * torch.exp(-worth.unsqueeze(1) * right), p=1, dim=1)
    return turned * functional.normalize(alpha, p=1, dim=1)
