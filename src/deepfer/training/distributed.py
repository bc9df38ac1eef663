"""One process or many: the few lines that make the same loop run under torchrun.

Without torchrun's environment everything here does nothing, so the loop has one path.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed.nn  # now, not later: its functions keep the group that they find
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from deepfer.ending import end_with_parent


@dataclass(frozen=True, slots=True)
class Process:
    """This process among all that train together."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """Make gradients the average over all processes."""
        return DistributedDataParallel(network) if self.world > 1 else network

    def share(self, count: int, together: int, *, at_once: int) -> tuple[Tensor, ...]:
        """Return the positions of `count` that are this process's, in parts of at most `at_once`.

        They are dealt in runs of `together`, which no part divides.
        """
        every = torch.arange(count, device=self.device)
        mine = every[every // together % self.world == self.rank]
        return torch.split(mine, at_once // together * together)

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over all processes."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def share_from_first(self, module: nn.Module) -> None:
        """Give every process the first one's weights and buffers.

        Batch norm statistics differ between processes; evaluation must not.
        """
        if self.world > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def processes() -> Iterator[Process]:
    """Join the group that torchrun describes in the environment, or stay alone."""
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(f"cuda:{local}" if cuda else "cpu")
    if cuda:
        torch.cuda.set_device(device)
    if "RANK" not in os.environ:
        yield Process(0, 1, device)
        return
    end_with_parent()
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Process(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        # the group's threads end with it, and must before Python does; networks still hold it
        gc.collect()
        distributed.destroy_process_group()
