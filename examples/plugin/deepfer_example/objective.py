"""An objective: what makes a loss of a batch."""

from torch.nn import functional

from deepfer.training.objective import Batch, Objective, Step, Task


class Focal(Objective):
    """Cross-entropy that looks away from what is right already.

    Args:
        task: What it is made for.
        gamma: How much; 0 is cross-entropy. Recipes set it by ``objective_options``.

    Source:
        Lin et al., Focal loss for dense object detection, 2017.
    """

    def __init__(self, task: Task, *, gamma: float = 2.0) -> None:
        super().__init__(task)
        self.gamma = gamma

    def forward(self, batch: Batch) -> Step:
        """Return the mean loss of a batch."""
        with self.task.autocast():
            logits = self.network(batch.faces)
        log_shares = functional.log_softmax(logits.float(), dim=1)
        weights = (1 - log_shares.exp()) ** self.gamma
        loss = -(batch.targets["expressions"] * weights * log_shares).sum(dim=1).mean()
        return Step(loss, logits)
