"""The table of data sets.

To add a data set: write one file, add one line here. The contract tests find it. Other packages add
theirs by the entry point group ``deepfer.datasets``.
"""

from inspect import signature
from pathlib import Path
from typing import Any

from deepfer.data.base import Dataset
from deepfer.errors import DataError
from deepfer.registry import Registry, subclass_of

DATASETS = Registry(
    "data set",
    "deepfer.datasets",
    {
        "fer2013": "deepfer.data.fer2013:Fer2013",
        "fer2013_images": "deepfer.data.fer2013:Fer2013Images",
        "ckplus": "deepfer.data.ckplus:CkPlus48",
        "ckplus_peaks": "deepfer.data.ckplus:CkPlusPeaks",
        "ckplus_sequences": "deepfer.data.ckplus_sequences:CkPlusSequences",
        "jaffe": "deepfer.data.jaffe:Jaffe",
        "ferg": "deepfer.data.ferg:Ferg",
        "rafdb": "deepfer.data.rafdb:RafDb",
        "affectnet": "deepfer.data.affectnet:AffectNet",
        "affectnet_csv": "deepfer.data.affectnet:AffectNetCsv",
        "kdef": "deepfer.data.kdef:Kdef",
        "sfew": "deepfer.data.sfew:Sfew",
        "expw": "deepfer.data.expw:ExpW",
        "drawn": "deepfer.data.drawn:Drawn",
        "comic": "deepfer.data.comic:Comic",
        "folder": "deepfer.data.folder:Folder",
        "manifest": "deepfer.data.folder:Manifest",
    },
    subclass_of("deepfer.data.base:Dataset"),
)
"""All data sets, ours and those of other packages."""


def list_datasets() -> tuple[str, ...]:
    """Return the names of all data sets."""
    return DATASETS.names()


def dataset_class(name: str) -> type[Dataset]:
    """Return the reader of a data set; its ``info`` needs no files.

    Raises:
        UnknownNameError: There is no such data set.
        PackageError: Another package added it, and it cannot be used.
    """
    reader: type[Dataset] = DATASETS.load(name)
    return reader


def open_dataset(name: str, root: Path | None, **options: Any) -> Dataset:
    """Open a data set.

    Args:
        name: A name from `list_datasets`.
        root: The folder that holds it.
        options: The reader's own keyword arguments.

    Raises:
        UnknownNameError: There is no such data set.
        PackageError: Another package added it, and it cannot be used.
        DataError: Its files are missing, or it has no such option.
    """
    reader = dataset_class(name)
    if root is None and reader.needs_root:
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
