"""The training loop, to be read from top to bottom.

Recipe, processes, data, network, objective, optimiser, epochs, checkpoint. Selection looks at the
validation split only.
"""

import math
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress, TaskID
from torch import Tensor, nn

from deepfer import metrics
from deepfer.data.base import ImageSet
from deepfer.errors import DataError, DivergedError
from deepfer.files import claimed
from deepfer.modelfile import InputSpec
from deepfer.models.base import Network
from deepfer.training import checkpoint
from deepfer.training.augment import augment, mixup
from deepfer.training.batches import TensorSet
from deepfer.training.build import autocast_type, freeze, network_of, placed
from deepfer.training.degrade import degrade
from deepfer.training.distributed import Process, processes
from deepfer.training.moving import MovingAverage
from deepfer.training.objective import Batch, Task
from deepfer.training.objectives import create_objective, objective_class
from deepfer.training.optimize import build_optimizer, lr_factor, set_lr
from deepfer.training.recipe import Degrade, Recipe, Saliency
from deepfer.training.record import Record, progress_bar
from deepfer.training.replay import Replay
from deepfer.training.replay import Step as Replayed
from deepfer.training.saliency import FIRST, SaliencyView
from deepfer.training.state import RunState
from deepfer.training.trained import TrainedInfo

AfterEpoch = Callable[[dict[str, Any]], None]
_TASK = TaskID(0)  # the bar's only one


def train(
    recipe: Recipe,
    train_set: ImageSet,
    val_set: ImageSet,
    *,
    run: Path,
    resume: bool = False,
    after_epoch: AfterEpoch = lambda row: None,
    first: Path | None = None,
) -> TrainedInfo | None:
    """Train one network and leave a run folder that says all about it.

    The folder holds ``recipe.json``, ``environment.json``, ``metrics.csv`` (one row per epoch),
    ``tensorboard/``, ``last.safetensors`` (to resume) and ``best.safetensors`` (to use).

    Args:
        recipe: What to do.
        train_set: What to learn from; see `build.training_sets` for what the recipe names.
        val_set: What to choose the epoch on.
        run: The run folder.
        resume: Go on from ``last.safetensors`` where it exists. The end is the same as without
            an interruption, since every epoch draws its randomness from the seed and its number.
        after_epoch: Called with each epoch's row of ``metrics.csv``, once it is safe on disk; may
            end the training with an exception.
        first: For a recipe with saliency: the finished run of the network that looks first. By
            default it is trained in ``first`` inside the run folder.

    Returns:
        What is known about the weights of the best epoch; None on processes other than the first.

    Raises:
        CheckpointError: The folder holds a run already (without `resume`), or one of another
            recipe or other data (with it).
        DivergedError: The loss is no longer a number.
        DataError: The data cannot be read, or does not say what the objective needs.
        InputError: Another program is training in the folder.
    """
    if recipe.saliency.variant != "none" and first is None:
        first = run / FIRST
        train(replace(recipe, saliency=Saliency()), train_set, val_set, run=first, resume=True)
    # the first process writes for all; where it ends, torchrun ends the others
    with processes() as process, claimed(run) if process.first else nullcontext():
        return _Run(recipe, train_set, val_set, run, process, after_epoch, first).go(resume)


class _Run:
    """One training run; `go` is the loop."""

    def __init__(
        self,
        recipe: Recipe,
        train_set: ImageSet,
        val_set: ImageSet,
        folder: Path,
        process: Process,
        after_epoch: AfterEpoch,
        first: Path | None,
    ) -> None:
        self.recipe, self.folder, self.process = recipe, folder, process
        self.after_epoch = after_epoch
        objective_class(recipe.objective).require(recipe, train_set)
        fingerprints = {"train": train_set.fingerprint(), "val": val_set.fingerprint()}
        if first is not None:
            view = SaliencyView(recipe.saliency, first, train_set)
            train_set, val_set = view(train_set), view(val_set)
        self.labels = train_set.expressions
        torch.manual_seed(recipe.seed)
        begun = (folder / checkpoint.LAST).exists()
        self.network = network_of(recipe, self.labels, begun=begun)
        self.frozen = freeze(self.network, recipe.freeze)
        side, perceived = self.network.input_size, recipe.loss.perceived
        spec = InputSpec(side, side, standardize=recipe.standardize)
        self.train_data, self.val_data = (
            TensorSet(part, spec, process.device, perceived=perceived)
            for part in (train_set, val_set)
        )
        self.task = Task(
            recipe,
            self.network,
            self.train_data,
            self.labels,
            autocast_type(recipe.precision, process.device),
        )
        self.objective = placed(create_objective(self.task), process.device)
        self.parallel = process.wrap(self.objective)
        self.optimizer = build_optimizer(self.objective, recipe.optimizer, process.device)
        self.average = MovingAverage(self.network, recipe.ema)
        self._divide()
        self.steps = {plain: self._stepper(plain) for plain in (False, True)}
        self.state = RunState(
            folder=folder,
            process=process,
            task=self.task,
            spec=spec,
            data=fingerprints,
            objective=self.objective,
            average=self.average.network,
            optimizer=self.optimizer,
            record=Record(folder),
        )

    def go(self, resume: bool) -> TrainedInfo | None:
        """Train to the last epoch and return what is known about the best one."""
        self.state.open(resume)
        with closing(self.state.record), progress_bar(self.process.first) as bar:
            steps = self.recipe.epochs * self.steps_per_epoch
            bar.add_task("", total=steps, completed=self.state.epoch * self.steps_per_epoch)
            asked, found = self.recipe.precision, self.task.precision
            if asked == "bfloat16" and found == torch.float32 and self.process.first:
                bar.console.print("this machine has no bfloat16 arithmetic: training in float32")
            self._epochs(bar)
        self.process.wait()
        if not self.process.first:
            return None
        return checkpoint.load_network(self.folder)[1]

    def _divide(self) -> None:
        """Find how many images make a step, and how many steps an epoch."""
        count, world = len(self.train_data), self.process.world
        # data smaller than one batch makes one smaller batch
        self.batch = min(self.recipe.batch_size, count // world)
        if self.batch < 2:
            raise DataError(
                f"{self.recipe.dataset}: {count} training images are too few for "
                f"{world} process(es); each needs two"
            )
        self.share = count // (self.batch * world) * self.batch  # of this process
        order = torch.arange(self.share, device=self.process.device)
        self.steps_per_epoch = len(self.objective.batches(order, self.batch))

    def _epochs(self, bar: Progress) -> None:
        for epoch in range(self.state.epoch, self.recipe.epochs):
            bar.update(_TASK, description=f"epoch {epoch + 1}/{self.recipe.epochs}")
            started = time.monotonic()
            train_loss, train_accuracy = self._train_epoch(epoch, bar)
            confusion, val_loss = self._evaluate(self.average.network)
            if not math.isfinite(train_loss) or math.isnan(val_loss):
                raise DivergedError(
                    f"epoch {epoch + 1}: the loss is {train_loss}, on validation {val_loss}; "
                    "lower optimizer.lr, or set optimizer.clip_norm"
                )
            row = {
                "epoch": epoch + 1,
                "lr": float(self.optimizer.param_groups[0]["lr"]),
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "val_loss": val_loss,
                "val_accuracy": metrics.accuracy(confusion),
                "val_uar": metrics.uar(confusion),
                "val_macro_f1": metrics.macro_f1(confusion),
                "seconds": round(time.monotonic() - started, 1),
            }
            row["score"] = epoch if self.recipe.select == "last" else row["val_accuracy"]
            self.state.add(row, confusion)
            if self.process.first:
                self.after_epoch(row)

    def _train_epoch(self, epoch: int, bar: Progress) -> tuple[float, float]:
        recipe, process = self.recipe, self.process
        order = torch.Generator().manual_seed(_seed(recipe.seed, epoch))
        shuffled = torch.randperm(len(self.train_data), generator=order).to(process.device)
        torch.manual_seed(_seed(recipe.seed, epoch, process.rank + 1))
        plain = epoch >= recipe.epochs - recipe.augment.plain_epochs
        self.parallel.train()
        for part in self.frozen:
            part.eval()
        dealt = shuffled[: self.share * process.world].reshape(-1, process.world, self.batch)
        mine = dealt[:, process.rank].flatten()
        totals = torch.zeros(3, device=process.device)
        for i, chosen in enumerate(self.objective.batches(mine, self.batch)):
            step = epoch * self.steps_per_epoch + i
            set_lr(self.optimizer, self._lr(step))
            loss, correct = self.steps[plain](chosen)
            self.average.update(step)
            totals += torch.stack([loss * len(chosen), correct, torch.full_like(loss, len(chosen))])
            bar.advance(_TASK)
        loss_sum, correct_sum, count = process.sum(totals).tolist()
        return loss_sum / count, correct_sum / count

    def _stepper(self, plain: bool) -> Replayed:
        step = partial(self._step, plain=plain)
        # these take values from the host at each step, which a graph cannot
        mixes = self.recipe.augment.mixup and not plain
        from_host = mixes or self.recipe.degrade != Degrade()
        alone_on_gpu = self.process.device.type == "cuda" and self.process.world == 1
        return Replay(step) if alone_on_gpu and not from_host else step

    def _step(self, chosen: Tensor, *, plain: bool) -> tuple[Tensor, Tensor]:
        recipe, data, objective = self.recipe, self.train_data, self.objective
        change = partial(augment, plain=plain, together=objective.together)
        faces = change(data.faces(chosen), recipe.augment)
        targets = objective.targets(chosen)
        if recipe.augment.mixup and not plain:
            faces, targets = mixup(faces, targets, recipe.augment.mixup)
        targets = objective.seen(faces, targets)
        if recipe.degrade != Degrade():
            faces, share = degrade(faces, recipe.degrade)
            targets = objective.hidden(targets, share)
        step = self.parallel(Batch(data.normalized(faces), chosen, targets))
        self.optimizer.zero_grad(set_to_none=True)
        step.loss.backward()
        if recipe.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(objective.parameters(), recipe.optimizer.clip_norm)
        self.optimizer.step()
        correct = (step.logits.detach().argmax(1) == data.labels[chosen]).sum().float()
        return step.loss.detach(), correct

    @torch.inference_mode()
    def _evaluate(self, network: Network) -> tuple[metrics.Counts, float]:
        """Return the (K, K) counts (rows true) and mean loss over validation, each image once."""
        process, data = self.process, self.val_data
        process.share_from_first(network)
        network.eval()
        k = len(self.labels)
        counts, loss = (torch.zeros(n, device=process.device) for n in (k * k, 1))
        for chosen in process.share(len(data), self.objective.together, at_once=256):
            faces = data.normalized(data.faces(chosen))
            with self.task.autocast():
                logits = network(faces).float()
            loss += nn.functional.cross_entropy(logits, data.targets[chosen], reduction="sum")
            counts += torch.bincount(data.labels[chosen] * k + logits.argmax(1), minlength=k * k)
        counts, loss = process.sum(counts), process.sum(loss)
        confusion = counts.reshape(k, k).long().cpu().numpy()
        return confusion, loss.item() / len(data)

    def _lr(self, step: int) -> float:
        schedule, total = self.recipe.schedule, self.recipe.epochs * self.steps_per_epoch
        warmup = schedule.warmup_epochs / self.recipe.epochs
        return self.recipe.optimizer.lr * lr_factor(schedule, step / total, warmup)


def _seed(*parts: int) -> int:
    """Mix whole numbers into one 63-bit seed."""
    mixed = 0
    for part in parts:
        mixed = (mixed * 1_000_003 + part + 1) % 2**63
    return mixed
