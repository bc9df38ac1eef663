"""Replaying a training step on a GPU.

A step of these small networks is some hundred kernels of a few microseconds each; launching them
one by one takes several times as long as computing them. As a CUDA graph they are launched at
once.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor], tuple[Tensor, ...]]
_WARM_UP = 3  # steps that set up libraries, gradients and the optimiser's state


class Replay:
    """Runs a step as it is a few times, then records it, then replays the record.

    Args:
        step: Maps int64 (n,) positions of images on the GPU to result tensors. Must do the same
            work on every call, for one n, and move nothing between host and GPU; what it draws at
            random follows `torch.manual_seed` in replays too.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.chosen: Tensor
        self.results: tuple[Tensor, ...]

    def __call__(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """Do one step. The results hold until the next call."""
        if self.graph is None and self.calls < _WARM_UP:
            self.calls += 1
            return self._aside(chosen)
        if self.graph is None:
            self.chosen = chosen.clone()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.results = self.step(self.chosen)
            self.graph = graph
        self.chosen.copy_(chosen)
        self.graph.replay()
        return self.results

    def _aside(self, chosen: Tensor) -> tuple[Tensor, ...]:
        """Do the step on another stream, as recording will: it must not wait for the usual one."""
        usual = torch.cuda.current_stream()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(usual)
        with torch.cuda.stream(side):
            results = self.step(chosen)
        usual.wait_stream(side)
        return results
