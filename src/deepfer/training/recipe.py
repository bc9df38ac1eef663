"""A recipe decides a training run: TOML in, frozen dataclasses out, all mistakes at once."""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deepfer.data import dataset_options, list_datasets
from deepfer.data.protocols import list_protocols
from deepfer.errors import RecipeError, UnknownNameError
from deepfer.models import list_models, model_options
from deepfer.recipes import list_recipes, recipe_text
from deepfer.training.objectives import list_objectives, objective_options

_STRICT = ConfigDict(extra="forbid", strict=True)

Share = Annotated[float, Field(ge=0, le=1)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
NotNegative = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Source = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Optimizer:
    """The optimiser and its constants."""

    name: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Positive = 1e-3
    momentum: Share = 0.9  # sgd only, Nesterov
    betas: tuple[Below1, Below1] = (0.9, 0.999)  # adam and adamw only
    eps: Positive = 1e-8  # adam and adamw only
    weight_decay: NotNegative = 0.0
    decay_all: bool = False  # also on biases and batch norm, as torch does by default
    clip_norm: NotNegative = 0.0  # 0: gradients are not clipped


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Schedule:
    """How the learning rate moves over the run, step by step."""

    name: Literal["constant", "cosine", "one_cycle"] = "constant"
    warmup_epochs: NotNegative = 0.0  # linear rise from zero; one_cycle rises over 30 % if 0
    final: Share = 0.0  # last learning rate as a share of the highest


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Loss:
    """Cross-entropy and what is added to it."""

    label_smoothing: Share = 0.0
    dense_penalty: NotNegative = 0.0  # the published λ on the squared dense weights
    class_weights: bool = False  # inverse frequency, mean 1, computed from the training split
    logit_adjustment: NotNegative = 0.0  # τ of Menon et al. 2021, training only
    votes: NotNegative = 0.0  # weight of the second head, FER+ vote shares as soft targets
    perceived: bool = False  # the votes, one column per label, are what the network learns


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Augment:
    """Random changes of whole batches, in training only."""

    flip: bool = False
    rotate: NotNegative = 0.0  # degrees to either side
    scale: Share = 0.0  # share to either side
    shift: Share = 0.0  # share of the width to either side
    shear: NotNegative = 0.0  # degrees to either side
    brightness: Share = 0.0  # share of the full range to either side
    contrast: Share = 0.0  # share to either side
    noise: Share = 0.0  # largest standard deviation, share of the full range
    erase: Share = 0.0  # share of the images that lose a rectangle
    mixup: NotNegative = 0.0  # α of the Beta distribution; 0: off
    plain_epochs: Count = 0  # last epochs without erasing and mixup


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Degrade:
    """Which share of the faces each change of degrade.py meets, in training only."""

    light: Share = 0.0  # gamma, exposure, light from a side, fog
    cover: Share = 0.0  # mask, sunglasses, hand, hair
    blur: Share = 0.0  # out of focus
    motion: Share = 0.0
    size: Share = 0.0  # originals of 12 to 48 pixels
    noise: Share = 0.0
    jpeg: Share = 0.0


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Distill:
    """Learn from the averaged probabilities of trained networks."""

    teachers: tuple[Source, ...] = ()  # run folders or checkpoints
    weight: Share = 0.0  # share of the loss; the rest is cross-entropy
    temperature: Positive = 1.0
    mirror: bool = False  # teachers also see the mirrored faces
    plain: bool = False  # teachers see each face once, unchanged, instead of every augmented batch


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Saliency:
    """Show the network faces weighted by where a first one looked; see saliency.py."""

    variant: Literal["none", "mean", "box", "soft", "hard"] = "none"
    keep: Share = 0.25  # what is left of the contrast where the map is lowest
    patch: Annotated[int, Field(ge=1)] = 16  # of the occlusion, in pixels
    stride: Annotated[int, Field(ge=1)] = 8


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Recipe:
    """Everything that decides a training run's result."""

    model: str
    dataset: str
    model_options: dict[str, Any] = field(default_factory=dict)
    dataset_options: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""  # see `deepfer data protocols`; the data set's own splits by default
    fold: Count = 0
    split_seed: Seed = 0  # decides what the protocol draws
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share held out where none is defined
    init: str = ""  # run folder or checkpoint whose weights to start from
    # parts of the network, by their names in it:
    freeze: tuple[str, ...] = ()  # keep the weights of init
    reset: tuple[str, ...] = ()  # start anew in spite of init
    seed: Seed = 0
    epochs: Annotated[int, Field(ge=1)] = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    # bfloat16 only where the hardware computes in it; auto does not say where it falls back
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    objective: str = "expressions"  # what is learnt; see training/objectives
    objective_options: dict[str, Any] = field(default_factory=dict)
    standardize: bool = False  # each face to mean 0 and deviation 1, instead of fixed constants
    ema: Below1 = 0.0  # decay of averaged weights; 0: off
    select: Literal["accuracy", "last"] = "accuracy"  # which epoch is kept as best, on val
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)
    augment: Augment = field(default_factory=Augment)
    degrade: Degrade = field(default_factory=Degrade)
    distill: Distill = field(default_factory=Distill)
    saliency: Saliency = field(default_factory=Saliency)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready values; `from_json` reads it back."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    def fingerprint(self) -> str:
        """Return 12 hexadecimal digits that change with any value that is not the default.

        So a recipe keeps its fingerprint when later versions can do more.
        """
        plain = Recipe(model=self.model, dataset=self.dataset)
        text = json.dumps(_changes(self.to_json(), plain.to_json()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _changes(values: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """Return what differs from the defaults; model and data set always count."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        before = plain.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            value = _changes(value, before)
            if value:
                found[key] = value
        elif value != before or key in {"model", "dataset"}:
            found[key] = value
    return found


def from_json(content: Any, source: str) -> Recipe:
    """Validate a recipe given as plain values.

    Raises:
        RecipeError: Lists every problem, one per line, each with its dotted name.
    """
    problems = _name_problems(content) if isinstance(content, dict) else []
    recipe = None
    try:
        # Strict mode takes tuples only from JSON, and TOML maps to JSON one to one.
        recipe = TypeAdapter(Recipe).validate_json(json.dumps(content, default=str))
    except (RecursionError, OverflowError) as error:
        problems.append(f"nested too deeply, or a number too large ({error})")
    except ValidationError as error:
        problems += mistakes(error)
    if recipe is None or problems:
        raise _problems(source, problems)
    return recipe


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name: A TOML file, or the name of a shipped recipe (see `list_recipes`).
        overrides: ``key=value`` strings, dotted keys, values as in TOML (bare words are text).

    Raises:
        UnknownNameError: `name` is neither a file nor a shipped recipe.
        RecipeError: The file is no TOML, an override has no ``=``, or values are wrong.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read recipe {name}: {error}") from None
    elif name in list_recipes():
        text = recipe_text(name)
    else:
        raise UnknownNameError("recipe", name, list_recipes())
    try:
        content = read_toml(text)
    except ValueError as error:
        raise RecipeError(f"{name}: not TOML: {error}") from None
    mistakes = [problem for override in overrides if (problem := _apply(content, override))]
    if mistakes:
        raise _problems(name, mistakes)
    return from_json(content, name)


def read_toml(text: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        ValueError: It is not TOML, holds numbers of thousands of digits, or is nested too deeply.
    """
    try:
        content = tomllib.loads(text)
        json.dumps(content, default=str)  # what comes next, and goes as deep
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return content


def mistakes(error: ValidationError) -> list[str]:
    """Return what pydantic says of each wrong value, after its dotted name."""
    return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]


def _problems(source: str, problems: list[str]) -> RecipeError:
    return RecipeError(f"{source}: {len(problems)} problem(s)", *problems)


def _name_problems(content: dict[str, Any]) -> list[str]:
    """Look up the names that a recipe refers to."""
    problems = []
    for key, names, options_of in (
        ("model", list_models(), model_options),
        ("dataset", list_datasets(), dataset_options),
        ("objective", list_objectives(), objective_options),
    ):
        usual = "expressions" if key == "objective" else None
        name, options = content.get(key, usual), content.get(f"{key}_options", {})
        if not isinstance(name, str):
            continue  # the schema says so
        if name not in names:
            problems.append(f"{key}: unknown name {name!r}; known: {', '.join(names)}")
        elif isinstance(options, dict):
            known = options_of(name)
            problems += [
                f"{key}_options.{option}: unknown option; known: {', '.join(known) or 'none'}"
                for option in options
                if option not in known
            ]
    problems += [
        f"{key}: says what becomes of the weights of init, which is not set"
        for key in ("freeze", "reset")
        if content.get(key) and not content.get("init")
    ]
    problems += [
        f"freeze: {frozen!r} would stay random, since reset names {anew!r}"
        for frozen in _texts(content.get("freeze"))
        for anew in _texts(content.get("reset"))
        if f"{frozen}.".startswith(f"{anew}.") or f"{anew}.".startswith(f"{frozen}.")
    ]
    distill, saliency = (
        t if isinstance(t := content.get(key), dict) else {} for key in ("distill", "saliency")
    )
    if bool(distill.get("teachers")) != bool(distill.get("weight")):
        problems.append("distill: needs both teachers and a weight above 0, or neither")
    patch, stride = saliency.get("patch", 16), saliency.get("stride", 8)
    if isinstance(patch, int) and isinstance(stride, int) and stride > patch:
        problems.append(f"saliency.stride: {stride} is more than the patch of {patch} pixels")
    dataset, protocol = content.get("dataset"), content.get("protocol")
    protocols = [p.name for p in list_protocols(dataset)] if isinstance(dataset, str) else []
    if protocol and protocol not in protocols:
        has = ", ".join(protocols) or "none"
        problems.append(f"protocol: {dataset} has {has}, not {protocol!r}")
    return problems


_SHOWN = 80  # characters of an override in a message


def _texts(value: object) -> list[str]:
    """Return the texts in what should be a list of them; the schema complains about others."""
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _apply(content: dict[str, Any], override: str) -> str | None:
    """Set one value; return what is wrong with the override, if anything."""
    key, equals, text = override.partition("=")
    shown = override if len(override) <= _SHOWN else f"{override[:_SHOWN]}..."
    if not equals or not key:
        return f"--set {shown!r}: expected key=value, such as optimizer.lr=0.001"
    try:
        value = read_toml(f"value = {text}")["value"]
    except ValueError:
        value = text
    *tables, last = key.split(".")
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            return f"--set {shown!r}: {table!r} is a value, not a table"
    content[last] = value
    return None
