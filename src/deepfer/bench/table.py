"""What a table holds: its rows, as TOML files beside this one say."""

import json
from dataclasses import field
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deepfer.data.protocols import Protocol, find_protocol
from deepfer.errors import RecipeError, UnknownNameError
from deepfer.training.recipe import Recipe, load_recipe, read_toml

_STRICT = ConfigDict(extra="forbid", strict=True)
_FOLDER = resources.files(__package__) / "tables"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Row:
    """One row: a method on a protocol."""

    method: str  # what the table calls it
    protocol: str
    recipe: str = ""  # a shipped recipe's name or a TOML file
    weights: str = ""  # instead of a recipe: a trained run, measured as it is
    # what answers, of weights: they themselves; they, as if all classes were equally frequent; or
    # a logistic regression on their last feature map, fitted on train
    answer: Literal["own", "equal", "probe"] = "own"
    floor: str = ""  # instead of a recipe: a constant-feature method, see floors.py
    set: list[str] = field(default_factory=list)  # changes of the recipe, as with --set
    seeds: Annotated[int, Field(ge=1)] = 1
    published: float | None = None  # accuracy in percent
    against: str = ""  # the method, on the same protocol, from which its difference is told
    note: str = ""

    @property
    def slug(self) -> str:
        """A file name for the row."""
        words = f"{self.protocol} {self.method}".lower()
        return "-".join("".join(c if c.isalnum() else " " for c in words).split())


@dataclass(frozen=True)
class Cell:
    """One training of a row."""

    row: Row
    seed: int
    fold: int

    def folder(self, results: Path) -> Path:
        """Return where the cell's run and result are kept."""
        return results / "cells" / self.row.slug / f"seed{self.seed}-fold{self.fold}"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Table:
    """One table: rows on the protocols of one data set."""

    name: str
    title: str
    dataset: str
    rows: Annotated[list[Row], Field(min_length=1)]

    def protocol(self, row: Row) -> Protocol:
        """Return a row's protocol."""
        return find_protocol(self.dataset, row.protocol)

    def others(self, row: Row) -> list[Row]:
        """Return the row that a row is told against, if any."""
        named = (row.protocol, row.against)
        return [other for other in self.rows if (other.protocol, other.method) == named]

    def cells(self, row: Row) -> list[Cell]:
        """Return the trainings of a row."""
        folds = range(self.protocol(row).folds)
        return [Cell(row, seed, fold) for seed in range(row.seeds) for fold in folds]

    def recipe(self, row: Row, seed: int, fold: int) -> Recipe:
        """Return the recipe of one training of a row."""
        own = (
            f'dataset="{self.dataset}"',
            f'protocol="{row.protocol}"',
            f"fold={fold}",
            f"seed={seed}",
            f"split_seed={seed}",
        )
        return load_recipe(row.recipe, (*row.set, *own))


def list_tables() -> tuple[str, ...]:
    """Return the names of the shipped tables."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml")))


def load_table(name: str) -> Table:
    """Read a table: a shipped one's name, or a TOML file.

    Raises:
        UnknownNameError: There is no such table.
        RecipeError: The file cannot be read, or lists every mistake.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read table {name}: {error}") from None
    elif name in list_tables():
        text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise UnknownNameError("table", name, list_tables())
    try:
        content = {"name": Path(name).stem, **read_toml(text)}
        # strict mode takes nested tables only from JSON
        table = TypeAdapter(Table).validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise RecipeError(f"{name}: {len(problems)} problem(s)", *problems) from None
    except ValueError as error:
        raise RecipeError(f"{name}: not TOML: {error}") from None
    slugs = [row.slug for row in table.rows]
    for row in table.rows:
        table.protocol(row)
        if sum(map(bool, (row.recipe, row.weights, row.floor))) != 1:
            raise RecipeError(f"{name}: {row.method}: give one of recipe, weights and floor")
        if row.answer != "own" and not row.weights:
            raise RecipeError(f"{name}: {row.method}: answer goes with weights only")
        if slugs.count(row.slug) > 1:
            raise RecipeError(f"{name}: {row.method}: two rows have this method and protocol")
        if row.against and not table.others(row):
            raise RecipeError(f"{name}: {row.method}: no row {row.against!r} on {row.protocol}")
        if row.recipe:
            table.recipe(row, seed=0, fold=0)
    return table
