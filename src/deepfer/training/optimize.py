"""Optimisers and learning rate schedules, as the recipe names them."""

import math

import torch
from torch import nn

from deepfer.training.recipe import Optimizer, Schedule


def build_optimizer(
    module: nn.Module, options: Optimizer, device: torch.device
) -> torch.optim.Optimizer:
    """Build the recipe's optimiser; weight decay spares biases and norms unless `decay_all`."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    decayed = [p for p in parameters if options.decay_all or p.ndim > 1]
    spared = [p for p in parameters if not options.decay_all and p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    gpu = device.type == "cuda"
    # in a GPU's memory, or a replayed step would keep the learning rate it was recorded with
    lr = torch.tensor(options.lr, device=device) if gpu else options.lr
    if options.name == "sgd":
        return torch.optim.SGD(
            groups, lr=lr, momentum=options.momentum, nesterov=options.momentum > 0, fused=gpu
        )
    kind = torch.optim.Adam if options.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=lr, betas=options.betas, eps=options.eps, fused=gpu, capturable=gpu)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's learning rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def lr_factor(schedule: Schedule, progress: float, warmup: float) -> float:
    """Return the learning rate as a share of the highest.

    Args:
        schedule: The recipe's ``[schedule]`` table.
        progress: Share of the run that is done, 0 to 1.
        warmup: Share of the run that the rise takes.

    Source:
        cosine: Loshchilov and Hutter, SGDR, 2017; one_cycle: Smith and Topin 2018, with both
        slopes as cosines.
    """
    if schedule.name == "one_cycle":
        warmup = warmup or 0.3
    if progress < warmup:
        rise = progress / warmup
        if schedule.name == "one_cycle":
            return 0.04 + 0.96 * (1 - math.cos(math.pi * rise)) / 2
        return rise
    if schedule.name == "constant":
        return 1.0
    fall = (progress - warmup) / (1 - warmup) if warmup < 1 else 1.0
    return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * fall)) / 2
