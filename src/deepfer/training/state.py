"""A training run on disk: begun, gone on with, and safe after every epoch."""

import json
import math
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepfer import metrics
from deepfer.errors import CheckpointError, RecipeError
from deepfer.files import git_commit, write_text
from deepfer.modelfile import InputSpec
from deepfer.models.base import Network
from deepfer.training import checkpoint
from deepfer.training.distributed import Process
from deepfer.training.objective import Objective, Task
from deepfer.training.recipe import from_json
from deepfer.training.record import Record
from deepfer.training.trained import TrainedInfo

_OBJECTIVE = "objective"
_BEFORE = {"heads": _OBJECTIVE}  # what version 0.1 called it


@dataclass(kw_only=True)
class RunState:
    """What a run has done, and where it is kept.

    Attributes:
        folder: The run folder.
        process: The first one writes.
        task: What is trained, with the recipe.
        spec: What the network takes.
        data: Fingerprints of the images, by ``train`` and ``val``.
        objective: With the network.
        average: The network that is kept: averaged, or that of the objective.
        optimizer: With its state.
        record: What people read.
        epoch: Finished ones.
        history: A row for each.
    """

    folder: Path
    process: Process
    task: Task
    spec: InputSpec
    data: dict[str, str]
    objective: Objective
    average: Network
    optimizer: torch.optim.Optimizer
    record: Record
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def open(self, resume: bool) -> None:
        """Prepare the run folder, or load the state of the last finished epoch.

        Raises:
            CheckpointError: The folder holds a run already (without `resume`), one of something
                else, or one that is damaged.
        """
        last = self.folder / checkpoint.LAST
        if last.exists():
            if not resume:
                raise CheckpointError(
                    f"{self.folder} holds a run already; pass --resume to go on, or another folder"
                )
            with checkpoint.fitting(last, "this run"):
                self._load(last)
            self._require_best()
            if self.process.first:  # a kill may have come between the checkpoint and these
                self.record.write(self.history)
        elif (self.folder / checkpoint.BEST).exists() and not (resume and self._began_here()):
            raise CheckpointError(
                f"{self.folder} holds weights and nothing to go on from; choose another folder"
            )
        elif self.process.first:
            recipe = json.dumps(self.task.recipe.to_json(), indent=2)
            write_text(self.folder / "recipe.json", recipe + "\n")
            environment = json.dumps(self._environment(), indent=2)
            write_text(self.folder / "environment.json", environment + "\n")
        self.process.wait()

    def add(self, row: dict[str, Any], confusion: metrics.Counts) -> None:
        """Keep an epoch: its weights where its score is the best, its state, its row."""
        best = max((other["score"] for other in self.history), default=-math.inf)
        self.history.append(row)
        self.epoch = row["epoch"]
        if not self.process.first:
            return
        # best first: a kill between the two repeats the epoch and writes it again
        if row["score"] > best:
            weights = self.average.state_dict()
            about = self._info(row, confusion).to_json()
            checkpoint.save(self.folder / checkpoint.BEST, weights, about)
        self._save()
        self.record.write(self.history)

    def _info(self, row: dict[str, Any], confusion: metrics.Counts) -> TrainedInfo:
        figures = {key: value for key, value in row.items() if key not in {"score", "seconds"}}
        figures["val_confusion"] = confusion.tolist()
        return TrainedInfo.of(self.task.recipe, self.task.labels, self.spec, self.data, figures)

    def _began_here(self) -> bool:
        """Whether a run of this recipe was killed before its first epoch was whole."""
        try:
            text = (self.folder / "recipe.json").read_text(encoding="utf-8")
            return from_json(json.loads(text), str(self.folder)) == self.task.recipe
        except (OSError, ValueError, RecipeError):
            return False

    def _require_best(self) -> None:
        """Fail where the weights to use are lost, since the epochs to come need not beat them."""
        try:
            checkpoint.load(self.folder / checkpoint.BEST)
        except CheckpointError:
            raise CheckpointError(
                f"{self.folder}: {checkpoint.BEST} is missing or damaged; train anew, into "
                "another folder"
            ) from None

    def _save(self) -> None:
        tensors = {f"{_OBJECTIVE}.{n}": t for n, t in self.objective.state_dict().items()}
        if self.task.recipe.ema:
            tensors |= {f"average.{n}": t for n, t in self.average.state_dict().items()}
        state = self.optimizer.state_dict()["state"]
        for i, values in state.items():
            tensors |= {f"optimizer.{i}.{n}": t for n, t in values.items() if isinstance(t, Tensor)}
        description = {
            "epoch": self.epoch,
            "history": self.history,
            "recipe": self.task.recipe.to_json(),
            "data": self.data,
            "processes": self.process.world,
        }
        checkpoint.save(self.folder / checkpoint.LAST, tensors, description)

    def _load(self, last: Path) -> None:
        tensors, description = checkpoint.load(last)
        # fields that came after the run began have their defaults
        then = from_json(description.get("recipe", {}), str(last))
        pairs = {
            "recipe": (then, self.task.recipe),
            "data": (description.get("data"), self.data),
            "processes": (description.get("processes"), self.process.world),
        }
        for what, (theirs, mine) in pairs.items():
            if theirs != mine:
                raise CheckpointError(
                    f"{self.folder} was trained with other {what}; "
                    f"resume with the same {what}, or choose another folder"
                )
        parts: dict[str, dict[str, Tensor]] = {_OBJECTIVE: {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[_BEFORE.get(part, part)][rest] = tensor
        self.objective.load_state_dict(parts[_OBJECTIVE])
        if self.task.recipe.ema:
            self.average.load_state_dict(parts["average"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            i, _, key = name.partition(".")
            state.setdefault(int(i), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.epoch, self.history = description["epoch"], description["history"]

    def _environment(self) -> dict[str, Any]:
        return {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": platform.machine(),
            "processes": self.process.world,
            "threads": torch.get_num_threads(),
            "device": str(self.process.device),
            "precision": str(self.task.precision),
            "commit": git_commit(),
            "recipe": self.task.recipe.fingerprint(),
            "data": self.data,
            "parameters": sum(p.numel() for p in self.task.network.parameters()),
        }
