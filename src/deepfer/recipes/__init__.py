"""The shipped recipes: TOML files, one per training that deepfer stands for."""

from importlib import resources

_FOLDER = resources.files(__name__)


def list_recipes() -> tuple[str, ...]:
    """Return the names of the shipped recipes."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml")))


def recipe_text(name: str) -> str:
    """Return a shipped recipe's TOML."""
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
