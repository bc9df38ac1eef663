"""PPDN's loss: what a network makes of a weak expression is pulled to what it makes of the peak.

Source:
    Zhao et al., Peak-Piloted Deep Network for Facial Expression Recognition, 2016 (its abstract,
    and what others say of it; weight and layers are ours).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepfer.errors import DataError, RecipeError
from deepfer.training.objective import Batch, Step, Task
from deepfer.training.objectives.expressions import Expressions

_FEATURES = "features"


class Peaks(Expressions):
    """CE(peak) + CE(weak) + μ Σ over layers of ‖f(peak) − f(weak)‖² / dimensions.

    A pair is the last frame of a sequence, its peak, and another one of the same sequence, drawn
    anew each epoch. Both are augmented alike. No frame may show another expression than the label,
    a neutral one for instance.

    Args:
        task: What it is made for.
        mu: Weight of the pull.
        detach: The pull moves what is made of the weak frame only (peak gradient suppression).
        layers: Whose outputs are pulled: parts of the network by their names in it, such as
            ``convolutions``, or ``features``, what the classifier sees.
    """

    needs = ("sequences",)
    together = 2

    def __init__(
        self,
        task: Task,
        mu: float = 0.1,
        detach: bool = True,
        layers: Sequence[str] = (_FEATURES,),
    ) -> None:
        super().__init__(task)
        self.mu, self.detach = mu, detach
        known = dict(task.network.named_modules())
        if unknown := [n for n in layers if n != _FEATURES and n not in known]:
            own = ", ".join(name for name, _ in task.network.named_children())
            raise RecipeError(
                f"objective_options.layers: the network has no part {unknown[0]!r}; its parts: "
                f"{_FEATURES}, {own}"
            )
        self.layers = tuple(layers)
        assert task.data.sequences is not None  # noqa: S101
        self.names = task.data.sequences.cpu()
        positions = torch.arange(len(self.names))
        counts = torch.bincount(self.names)
        self.longest = int(counts.max())
        if int(counts.min()) < 2:
            raise DataError(f"{task.recipe.dataset}: a sequence of one frame has no weak one")
        # the last of each sequence; scatter_reduce, since of equal indices scatter keeps any
        self.last = torch.zeros_like(counts).scatter_reduce(0, self.names, positions, "amax")

    def batches(self, order: Tensor, size: int) -> Sequence[Tensor]:
        """See `Objective.batches`: peak, weak, peak, weak; each sequence at most once.

        So many sequences that every order holds them: an epoch has a pair of each, but for what
        fills no batch.
        """
        weak: dict[int, int] = {}
        last = self.last.tolist()
        for position in order.tolist():
            name = int(self.names[position])
            if weak.get(name, last[name]) == last[name]:
                weak[name] = position
        pairs = size // 2
        steps = max(1, len(order) // self.longest // pairs)
        chosen = list(weak.items())[: steps * pairs]
        # of a sequence whose peak alone is in the order, the frame before it
        found = [(last[n], p if p != last[n] else self._before(n)) for n, p in chosen]
        flat = torch.tensor(found, device=order.device).flatten()
        return torch.split(flat, 2 * pairs)

    def _before(self, name: int) -> int:
        """Return the last frame but one of a sequence."""
        return int(torch.nonzero(self.names == name)[-2])

    def forward(self, batch: Batch) -> Step:
        """See `Objective.forward`."""
        outputs: list[Tensor] = []

        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs.append(output)

        hooks = [_hook(self.network, name, keep) for name in self.layers if name != _FEATURES]
        try:
            features, logits = self.look(batch.faces)
        finally:
            for hook in hooks:
                hook()
        if _FEATURES in self.layers:
            outputs.append(features)
        # the mean over both is half of the sum of the two means
        loss = 2 * self.cost(features, logits, batch.targets)
        if self.mu:
            loss = loss + self.mu * sum(pull(output, detach=self.detach) for output in outputs)
        return Step(loss, logits)


def pull(output: Tensor, *, detach: bool) -> Tensor:
    """Return the mean over pairs of ‖f(peak) − f(weak)‖² / dimensions.

    Args:
        output: (2 N, ...), peaks and weak ones in turn.
        detach: Keep the slope from the peaks.
    """
    peaks, weak = output.float()[0::2], output.float()[1::2]
    return functional.mse_loss(weak, peaks.detach() if detach else peaks)


def _hook(network: nn.Module, name: str, keep: Callable[..., None]) -> Callable[[], None]:
    return network.get_submodule(name).register_forward_hook(keep).remove
