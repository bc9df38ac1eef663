"""What a table holds: methods on the protocols of one data set, as the TOML files here say."""

import json
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deepfer.data.protocols import Protocol, find_protocol
from deepfer.errors import RecipeError, UnknownNameError
from deepfer.methods import create_method
from deepfer.methods.base import Division, Method
from deepfer.training.recipe import mistakes, read_toml

_STRICT = ConfigDict(extra="forbid", strict=True)
_FOLDER = resources.files(__package__) / "tables"

Seeds = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class On:
    """What is particular to a method on one protocol; what is not given is as for the others."""

    published: float | None = None  # accuracy in percent
    seeds: Seeds | None = None
    against: str | None = None
    note: str | None = None
    options: dict[str, Any] = field(default_factory=dict)  # beside and instead of the method's


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Entry:
    """One method and the protocols it is measured on."""

    title: str  # what the table calls it
    method: str = "network"  # see `deepfer methods`
    options: dict[str, Any] = field(default_factory=dict)
    seeds: Seeds = 1
    against: str = ""  # the title, on the same protocol, from which its difference is told
    note: str = ""
    on: Annotated[dict[str, On], Field(min_length=1)]  # by protocol


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Content:
    """What a table's file says."""

    title: str
    dataset: str
    name: str = ""
    methods: Annotated[list[Entry], Field(min_length=1)]


@plain_dataclass(frozen=True, kw_only=True)
class Row:
    """One row: a method on a protocol."""

    title: str
    protocol: str
    method: Method
    seeds: int = 1
    published: float | None = None
    against: str = ""
    note: str = ""

    @property
    def slug(self) -> str:
        """A file name for the row."""
        words = f"{self.protocol} {self.title}".lower()
        return "-".join("".join(c if c.isalnum() else " " for c in words).split())


@plain_dataclass(frozen=True)
class Cell:
    """One row with one seed on one fold."""

    row: Row
    seed: int
    fold: int

    def folder(self, results: Path) -> Path:
        """Return where the cell's run and result are kept."""
        return results / "cells" / self.row.slug / f"seed{self.seed}-fold{self.fold}"

    def division(self, dataset: str) -> Division:
        """Return what the cell's method is asked about."""
        return Division(dataset, self.row.protocol, self.seed, self.fold)


@plain_dataclass(frozen=True, kw_only=True)
class Table:
    """One table: rows on the protocols of one data set, protocol by protocol."""

    name: str
    title: str
    dataset: str
    rows: list[Row]

    def protocol(self, row: Row) -> Protocol:
        """Return a row's protocol."""
        return find_protocol(self.dataset, row.protocol)

    def others(self, row: Row) -> list[Row]:
        """Return the row that a row is told against, if any."""
        named = (row.protocol, row.against)
        return [other for other in self.rows if (other.protocol, other.title) == named]

    def cells(self, row: Row) -> list[Cell]:
        """Return the cells of a row."""
        folds = range(self.protocol(row).folds)
        return [Cell(row, seed, fold) for seed in range(row.seeds) for fold in folds]


def list_tables() -> tuple[str, ...]:
    """Return the names of the shipped tables."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml")))


def load_table(name: str) -> Table:
    """Read a table: a shipped one's name, or a TOML file.

    Raises:
        UnknownNameError: There is no such table, data set, protocol or method.
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
        # strict mode takes nested tables only from JSON
        found = json.dumps(read_toml(text), default=str)
        content = TypeAdapter(Content).validate_json(found)
    except ValidationError as error:
        problems = mistakes(error)
        raise RecipeError(f"{name}: {len(problems)} problem(s)", *problems) from None
    except ValueError as error:
        raise RecipeError(f"{name}: not TOML: {error}") from None
    table = Table(
        name=content.name or Path(name).stem,
        title=content.title,
        dataset=content.dataset,
        rows=_rows(content, name),
    )
    slugs = [row.slug for row in table.rows]
    for row in table.rows:
        if slugs.count(row.slug) > 1:
            raise RecipeError(f"{name}: {row.title}: two rows have this title and protocol")
        if row.against and not table.others(row):
            raise RecipeError(f"{name}: {row.title}: no row {row.against!r} on {row.protocol}")
    return table


def _rows(content: Content, source: str) -> list[Row]:
    """Return the rows, protocol by protocol, each protocol's in the order of the methods."""
    rows = []
    for protocol in dict.fromkeys(name for entry in content.methods for name in entry.on):
        find_protocol(content.dataset, protocol)
        for entry in content.methods:
            if (on := entry.on.get(protocol)) is None:
                continue
            where = f"{source}: {entry.title} on {protocol}"
            method = create_method(entry.method, {**entry.options, **on.options}, where)
            rows.append(
                Row(
                    title=entry.title,
                    protocol=protocol,
                    method=method,
                    seeds=entry.seeds if on.seeds is None else on.seeds,
                    published=on.published,
                    against=entry.against if on.against is None else on.against,
                    note=entry.note if on.note is None else on.note,
                )
            )
    return rows
