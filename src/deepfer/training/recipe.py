"""A recipe decides a training run: TOML in, frozen dataclasses out, all mistakes at once."""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deepfer.errors import RecipeError, UnknownNameError

_STRICT = ConfigDict(extra="forbid", strict=True)

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Optimizer:
    """The optimiser and its constants."""

    name: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Positive = 1e-3
    momentum: Share = 0.9  # sgd only, Nesterov
    betas: tuple[Share, Share] = (0.9, 0.999)  # adam and adamw only
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
class Distill:
    """Learn from the averaged probabilities of trained networks on the same augmented batch."""

    teachers: tuple[str, ...] = ()  # run folders or checkpoints
    weight: Share = 0.0  # share of the loss; the rest is cross-entropy
    temperature: Positive = 1.0
    mirror: bool = False  # teachers also see the mirrored batch


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Recipe:
    """Everything that decides a training run's result."""

    model: str
    dataset: str
    model_options: dict[str, Any] = field(default_factory=dict)
    dataset_options: dict[str, Any] = field(default_factory=dict)
    init: str = ""  # run folder or checkpoint whose weights to start from
    seed: int = 0
    epochs: Annotated[int, Field(ge=1)] = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0  # decay of averaged weights; 0: off
    select: Literal["accuracy", "last"] = "accuracy"  # which epoch is kept as best, on val
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)
    augment: Augment = field(default_factory=Augment)
    distill: Distill = field(default_factory=Distill)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready values; `from_json` reads it back."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    def fingerprint(self) -> str:
        """Return 12 hexadecimal digits that change with any value."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def from_json(content: dict[str, Any], source: str) -> Recipe:
    """Validate a recipe given as plain values.

    Raises:
        RecipeError: Lists every problem, one per line, each with its dotted name.
    """
    try:
        # Strict mode takes tuples only from JSON, and TOML maps to JSON one to one.
        return TypeAdapter(Recipe).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        problems = [
            f"  {'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors()
        ]
        raise RecipeError("\n".join([f"{source}: {len(problems)} problem(s)", *problems])) from None


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name: A TOML file, or the name of a shipped recipe (see `list_recipes`).
        overrides: ``key=value`` strings, dotted keys, values as in TOML (bare words are text).

    Raises:
        UnknownNameError: `name` is neither a file nor a shipped recipe.
        RecipeError: The file is no TOML, an override has no ``=``, or values are wrong.
    """
    path = Path(name)
    if path.suffix == ".toml":
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read recipe {name}: {error}") from None
    elif name in list_recipes():
        text = (resources.files("deepfer") / "recipes" / f"{name}.toml").read_text("utf-8")
    else:
        raise UnknownNameError("recipe", name, list_recipes())
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name}: not TOML: {error}") from None
    for override in overrides:
        _apply(content, override)
    return from_json(content, name)


def list_recipes() -> tuple[str, ...]:
    """Return the names of the shipped recipes."""
    folder = resources.files("deepfer") / "recipes"
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml")))


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override!r}: expected key=value, such as optimizer.lr=0.001")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *tables, last = key.split(".")
    for table in tables:
        content = content.setdefault(table, {})
        if not isinstance(content, dict):
            raise RecipeError(f"--set {override!r}: {table!r} is a value, not a table")
    content[last] = value
