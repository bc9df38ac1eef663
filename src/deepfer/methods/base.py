"""What a method is: it learns from labelled images and answers for others.

Whatever it does inside, from a nearest neighbour to a sequence network, it takes sets of images
and gives a row of probabilities per image, so that tables can ask all of them alike.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from deepfer.data.base import ImageSet
from deepfer.labels import Expression

OPTIONS = ConfigDict(extra="forbid", strict=True)
"""For the methods' own dataclasses: unknown options and wrong kinds are refused."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that a publication gives for a method.

    Attributes:
        accuracy: In percent.
        on: The data and protocol, in the publication's words.
        source: Where the figure stands.
    """

    accuracy: float
    on: str
    source: str


@dataclass(frozen=True, kw_only=True)
class MethodInfo:
    """What is known about a method before it has seen an image.

    Attributes:
        name: The word used in tables and on the command line.
        title: What it is called.
        what: What it does, in a few sentences.
        reference: The publication, or "" for what has none.
        year: Of the publication.
        needs: What the images must say of themselves: `NEEDS`.
        deviations: How it departs from the publication, in the line that is printed under tables.
        published: Its figures elsewhere.
        version: Raised when the same options give other answers, so that old results are known.
    """

    name: str
    title: str
    what: str
    reference: str = ""
    year: int | None = None
    needs: tuple[str, ...] = ()
    deviations: str = ""
    published: tuple[Published, ...] = ()
    version: int = 1


NEEDS = ("subjects", "sequences", "votes")
"""What a method may need of an `ImageSet`, by the names of its attributes."""


@dataclass(frozen=True)
class Division:
    """Which division of which data a method is asked about."""

    dataset: str
    protocol: str
    seed: int
    fold: int


@dataclass(frozen=True)
class Place:
    """Where a method works.

    Attributes:
        division: What is divided.
        folder: Its own, to keep what takes long; what lies there from an earlier try is its own.
        root: Folder that holds the data sets, for methods that build on others' data.
        finished: Gives the folder of a finished method of this fingerprint on the same division,
            or None, so that nothing is trained twice.
    """

    division: Division
    folder: Path
    root: Path | None = None
    finished: Callable[[str], Path | None] = lambda fingerprint: None


class Fitted(ABC):
    """A method that has learnt.

    Attributes:
        labels: What the columns of its answers stand for.
        facts: What else a result must say, such as the precision it was computed in.
    """

    labels: tuple[Expression, ...]
    facts: Mapping[str, str] = {}

    @abstractmethod
    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        """Return float32 (N, K) whose rows sum to 1, a row per image, whatever their order."""


class Method(ABC):
    """A way to recognise expressions.

    Subclasses are frozen dataclasses (of pydantic, with `OPTIONS`) whose fields are the method's
    options; their defaults are the publication's.
    """

    info: ClassVar[MethodInfo]

    @abstractmethod
    def fit(self, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        """Learn from `train`; what has to be chosen is chosen on `val`.

        A method that chooses nothing may learn from `val`, too, and says so in its deviations.

        Raises:
            DeepferError: The images or the options do not allow it.
        """

    def fingerprint(self, division: Division) -> str:
        """Return 12 hexadecimal digits that change with the method, its version and its options.

        Options at their defaults do not count, so that later versions may have more of them.
        """
        content = [self.info.name, self.info.version, self.options()]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def options(self) -> dict[str, Any]:
        """Return the options that are not at their defaults, JSON-ready."""
        found = {}
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            if value != default:
                found[one.name] = list(value) if isinstance(value, tuple) else value
        return found

    def require(self, division: Division) -> None:  # noqa: B027 (most build on nothing)
        """Look for what the method builds on, such as weights, before any work.

        Raises:
            DeepferError: Something is missing.
        """

    def tidy(self, place: Place) -> None:  # noqa: B027 (most keep nothing)
        """Remove what only an unfinished fit needs; called when the result is safe on disk."""


def missing_needs(info: MethodInfo, images: ImageSet) -> Sequence[str]:
    """Return what a method needs and the images do not say."""
    return [need for need in info.needs if getattr(images, need) is None]
