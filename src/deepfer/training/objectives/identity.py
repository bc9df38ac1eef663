"""IACNN's losses: features that say the expression, others that say the person, both judged.

Source:
    Meng et al., Identity-Aware Convolutional Neural Network for Facial Expression Recognition,
    2017 (its abstract, and what others say of it; margin, weights and pairs are ours).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepfer.errors import RecipeError
from deepfer.training.objective import Batch, Step, Task
from deepfer.training.objectives.expressions import Expressions


class Identity(Expressions):
    """Cross-entropy of two classifiers, and contrastive losses of expression and of identity.

    The first half of the network's features is to say the expression, the second half the person.
    One classifier sees the first half; that of the network, which is what answers, sees both.
    Without either contrastive loss only the latter is left, and its plain cross-entropy.

    Args:
        task: What it is made for.
        expression: Weight of the contrastive loss of the first half. Faces of one sequence, which
            are near twins, are no pair of the same expression.
        identity: Weight of the contrastive loss of the second half.
        margin: How far apart different faces are to be.
        unit: Bring each half to length 1 before distances are taken.
        faces: Of a person that come one after the other in an epoch, at most.
    """

    needs = ("subjects", "sequences")

    def __init__(
        self,
        task: Task,
        expression: float = 0.5,
        identity: float = 0.5,
        margin: float = 1.0,
        unit: bool = True,
        faces: int = 8,
    ) -> None:
        super().__init__(task)
        width = task.network.classifier.in_features
        if width % 2:
            raise RecipeError(f"model_options: {width} features have no halves")
        self.weights = (expression, identity)
        self.margin, self.unit, self.faces = margin, unit, faces
        # no random numbers are taken from what comes after: without its losses, this is softmax
        with torch.random.fork_rng(devices=[]):
            self.head = nn.Linear(width // 2, len(task.labels))

    def batches(self, order: Tensor, size: int) -> Sequence[Tensor]:
        """See `Objective.batches`: each image once, a person's faces side by side."""
        assert self.task.data.subjects is not None  # noqa: S101
        return torch.split(side_by_side(order, self.task.data.subjects, self.faces), size)

    def forward(self, batch: Batch) -> Step:
        """See `Objective.forward`."""
        features, logits = self.look(batch.faces)
        loss = self.cost(features, logits, batch.targets)
        if not any(self.weights):
            return Step(loss, logits)
        expression, identity = features.float().chunk(2, dim=1)
        data, chosen = self.task.data, batch.chosen
        assert data.subjects is not None and data.sequences is not None  # noqa: PT018, S101
        twins = _equal(data.sequences[chosen])
        loss = loss + functional.cross_entropy(self.head(expression), batch.targets["expressions"])
        for weight, half, same, counted in (
            (self.weights[0], expression, _equal(data.labels[chosen]), ~twins),
            (self.weights[1], identity, _equal(data.subjects[chosen]), torch.ones_like(twins)),
        ):
            found = functional.normalize(half, dim=1) if self.unit else half
            loss = loss + weight * contrast(found, same, counted, self.margin)
        return Step(loss, logits)


def contrast(features: Tensor, same: Tensor, counted: Tensor, margin: float) -> Tensor:
    """Return the mean of ½ D² over same pairs plus that of ½ max(0, m − D)² over different ones.

    Both kinds weigh alike, however many there are.

    Args:
        features: (N, D).
        same: bool (N, N), which faces are of one kind.
        counted: bool (N, N), which pairs count; of a face and itself none does.
        margin: m.
    """
    # not cdist, whose slope at distance 0 is not that of a square
    squares = (features.unsqueeze(1) - features).square().sum(2)
    apart = ~torch.eye(len(features), dtype=torch.bool, device=features.device) & counted
    near, far = same & apart, ~same & apart
    # the root has no slope at 0; nor is a face there told to go anywhere
    distance = torch.where(squares > 0, squares, 1).sqrt() * (squares > 0)
    gap = functional.relu(margin - distance).square()
    halves = ((squares, near), (gap, far))
    losses = [(value * pairs).sum() / pairs.sum().clamp(min=1) / 2 for value, pairs in halves]
    return losses[0] + losses[1]


def side_by_side(order: Tensor, names: Tensor, most: int) -> Tensor:
    """Return the positions in `order` with those of one name in runs of at most `most`.

    The runs come in random order where that of the positions is random, and so do those of a run.

    Args:
        order: int64 (N,) positions.
        names: int64, one for every position.
        most: Length of a run.
    """
    runs: dict[tuple[int, int], list[int]] = {}
    seen: dict[int, int] = {}
    for position, name in zip(order.tolist(), names[order].tolist(), strict=True):
        place = seen.get(name, 0)
        seen[name] = place + 1
        runs.setdefault((name, place // most), []).append(position)
    return torch.tensor([p for run in runs.values() for p in run], device=order.device)


def _equal(names: Tensor) -> Tensor:
    """Return bool (N, N): which of (N,) names are equal."""
    return names.unsqueeze(1) == names
