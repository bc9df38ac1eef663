"""Weights averaged over the steps of a training, which often beat the last ones."""

import copy

import torch
from torch import Tensor

from deepfer.models.base import Network


class MovingAverage:
    """Follows a network.

    Args:
        network: What is followed.
        decay: Share of the average that a step leaves; 0: the average is the network itself.

    Attributes:
        network: The averaged one.

    Source:
        Tarvainen and Valpola, Mean teachers are better role models, 2017.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network) if decay else network
        # looked up once, since a step is short on a GPU
        self.averaged, self.followed = (_floating(n) for n in (self.network, network))

    def update(self, step: int) -> None:
        """Move towards the network as it is after a step, faster at the start."""
        if self.decay:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.averaged, self.followed, 1 - decay)


def _floating(network: Network) -> list[Tensor]:
    """Return the weights and running statistics."""
    return [t for t in network.state_dict().values() if t.is_floating_point()]
