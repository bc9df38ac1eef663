"""Recipes, as files and as changes on the command line."""

from functools import cache
from pathlib import Path

import deepfer.bench
from deepfer.bench.table import load_table
from deepfer.bench.tune import parse_space
from deepfer.data import open_dataset
from deepfer.recipes import list_recipes, recipe_text
from deepfer.training.recipe import load_recipe

from .refusals import each

WORDS = (
    *(b"[optimizer]", b"[[a]]", b"model_options", b"dataset_options", b"distill", b"teachers"),
    *(b"1979-05-27T07:32:00Z", b'"""', b"{ a = 1 }", b"..", b" log", b"inf", b"true"),
)
_OVERRIDES = (
    *(b"optimizer.lr=0.01", b"model_options.widths=[4,4]", b"loss={dense_penalty=1}", b"a.b.c=d"),
    *(b"loss.dense_penalty=1e-6..1e-1 log", b"batch_size=16..64", b"model=[deepfer, deep_emotion]"),
)


_TABLES = Path(deepfer.bench.__file__).parent / "tables"


@cache
def seeds() -> list[bytes]:
    recipes = (recipe_text(name).encode() for name in list_recipes())
    return [*recipes, *(path.read_bytes() for path in sorted(_TABLES.iterdir())), *_OVERRIDES]


def run(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")  # as arguments come
    each((_recipe, _table, _override, _space), data, text)


def _recipe(data: bytes, text: str) -> None:
    path = Path("r.toml")
    path.write_bytes(data)
    recipe = load_recipe(str(path))
    recipe.to_json()
    recipe.fingerprint()
    if recipe.dataset == "drawn":
        open_dataset(recipe.dataset, None, **recipe.dataset_options)


def _table(data: bytes, text: str) -> None:
    path = Path("t.toml")
    path.write_bytes(data)
    load_table(str(path))


def _override(data: bytes, text: str) -> None:
    load_recipe("drawn_deepfer_fast", [text]).fingerprint()


def _space(data: bytes, text: str) -> None:
    parse_space([text])
