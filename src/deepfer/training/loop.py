"""The training loop, to be read from top to bottom.

Recipe, processes, data, network, optimiser, epochs, checkpoint. Selection looks at the
validation split only.
"""

import copy
import json
import math
import platform
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress, TaskID
from torch import Tensor, nn

from deepfer import metrics
from deepfer.data.base import ImageSet
from deepfer.errors import CheckpointError, DataError, DivergedError, RecipeError
from deepfer.files import claimed, git_commit, write_text
from deepfer.modelfile import InputSpec
from deepfer.models import create_model
from deepfer.models.base import Network
from deepfer.training import checkpoint
from deepfer.training.augment import augment, mixup
from deepfer.training.batches import TensorSet
from deepfer.training.build import (
    Heads,
    autocast_type,
    freeze,
    placed,
    start_from,
    teacher,
)
from deepfer.training.degrade import degrade
from deepfer.training.distributed import Process, processes
from deepfer.training.loss import ExpressionLoss, dense_penalty, teacher_probabilities
from deepfer.training.optimize import build_optimizer, lr_factor, set_lr
from deepfer.training.recipe import Degrade, Recipe, Saliency, from_json
from deepfer.training.record import Record, progress_bar
from deepfer.training.replay import Replay, Step
from deepfer.training.saliency import FIRST, SaliencyView

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
) -> dict[str, Any] | None:
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
        The description of the best epoch, as stored in ``best.safetensors``; None on processes
        other than the first.

    Raises:
        CheckpointError: The folder holds a run already (without `resume`), or one of another
            recipe or other data (with it).
        DivergedError: The loss is no longer a number.
        DataError: The data cannot be read.
        InputError: Another program is training in the folder.
    """
    if recipe.saliency.variant != "none" and first is None:
        first = run / FIRST
        train(replace(recipe, saliency=Saliency()), train_set, val_set, run=first, resume=True)
    # the first process writes for all; where it ends, torchrun ends the others
    with processes() as process, claimed(run) if process.first else nullcontext():
        return _Run(recipe, train_set, val_set, run, process, after_epoch, first).go(resume)


class _Run:
    """The state of one training run; `go` is the loop."""

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
        if recipe.loss.votes and train_set.votes is None:
            raise DataError(
                f"{recipe.dataset}: the recipe sets loss.votes, but the data has no votes file; "
                "get it, or pass --set loss.votes=0"
            )
        if recipe.loss.perceived and not _is_perceived(train_set):
            raise DataError(
                f"{recipe.dataset}: the recipe sets loss.perceived, but the data does not say what "
                "share of people saw each expression; pass --set dataset_options.perceived=true"
            )
        self.fingerprints = {"train": train_set.fingerprint(), "val": val_set.fingerprint()}
        if first is not None:
            view = SaliencyView(recipe.saliency, first, train_set)
            train_set, val_set = view(train_set), view(val_set)
        self.labels = train_set.expressions
        torch.manual_seed(recipe.seed)
        try:
            self.network = create_model(
                recipe.model, num_classes=len(self.labels), **recipe.model_options
            )
        except (TypeError, ValueError, RuntimeError) as error:
            raise RecipeError(f"model_options: {error}") from None
        if recipe.init and not (folder / checkpoint.LAST).exists():
            start_from(self.network, recipe, self.labels)
        self.frozen = freeze(self.network, recipe.freeze)
        side, perceived = self.network.input_size, recipe.loss.perceived
        self.spec = InputSpec(side, side, standardize=recipe.standardize)
        self.train_data, self.val_data = (
            TensorSet(part, self.spec, process.device, perceived=perceived)
            for part in (train_set, val_set)
        )
        self.prior = self.train_data.targets.mean(dim=0)

        votes = self.train_data.votes
        heads = Heads(self.network, votes.shape[1] if recipe.loss.votes else 0)
        self.heads = placed(heads, process.device)
        self.parallel = process.wrap(self.heads)
        self.optimizer = build_optimizer(self.heads, recipe.optimizer, process.device)
        counts = torch.bincount(self.train_data.labels, minlength=len(self.labels))
        self.loss = ExpressionLoss(recipe.loss, recipe.distill, counts)
        self.teachers = [
            placed(teacher(source, self.network, self.labels), process.device)
            for source in recipe.distill.teachers
        ]
        self.precision = autocast_type(recipe.precision, process.device)
        self.taught = None  # with distill.plain: the teachers' answers, once for all
        if self.teachers and recipe.distill.plain:
            data = self.train_data
            parts = torch.split(torch.arange(len(data)), 256)
            self.taught = torch.cat(
                [self._teach(data.normalized(data.faces(p.to(process.device)))) for p in parts]
            )
        self.average = copy.deepcopy(self.network) if recipe.ema else self.network
        # what moves behind what; looked up once, since a step is short on a GPU
        self.averaged, self.followed = (_floating(n) for n in (self.average, self.network))
        # data smaller than one batch makes one smaller batch
        self.batch = min(recipe.batch_size, len(self.train_data) // process.world)
        if self.batch < 2:
            raise DataError(
                f"{recipe.dataset}: {len(self.train_data)} training images are too few for "
                f"{process.world} process(es); each needs two"
            )
        self.steps_per_epoch = len(self.train_data) // (self.batch * process.world)
        self.steps = {plain: self._stepper(plain) for plain in (False, True)}
        self.record = Record(folder)
        self.epoch = 0
        self.history: list[dict[str, Any]] = []

    def go(self, resume: bool) -> dict[str, Any] | None:
        """Train to the last epoch and return the best epoch's description."""
        self._open(resume)
        with closing(self.record), progress_bar(self.process.first) as bar:
            steps = self.recipe.epochs * self.steps_per_epoch
            bar.add_task("", total=steps, completed=self.epoch * self.steps_per_epoch)
            fallen_back = self.recipe.precision == "bfloat16" and self.precision == torch.float32
            if fallen_back and self.process.first:
                bar.console.print("this machine has no bfloat16 arithmetic: training in float32")
            self._epochs(bar)
        self.process.wait()
        if not self.process.first:
            return None
        return checkpoint.load(self.folder / checkpoint.BEST)[1]

    def _epochs(self, bar: Progress) -> None:
        best = max((row["score"] for row in self.history), default=-math.inf)
        for epoch in range(self.epoch, self.recipe.epochs):
            bar.update(_TASK, description=f"epoch {epoch + 1}/{self.recipe.epochs}")
            started = time.monotonic()
            train_loss, train_accuracy = self._train_epoch(epoch, bar)
            confusion, val_loss = self._evaluate(self.average)
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
            self.history.append(row)
            self.epoch = epoch + 1
            if self.process.first:
                # best first: a kill between the two repeats the epoch and writes it again
                if row["score"] > best:
                    weights = self.average.state_dict()
                    checkpoint.save(
                        self.folder / checkpoint.BEST, weights, self._describe(row, confusion)
                    )
                self._save_last()
                self.record.write(self.history)
                self.after_epoch(row)
            best = max(best, row["score"])

    def _train_epoch(self, epoch: int, bar: Progress) -> tuple[float, float]:
        recipe, process, data = self.recipe, self.process, self.train_data
        order = torch.Generator().manual_seed(_seed(recipe.seed, epoch))
        shuffled = torch.randperm(len(data), generator=order).to(process.device)
        torch.manual_seed(_seed(recipe.seed, epoch, process.rank + 1))
        plain = epoch >= recipe.epochs - recipe.augment.plain_epochs
        self.parallel.train()
        for part in self.frozen:
            part.eval()
        totals = torch.zeros(3, device=process.device)
        for step in range(self.steps_per_epoch):
            start = (step * process.world + process.rank) * self.batch
            chosen = shuffled[start : start + self.batch]
            set_lr(self.optimizer, self._lr(epoch * self.steps_per_epoch + step))
            loss, correct = self.steps[plain](chosen)
            self._update_average(epoch * self.steps_per_epoch + step)
            totals += torch.stack([loss * len(chosen), correct, torch.full_like(loss, len(chosen))])
            bar.advance(_TASK)
        loss_sum, correct_sum, count = process.sum(totals).tolist()
        return loss_sum / count, correct_sum / count

    def _stepper(self, plain: bool) -> Step:
        step = partial(self._step, plain=plain)
        # these take values from the host at each step, which a graph cannot
        mixes = self.recipe.augment.mixup and not plain
        from_host = mixes or self.recipe.degrade != Degrade()
        alone_on_gpu = self.process.device.type == "cuda" and self.process.world == 1
        return Replay(step) if alone_on_gpu and not from_host else step

    def _step(self, chosen: Tensor, *, plain: bool) -> tuple[Tensor, Tensor]:
        recipe, data = self.recipe, self.train_data
        labels, targets = data.labels[chosen], [data.targets[chosen], data.votes[chosen]]
        if self.taught is not None:
            targets.append(self.taught[chosen])
        faces = augment(data.faces(chosen), recipe.augment, plain=plain)
        if recipe.augment.mixup and not plain:
            faces, targets = mixup(faces, targets, recipe.augment.mixup)
        taught = None
        if self.teachers:  # they see what the student would see in better conditions
            taught = self._teach(data.normalized(faces)) if self.taught is None else targets[2]
        if recipe.degrade != Degrade():
            faces, hidden = degrade(faces, recipe.degrade)
            # who sees half of a face knows half of what people saw in it
            targets[0] = targets[0].lerp(self.prior, hidden)
            taught = None if taught is None else taught.lerp(self.prior, hidden)
        faces = data.normalized(faces)
        with self._autocast():
            logits, vote_logits = self.parallel(faces)
        loss = self.loss(
            logits.float(),
            targets[0],
            vote_logits=None if vote_logits is None else vote_logits.float(),
            vote_targets=targets[1],
            teacher=taught,
        )
        if recipe.loss.dense_penalty:
            loss = loss + recipe.loss.dense_penalty * dense_penalty(self.network)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.optimizer.clip_norm:
            nn.utils.clip_grad_norm_(self.heads.parameters(), recipe.optimizer.clip_norm)
        self.optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum().float()

    def _teach(self, faces: Tensor) -> Tensor:
        """Return the teachers' probabilities (N, K) of normalised faces."""
        with self._autocast():
            return teacher_probabilities(self.teachers, faces, self.recipe.distill)

    def _autocast(self) -> torch.autocast:
        low = self.precision != torch.float32
        return torch.autocast(self.process.device.type, self.precision, enabled=low)

    @torch.inference_mode()
    def _evaluate(self, network: Network) -> tuple[metrics.Counts, float]:
        """Return the (K, K) counts (rows true) and mean loss over validation, each image once."""
        process, data = self.process, self.val_data
        process.share_from_first(network)
        network.eval()
        k = len(self.labels)
        counts, loss = (torch.zeros(n, device=process.device) for n in (k * k, 1))
        mine = torch.arange(process.rank, len(data), process.world)
        for chosen in torch.split(mine, 256):
            faces = data.normalized(data.faces(chosen.to(process.device)))
            with self._autocast():
                logits = network(faces).float()
            labels = data.labels[chosen.to(process.device)]
            targets = data.targets[chosen.to(process.device)]
            loss += nn.functional.cross_entropy(logits, targets, reduction="sum")
            counts += torch.bincount(labels * k + logits.argmax(1), minlength=k * k)
        counts, loss = process.sum(counts), process.sum(loss)
        confusion = counts.reshape(k, k).long().cpu().numpy()
        return confusion, loss.item() / len(data)

    def _lr(self, step: int) -> float:
        schedule, total = self.recipe.schedule, self.recipe.epochs * self.steps_per_epoch
        warmup = schedule.warmup_epochs / self.recipe.epochs
        return self.recipe.optimizer.lr * lr_factor(schedule, step / total, warmup)

    def _update_average(self, step: int) -> None:
        if not self.recipe.ema:
            return
        decay = min(self.recipe.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.averaged, self.followed, 1 - decay)

    def _describe(self, row: dict[str, Any], confusion: metrics.Counts) -> dict[str, Any]:
        """Return what a user of the weights must know, JSON-ready."""
        return {
            "model": self.recipe.model,
            "model_options": self.recipe.model_options,
            "labels": [str(label) for label in self.labels],
            "input": asdict(self.spec),
            "recipe": self.recipe.to_json(),
            "data": self.fingerprints,
            "val_confusion": confusion.tolist(),
            **{key: value for key, value in row.items() if key not in {"score", "seconds"}},
        }

    def _open(self, resume: bool) -> None:
        """Prepare the run folder, or load the state of the last finished epoch."""
        last = self.folder / checkpoint.LAST
        if last.exists():
            if not resume:
                raise CheckpointError(
                    f"{self.folder} holds a run already; pass --resume to go on, or another folder"
                )
            with checkpoint.fitting(last, "this run"):
                self._load_last(last)
            self._require_best()
            if self.process.first:  # a kill may have come between the checkpoint and these
                self.record.write(self.history)
        elif (self.folder / checkpoint.BEST).exists() and not (resume and self._began_here()):
            raise CheckpointError(
                f"{self.folder} holds weights and nothing to go on from; choose another folder"
            )
        elif self.process.first:
            recipe = json.dumps(self.recipe.to_json(), indent=2)
            write_text(self.folder / "recipe.json", recipe + "\n")
            environment = json.dumps(self._environment(), indent=2)
            write_text(self.folder / "environment.json", environment + "\n")
        self.process.wait()

    def _began_here(self) -> bool:
        """Whether a run of this recipe was killed before its first epoch was whole."""
        try:
            text = (self.folder / "recipe.json").read_text(encoding="utf-8")
            return from_json(json.loads(text), str(self.folder)) == self.recipe
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

    def _save_last(self) -> None:
        tensors = {f"heads.{n}": t for n, t in self.heads.state_dict().items()}
        if self.recipe.ema:
            tensors |= {f"average.{n}": t for n, t in self.average.state_dict().items()}
        state = self.optimizer.state_dict()["state"]
        for i, values in state.items():
            tensors |= {f"optimizer.{i}.{n}": t for n, t in values.items() if isinstance(t, Tensor)}
        description = {
            "epoch": self.epoch,
            "history": self.history,
            "recipe": self.recipe.to_json(),
            "data": self.fingerprints,
            "processes": self.process.world,
        }
        checkpoint.save(self.folder / checkpoint.LAST, tensors, description)

    def _load_last(self, last: Path) -> None:
        tensors, description = checkpoint.load(last)
        # fields that came after the run began have their defaults
        then = from_json(description.get("recipe", {}), str(last))
        pairs = {
            "recipe": (then, self.recipe),
            "data": (description.get("data"), self.fingerprints),
            "processes": (description.get("processes"), self.process.world),
        }
        for what, (theirs, mine) in pairs.items():
            if theirs != mine:
                raise CheckpointError(
                    f"{self.folder} was trained with other {what}; "
                    f"resume with the same {what}, or choose another folder"
                )
        parts: dict[str, dict[str, Tensor]] = {"heads": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self.heads.load_state_dict(parts["heads"])
        if self.recipe.ema:
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
            "precision": str(self.precision),
            "commit": git_commit(),
            "recipe": self.recipe.fingerprint(),
            "data": self.fingerprints,
            "parameters": sum(p.numel() for p in self.network.parameters()),
        }


def _is_perceived(images: ImageSet) -> bool:
    return images.votes is not None and images.votes.shape[1] == len(images.expressions)


def _floating(network: Network) -> list[Tensor]:
    """Return the weights and running statistics."""
    return [t for t in network.state_dict().values() if t.is_floating_point()]


def _seed(*parts: int) -> int:
    """Mix whole numbers into one 63-bit seed."""
    mixed = 0
    for part in parts:
        mixed = (mixed * 1_000_003 + part + 1) % 2**63
    return mixed
