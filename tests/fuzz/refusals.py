"""What may come of an input beside an answer: an error in one line."""

from collections.abc import Callable, Iterable

from deepfer.errors import DeepferError, RecipeError

_LONGEST = 10_000  # characters


def is_line(error: DeepferError) -> bool:
    """Whether an error's message is one line, or a recipe's list of them, of bearable length."""
    lines = str(error).split("\n")
    return (len(lines) == 1 or isinstance(error, RecipeError)) and len(
        max(lines, key=len)
    ) < _LONGEST


def each(readings: Iterable[Callable[..., object]], *arguments: object) -> None:
    """Read an input in several ways, whichever of them refuse it."""
    for reading in readings:
        try:
            reading(*arguments)
        except DeepferError as error:
            if not is_line(error):
                raise
