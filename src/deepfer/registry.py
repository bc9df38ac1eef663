"""Tables of names that stand for our classes, and for those that other packages add.

Another package adds to a table by an entry point, in its own ``pyproject.toml``::

    [project.entry-points."deepfer.datasets"]
    faces_of_ours = "their_package.faces:FacesOfOurs"

Nothing is imported before it is asked for by name, but for `Registry.working` and
`Registry.broken`.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from deepfer.errors import PackageError, UnknownNameError

OURS = "deepfer"
"""The origin of what comes with this package."""


class Registry:
    """One table: names in order, ours first, then those of other packages in alphabetic order.

    Args:
        kind: What the names stand for, such as ``data set``; for messages.
        group: The group of entry points by which other packages add to the table.
        builtin: Our own, ``module:Attribute`` by name.
        check: Gets a name and what another package has given for it, and fails with whatever
            says what is wrong with it.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtin: Mapping[str, str],
        check: Callable[[str, Any], None] | None = None,
    ) -> None:
        self.kind, self.group, self.builtin = kind, group, dict(builtin)
        self._check = check

    def names(self) -> tuple[str, ...]:
        """Return all names, of broken ones too: nothing is imported."""
        return (*self.builtin, *self._added)

    def load(self, name: str) -> Any:
        """Return what a name stands for.

        Raises:
            UnknownNameError: There is no such name.
            PackageError: Another package added it, and it cannot be used.
        """
        if name in self.builtin:
            return _attribute(self.builtin[name])
        if name not in self._added:
            raise UnknownNameError(self.kind, name, self.names())
        entry = self._added[name]
        try:
            found = entry.load()
            if self._check is not None:
                self._check(name, found)
        except (Exception, SystemExit) as error:  # whatever their code does
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise PackageError(
                f"{self.kind} {name!r} of {self.origin(name)} ({entry.value}) cannot be used: "
                f"{reason[:200]}; mend, update or uninstall that package"
            ) from error
        return found

    def origin(self, name: str) -> str:
        """Return the package and version a name comes from; ``deepfer`` for ours.

        Raises:
            UnknownNameError: There is no such name.
        """
        if name in self.builtin:
            return OURS
        if name not in self._added:
            raise UnknownNameError(self.kind, name, self.names())
        return _package(self._added[name])

    def working(self) -> tuple[str, ...]:
        """Return the names that can be loaded; imports everything that other packages add."""
        return (*self.builtin, *(name for name in self._added if self._problem(name) is None))

    def broken(self) -> tuple[str, ...]:
        """Return a line for everything that other packages add and that cannot be used."""
        shadowed = (
            f"{self.kind} {e.name!r} of {_package(e)} ({e.value}) is passed over: the name is "
            f"that of {self.origin(e.name)}; rename it in that package"
            for e in self._entries
            if self._added.get(e.name) is not e
        )
        problems = (self._problem(name) for name in self._added)
        return (*(p for p in problems if p is not None), *shadowed)

    def _problem(self, name: str) -> str | None:
        try:
            self.load(name)
        except PackageError as error:
            return str(error)
        return None

    @cached_property
    def _entries(self) -> tuple[EntryPoint, ...]:
        # by package, too, so that which of two packages wins does not depend on the disk
        return tuple(sorted(entry_points(group=self.group), key=lambda e: (e.name, _package(e))))

    @cached_property
    def _added(self) -> dict[str, EntryPoint]:
        theirs = {e.name: e for e in reversed(self._entries)}
        return {name: theirs[name] for name in sorted(theirs) if name not in self.builtin}


def subclass_of(base: str) -> Callable[[str, Any], None]:
    """Return a `Registry`'s check: a subclass of `base` (``module:Class``), called as it says.

    Classes whose ``info`` tells a name must be in the table under that name.
    """
    module, _, attribute = base.partition(":")

    def check(name: str, found: Any) -> None:
        if not (isinstance(found, type) and issubclass(found, _attribute(base))):
            raise TypeError(f"{found!r} is no subclass of {module}.{attribute}")
        info = getattr(found, "info", None)
        if info is not None and info.name != name:
            raise ValueError(f"its info.name is {info.name!r}")

    return check


def _attribute(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _package(entry: EntryPoint) -> str:
    """Return the name and version of the package that an entry point comes from."""
    return "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
