"""What a protocol is: results are published on them, as published and without their leaks.

A protocol divides a data set into train, val and test; a seed decides what is random, a fold
which part is tested. Each stands beside its reader, in `Dataset.protocols`, and says what it leaks,
which can be measured with `audit`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deepfer.data import DATASETS, dataset_class, list_datasets, open_dataset
from deepfer.data.base import SPLITS, ImageSet
from deepfer.data.divide import Sides
from deepfer.errors import DataError, InputError, UnknownNameError
from deepfer.files import write_text


@dataclass(frozen=True)
class Split:
    """One division of a data set.

    Attributes:
        dataset: The data set's name.
        protocol: The protocol's name.
        fold: Which part is tested, from 0.
        seed: What was decided at random.
        sides: Images by ``train``, ``val`` and ``test``.
    """

    dataset: str
    protocol: str
    fold: int
    seed: int
    sides: dict[str, ImageSet]

    def to_json(self) -> dict[str, Any]:
        """Return the split file's content: the ids of every side and their fingerprints."""
        return {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "fold": self.fold,
            "seed": self.seed,
            **{
                side: {"fingerprint": images.fingerprint(), "ids": list(images.ids)}
                for side, images in self.sides.items()
            },
        }

    def write(self, path: Path) -> None:
        """Write the split file."""
        write_text(path, json.dumps(self.to_json(), indent=1) + "\n")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to divide a data set.

    Attributes:
        name: The protocol's name.
        what: The division in one sentence.
        leaks: What stands on both sides by design, or None.
        divide: Makes the sides from the opened data set, a seed and a fold.
        folds: Number of parts that are tested in turn; 1 where one test side is drawn.
        options: The reader's own keyword arguments that the data set is opened with.
        dataset: The data set's name; known once the protocol is found by it.
    """

    name: str
    what: str
    leaks: str | None
    divide: Callable[[Any, int, int], Sides]
    folds: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""

    def split(self, root: Path | None, *, seed: int = 0, fold: int = 0) -> Split:
        """Divide the data set.

        Raises:
            DataError: The data cannot be read, or there is no such fold.
        """
        if not 0 <= fold < self.folds or seed < 0:
            raise DataError(
                f"{self.dataset} {self.name}: fold {fold}, seed {seed}: "
                f"folds run from 0 to {self.folds - 1}, seeds from 0"
            )
        dataset = open_dataset(self.dataset, root, **self.options)
        sides = dict(zip(SPLITS, self.divide(dataset, seed, fold), strict=True))
        if empty := [side for side, images in sides.items() if not len(images)]:
            raise DataError(
                f"{self.dataset} {self.name}: too little data, nothing is left for "
                f"{' and '.join(empty)}; check it with `deepfer data check {self.dataset}`"
            )
        return Split(self.dataset, self.name, fold, seed, sides)


def list_protocols(dataset: str | None = None) -> tuple[Protocol, ...]:
    """Return all protocols, or those of one data set; none of a data set that is not there."""
    if dataset is not None and dataset not in list_datasets():
        return ()
    return tuple(
        replace(protocol, dataset=name)
        for name in (DATASETS.working() if dataset is None else (dataset,))
        for protocol in dataset_class(name).protocols
    )


def find_protocol(dataset: str, name: str) -> Protocol:
    """Return one protocol.

    Raises:
        InputError: The data set has no protocols.
        UnknownNameError: It has none of this name, or there is no such data set.
        PackageError: Another package added the data set, and it cannot be used.
    """
    found = {p.name: p for p in list_protocols(dataset)}
    if dataset not in list_datasets():
        raise UnknownNameError("data set", dataset, list_datasets())
    if not found:
        raise InputError(f"{dataset} has no protocols; use its own splits")
    if name not in found:
        raise UnknownNameError(f"protocol of {dataset}", name, tuple(found))
    return found[name]
