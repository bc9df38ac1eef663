"""The table of data sets.

To add a data set: write one file, add one line here. The contract tests find it.
"""

from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from deepfer.data.base import Dataset
from deepfer.errors import DataError, UnknownNameError

_DATASETS = {
    "fer2013": "deepfer.data.fer2013:Fer2013",
    "fer2013_images": "deepfer.data.fer2013:Fer2013Images",
    "ckplus": "deepfer.data.ckplus:CkPlus48",
    "ckplus_peaks": "deepfer.data.ckplus:CkPlusPeaks",
    "jaffe": "deepfer.data.jaffe:Jaffe",
    "ferg": "deepfer.data.ferg:Ferg",
    "drawn": "deepfer.data.drawn:Drawn",
    "comic": "deepfer.data.comic:Comic",
    "folder": "deepfer.data.folder:Folder",
    "manifest": "deepfer.data.folder:Manifest",
}


def list_datasets() -> tuple[str, ...]:
    """Return the names of all data sets."""
    return tuple(_DATASETS)


def dataset_class(name: str) -> type[Dataset]:
    """Return the reader of a data set; its ``info`` needs no files.

    Raises:
        UnknownNameError: There is no such data set.
    """
    if name not in _DATASETS:
        raise UnknownNameError("data set", name, list_datasets())
    module, _, attribute = _DATASETS[name].partition(":")
    reader: type[Dataset] = getattr(import_module(module), attribute)
    return reader


def open_dataset(name: str, root: Path | None, **options: Any) -> Dataset:
    """Open a data set.

    Args:
        name: A name from `list_datasets`.
        root: The folder that holds it.
        options: The reader's own keyword arguments.

    Raises:
        UnknownNameError: There is no such data set.
        DataError: Its files are missing, or it has no such option.
    """
    reader = dataset_class(name)
    if root is None and name not in ("drawn", "comic"):
        raise DataError(f"{name}: say where the data is with --root DIR")
    known = signature(reader).parameters
    for option, value in options.items():
        if option not in dataset_options(name):
            choices = ", ".join(dataset_options(name)) or "none"
            raise DataError(f"{name} has no option {option!r}; its options: {choices}")
        kind = type(known[option].default)
        if type(value) is not kind:
            raise DataError(f"{name}: {option} takes {kind.__name__}, got {value!r}")
    return reader(root, **options)


def dataset_options(name: str) -> tuple[str, ...]:
    """Return the names of a reader's own options."""
    return tuple(p for p in signature(dataset_class(name)).parameters if p != "root")
