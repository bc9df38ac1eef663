"""Every failure that a user can cause, as one small family.

    DeepferError
    ├── InputError          a photo, folder or option that cannot be used
    ├── DataError           a data set that is missing, damaged or mislabelled
    ├── ModelFileError      a model file that is missing, damaged or incompatible
    ├── RecipeError         a training recipe with mistakes; lists all of them
    ├── DivergedError       a training whose loss is no longer a number
    ├── CheckpointError     a run folder that cannot be resumed or exported
    ├── UnknownNameError    a model, data set or recipe name that is not in the table
    ├── PackageError        what another package adds cannot be used
    └── MissingExtraError   an optional part of the package is not installed

Messages are one line (a recipe's list aside): what was asked, what was found, what to do next.
"""

_LONGEST = 6000  # characters of a line: paths may have 4096
_END = 500  # of them that say what to do next, and stay


class DeepferError(Exception):
    """Base class: catching it catches every failure that a user can cause.

    Args:
        message: Kept on one line of bearable length, whatever file names, arguments and other
            libraries' words it holds.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_on_one_line(message))


class InputError(DeepferError):
    """A photo, folder or option cannot be used."""


class DataError(DeepferError):
    """A data set is missing, damaged or mislabelled."""


class ModelFileError(DeepferError):
    """A model file is missing, damaged or incompatible."""


class RecipeError(DeepferError):
    """A recipe has mistakes; the message lists all of them, one per line.

    Args:
        message: What is wrong.
        mistakes: Each of several.
    """

    def __init__(self, message: str, *mistakes: str) -> None:
        super().__init__(message)
        self.args = (message, *mistakes)

    def __str__(self) -> str:
        return "\n  ".join(map(_on_one_line, self.args))


class DivergedError(DeepferError):
    """A training's loss is no longer a number."""


class CheckpointError(DeepferError):
    """A run folder cannot be resumed or exported."""


class UnknownNameError(DeepferError):
    """A name is not in the table it was looked up in."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(known)}")


class PackageError(DeepferError):
    """What another package adds to one of our tables cannot be used."""


class MissingExtraError(DeepferError):
    """An optional part of the package is not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"this needs the {extra!r} extra: pip install 'deepfer[{extra}]'")


def reason(error: Exception, most: int = 200) -> str:
    """Return what another library says about a failure, in a few words for a message."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def _on_one_line(text: str) -> str:
    text = text.replace("\r", r"\r").replace("\n", r"\n")
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - _END]} ... {text[-_END:]}"
