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


class DeepferError(Exception):
    """Base class: catching it catches every failure that a user can cause."""


class InputError(DeepferError):
    """A photo, folder or option cannot be used."""


class DataError(DeepferError):
    """A data set is missing, damaged or mislabelled."""


class ModelFileError(DeepferError):
    """A model file is missing, damaged or incompatible."""


class RecipeError(DeepferError):
    """A recipe has mistakes; the message lists all of them, one per line."""


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
