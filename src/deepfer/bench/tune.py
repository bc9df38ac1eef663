"""A search over recipe values, judged on validation alone.

The study lives in ``study.db`` (SQLite), so that a search can be stopped at any moment and goes
on with the same command; the training it stopped in is resumed.
"""

import itertools
import json
import math
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError

from deepfer.bench.page import png
from deepfer.data.protocols import find_protocol
from deepfer.errors import CheckpointError, DivergedError, RecipeError
from deepfer.files import claimed, csv_text, git_commit, write_bytes, write_text
from deepfer.training.build import training_sets
from deepfer.training.loop import train
from deepfer.training.recipe import Recipe, load_recipe, read_toml

_RANGE = re.compile(r"(?P<low>\S+?)\.\.(?P<high>\S+?)(?P<log>\s+log)?")
_STUDY = "tune"


@dataclass(frozen=True)
class Search:
    """What a search tries.

    Attributes:
        recipe: A shipped recipe's name or a TOML file.
        overrides: Fixed changes of it, as with ``--set``.
        space: Recipe values to search, by dotted name; see `parse_space`.
        repeats: Trainings per trial; their mean decides. Each has its own seed and split seed
            and, where the protocol has folds, its own fold.
    """

    recipe: str
    overrides: tuple[str, ...]
    space: dict[str, BaseDistribution]
    repeats: int = 1

    def recipes(self, values: dict[str, Any]) -> list[Recipe]:
        """Return the recipes of one trial."""
        changes = [*self.overrides, *(f"{key}={json.dumps(v)}" for key, v in values.items())]
        base = load_recipe(self.recipe, changes)
        folds = find_protocol(base.dataset, base.protocol).folds if base.protocol else 1
        return [
            load_recipe(
                self.recipe,
                (
                    *changes,
                    f"seed={base.seed + i}",
                    f"split_seed={base.split_seed + i}",
                    f"fold={(base.fold + i) % folds}",
                ),
            )
            for i in range(self.repeats)
        ]

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """All combinations, where the space holds choices alone; else nothing."""
        choices = [d.choices for d in self.space.values() if isinstance(d, CategoricalDistribution)]
        if len(choices) < len(self.space):
            return []
        return [dict(zip(self.space, v, strict=True)) for v in itertools.product(*choices)]

    def identity(self) -> str:
        """Return a text that changes with anything that decides the search but its length."""
        space = {key: repr(distribution) for key, distribution in self.space.items()}
        return json.dumps([self.recipes({})[0].to_json(), space, self.repeats], sort_keys=True)


def parse_space(texts: Sequence[str]) -> dict[str, BaseDistribution]:
    """Read a search space.

    Args:
        texts: ``KEY=LOW..HIGH`` (whole numbers where both are), ``KEY=LOW..HIGH log`` or
            ``KEY=[A, B, ...]``.

    Raises:
        RecipeError: Lists every text that is none of these.
    """
    space: dict[str, BaseDistribution] = {}
    problems = [] if texts else ["give at least one --search"]
    for text in texts:
        key, _, values = text.partition("=")
        try:
            distribution = _distribution(values.strip())
        except (ValueError, KeyError, TypeError):
            problems.append(
                f"{text!r}: expected KEY=LOW..HIGH, KEY=LOW..HIGH log (from above 0) or KEY=[A, B]"
            )
            continue
        if key.strip() in space:
            problems.append(f"{key.strip()} is given twice")
        space[key.strip()] = distribution
    if problems:
        raise RecipeError("the search space is not clear", *problems)
    return space


def tune(
    search: Search,
    *,
    trials: int,
    root: Path | None,
    out: Path,
    announce: Callable[[str], None] = lambda line: None,
) -> str:
    """Search until the study holds `trials` finished trials; write its table and picture.

    A space of choices alone is tried in full, each combination once, whatever `trials` says;
    otherwise Optuna's TPE sampler chooses. A trial below the median of the others at the same
    epoch is pruned.

    Returns:
        The best values, as one line.

    Raises:
        CheckpointError: `out` holds another search.
        RecipeError: A value of the space does not fit the recipe.
        InputError: Another program is searching in the folder.
    """
    for key, distribution in search.space.items():
        for value in _extremes(distribution):
            search.recipes({key: value})
    with claimed(out):
        return _tune(search, len(search.combinations) or trials, root, out, announce)


def _tune(
    search: Search, trials: int, root: Path | None, out: Path, announce: Callable[[str], None]
) -> str:
    study = _open(search, out)

    def objective(trial: optuna.Trial) -> float:
        values = {key: _suggest(trial, key, d) for key, d in search.space.items()}
        return _mean_accuracy(search.recipes(values), trial, root=root, runs=out / "runs")

    def after(study: optuna.Study, trial: FrozenTrial) -> None:
        for recipe in search.recipes(trial.params):  # others may have been interrupted
            shutil.rmtree(out / "runs" / recipe.fingerprint(), ignore_errors=True)
        pruned = trial.state == TrialState.PRUNED or trial.value is None
        value = "pruned" if pruned else f"{trial.value:.2%}"
        announce(f"trial {len(_finished(study))} of {trials}: {_values(trial)}: {value}")
        _write(study, search, out)

    left = trials - len(_finished(study))
    if left > 0:
        study.optimize(objective, n_trials=left, callbacks=[after])
    _write(study, search, out)
    best = study.best_trial
    return f"best of {len(_finished(study))} trials: {_values(best)}: {best.value:.2%}"


def _mean_accuracy(
    recipes: list[Recipe], trial: optuna.Trial, *, root: Path | None, runs: Path
) -> float:
    """Train all of a trial's recipes and return their mean validation accuracy."""
    found: list[float] = []
    for i, recipe in enumerate(recipes):

        def report(row: dict[str, Any], i: int = i, epochs: int = recipe.epochs) -> None:
            # the pruner itself looks at the best of a trial's reports
            mean = float(np.mean([*found, row["val_accuracy"]]))
            trial.report(mean, i * epochs + row["epoch"])
            if trial.should_prune():
                raise optuna.TrialPruned

        folder = runs / recipe.fingerprint()
        try:
            sides = training_sets(recipe, root)
            run = train(recipe, *sides, run=folder, resume=True, after_epoch=report)
        except DivergedError as error:
            raise optuna.TrialPruned(str(error)) from None
        assert run is not None  # noqa: S101  a search is one process
        found.append(run.figures["val_accuracy"])
    return float(np.mean(found))


def _open(search: Search, out: Path) -> optuna.Study:
    """Make or load the study, and queue what is to be tried or was interrupted."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it shows an interruption as a failure
    database = (out / "study.db").resolve()
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
        study = optuna.create_study(
            storage=storage, study_name=_STUDY, direction="maximize", load_if_exists=True
        )
    except DatabaseError as error:
        raise CheckpointError(
            f"{database}: damaged, or no study ({error.orig}); move it away to begin anew"
        ) from None
    if study.user_attrs.setdefault("search", search.identity()) != search.identity():
        raise CheckpointError(f"{out} holds another search; move it away or name another --out")
    study.set_user_attr("search", search.identity())
    # seeded, but after a stop not with the numbers that were drawn before it
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3)
    settled = [_asked(t) for t in study.trials if t.state != TrialState.FAIL]
    wanted = search.combinations
    for trial in study.trials:
        if trial.state == TrialState.RUNNING:
            settled.remove(_asked(trial))
            study.tell(trial.number, state=TrialState.FAIL)
        if not search.combinations and trial.state in {TrialState.RUNNING, TrialState.FAIL}:
            wanted.append(_asked(trial))
    for values in wanted:
        if values not in settled:
            settled.append(values)
            study.enqueue_trial(values)
    return study


def _suggest(trial: optuna.Trial, key: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(key, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(key, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)  # noqa: S101  parse_space makes no others
    return trial.suggest_float(key, distribution.low, distribution.high, log=distribution.log)


def _distribution(text: str) -> BaseDistribution:
    """Read one value of a space; ValueError, KeyError or TypeError where it is not clear."""
    if text.startswith("["):
        choices = read_toml(f"values = {text}")["values"]
        json.dumps(choices)  # TypeError for dates, which no recipe holds
        return CategoricalDistribution(choices)
    if match := _RANGE.fullmatch(text):
        log = match["log"] is not None
        try:
            return IntDistribution(int(match["low"]), int(match["high"]), log=log)
        except ValueError:
            low, high = float(match["low"]), float(match["high"])
            if math.isfinite(high - low):
                return FloatDistribution(low, high, log=log)
    raise ValueError(text)


def _extremes(distribution: BaseDistribution) -> Sequence[Any]:
    """Return the values that must fit the recipe for all others to fit."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)  # noqa: S101
    return distribution.low, distribution.high


def _asked(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's values, also where it was queued and has not begun."""
    return trial.params or trial.system_attrs.get("fixed_params", {})


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{key}={_short(value)}" for key, value in trial.params.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _write(study: optuna.Study, search: Search, out: Path) -> None:
    """Write ``trials.csv``, ``search.json`` and ``search.png``."""
    trials = _finished(study)
    lines = [
        [t.number, *t.params.values(), t.state.name.lower(), "" if t.value is None else t.value]
        for t in trials
    ]
    header = ["trial", *search.space, "state", "val_accuracy"]
    write_text(out / "trials.csv", csv_text([header, *lines]))
    about = {
        "recipe": search.recipes({})[0].to_json(),
        "space": {key: repr(d) for key, d in search.space.items()},
        "repeats": search.repeats,
        "commit": git_commit(),
        "best": study.best_trial.params if any(t.value is not None for t in trials) else None,
    }
    write_text(out / "search.json", json.dumps(about, indent=2) + "\n")
    write_bytes(out / "search.png", _picture(search, trials))


def _picture(search: Search, trials: Sequence[FrozenTrial]) -> bytes:
    """Draw validation accuracy over each searched value; crosses are pruned trials."""
    figure = Figure(figsize=(4.6 * len(search.space), 3.6), layout="constrained")
    panels = figure.subplots(1, len(search.space), squeeze=False, sharey=True)[0]
    for axes, (key, distribution) in zip(panels, search.space.items(), strict=True):
        choices = isinstance(distribution, CategoricalDistribution)
        if getattr(distribution, "log", False):
            axes.set_xscale("log")
        for state, mark, color in (
            (TrialState.COMPLETE, "o", "#0072B2"),
            (TrialState.PRUNED, "x", "#D55E00"),
        ):
            own = [t for t in trials if t.state == state]
            x = [_short(t.params[key]) if choices else t.params[key] for t in own]
            y = [100 * (t.value or 0.0) for t in own]
            if own:
                axes.scatter(x, y, marker=mark, color=color, label=state.name.lower())
        axes.set_xlabel(key)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("validation accuracy (%)")
    panels[0].legend(frameon=False)
    return png(figure)
