"""Expressions: cross-entropy with labels or vote shares, a second head for votes, teachers."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepfer.data.base import ImageSet
from deepfer.errors import DataError
from deepfer.models.base import Network
from deepfer.training.build import placed, teacher
from deepfer.training.objective import Batch, Objective, Step, Targets, Task
from deepfer.training.recipe import Distill, Loss, Recipe

_AT_ONCE = 256  # faces that teachers see


class Expressions(Objective):
    """The recipe's ``[loss]`` and ``[distill]`` tables."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        recipe, data = task.recipe, task.data
        self.votes = None
        if recipe.loss.votes:
            width = task.network.classifier.in_features
            self.votes = nn.Linear(width, data.votes.shape[1])
        counts = torch.bincount(data.labels, minlength=len(task.labels))
        self.loss = ExpressionLoss(recipe.loss, recipe.distill, counts)
        self.prior = data.targets.mean(dim=0)
        # in a tuple, since they are neither trained nor saved
        self.teachers = tuple(
            placed(teacher(source, task.network, task.labels), task.device)
            for source in recipe.distill.teachers
        )
        self.taught = None  # with distill.plain: the teachers' answers, once for all
        if self.teachers and recipe.distill.plain:
            parts = torch.split(torch.arange(len(data), device=task.device), _AT_ONCE)
            self.taught = torch.cat([self._teach(data.faces(part)) for part in parts])

    @classmethod
    def require(cls: type[Self], recipe: Recipe, images: ImageSet) -> None:
        """See `Objective.require`."""
        super().require(recipe, images)
        if recipe.loss.votes and images.votes is None:
            raise DataError(
                f"{recipe.dataset}: the recipe sets loss.votes, but the data has no votes file; "
                "get it, or pass --set loss.votes=0"
            )
        said = images.votes is not None and images.votes.shape[1] == len(images.expressions)
        if recipe.loss.perceived and not said:
            raise DataError(
                f"{recipe.dataset}: the recipe sets loss.perceived, but the data does not say what "
                "share of people saw each expression; pass --set dataset_options.perceived=true"
            )

    def targets(self, chosen: Tensor) -> Targets:
        """See `Objective.targets`."""
        found = {**super().targets(chosen), "votes": self.task.data.votes[chosen]}
        return found if self.taught is None else {**found, "taught": self.taught[chosen]}

    def seen(self, faces: Tensor, targets: Targets) -> Targets:
        """Ask the teachers, who see what the student would see in better conditions."""
        if not self.teachers or self.taught is not None:
            return targets
        return {**targets, "taught": self._teach(faces)}

    def hidden(self, targets: Targets, share: Tensor) -> Targets:
        """Who sees half of a face knows half of what people saw in it."""
        known = {n: targets[n].lerp(self.prior, share) for n in targets if n != "votes"}
        return {**targets, **known}

    def forward(self, batch: Batch) -> Step:
        """See `Objective.forward`."""
        features, logits = self.look(batch.faces)
        return Step(self.cost(features, logits, batch.targets), logits)

    def look(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (N, D) and the logits (N, K) of faces."""
        with self.task.autocast():
            features = self.network.features(faces)
            return features, self.network.classifier(features)

    def cost(self, features: Tensor, logits: Tensor, targets: Targets) -> Tensor:
        """Return what the recipe's tables say a batch costs; others add to it."""
        votes = None
        if self.votes is not None:
            with self.task.autocast():
                votes = self.votes(features)
        loss = self.loss(
            logits.float(),
            targets["expressions"],
            vote_logits=None if votes is None else votes.float(),
            vote_targets=targets["votes"],
            teacher=targets.get("taught"),
        )
        penalty = self.task.recipe.loss.dense_penalty
        if penalty:
            loss = loss + penalty * dense_penalty(self.network)
        return loss

    def _teach(self, faces: Tensor) -> Tensor:
        """Return the teachers' probabilities (N, K) of faces on the 0 to 1 scale."""
        with self.task.autocast():
            shown = self.task.data.normalized(faces)
            return teacher_probabilities(self.teachers, shown, self.task.recipe.distill)


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
