"""Replaying steps as a CUDA graph: the same training as without. Needs a GPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from deepfer.training.optimize import build_optimizer, set_lr
from deepfer.training.recipe import Optimizer
from deepfer.training.replay import Replay, Step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_replays_train_as_the_step_itself_does(name: str) -> None:
    plain, replayed = (_trained(name, wrap) for wrap in (lambda step: step, Replay))
    for a, b in zip(plain, replayed, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def _trained(name: str, wrap: Callable[[Step], Step]) -> list[Tensor]:
    """Return the losses and weights of ten steps with a falling learning rate and dropout."""
    device = torch.device("cuda")
    torch.manual_seed(0)
    inputs = torch.randn(64, 8, device=device)
    module = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(), nn.Linear(16, 1))
    module.to(device)
    optimizer = build_optimizer(module, Optimizer(name=name, lr=0.05), device)  # type: ignore[arg-type]

    def step(chosen: Tensor) -> tuple[Tensor, ...]:
        loss = functional.mse_loss(module(inputs[chosen]), inputs[chosen, :1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return (loss.detach(),)

    doing, losses = wrap(step), []
    for i in range(10):
        set_lr(optimizer, 0.05 * (1 - i / 10))
        torch.manual_seed(i)
        losses.append(doing(torch.arange(i, i + 32, device=device))[0].clone())
    return [*losses, *(p.detach() for p in module.parameters())]


def test_what_is_drawn_in_replays_follows_the_seed() -> None:
    def step(chosen: Tensor) -> tuple[Tensor, ...]:
        return (torch.rand(len(chosen), device=chosen.device) + chosen,)

    draw = Replay(step)
    chosen = torch.zeros(4, device="cuda", dtype=torch.int64)
    rows = []
    for seed in (1, 1, 1, 1, 1, 2, 1):
        torch.manual_seed(seed)
        rows.append(draw(chosen)[0].clone())
    assert all(torch.equal(rows[0], rows[i]) for i in (1, 2, 3, 4, 6))
    assert not torch.equal(rows[4], rows[5])
