"""The table of objectives.

To add an objective: write one file, add one line here, name it in a recipe. The contract tests
find it. Another package adds one by an entry point of the group ``deepfer.objectives``.
"""

from inspect import signature
from typing import TYPE_CHECKING

from deepfer.registry import Registry, subclass_of

if TYPE_CHECKING:
    from deepfer.training.objective import Objective, Task

OBJECTIVES = Registry(
    "objective",
    "deepfer.objectives",
    {
        "expressions": "deepfer.training.objectives.expressions:Expressions",
        "island": "deepfer.training.objectives.island:Island",
        "identity": "deepfer.training.objectives.identity:Identity",
        "peaks": "deepfer.training.objectives.peaks:Peaks",
        "boosted": "deepfer.training.objectives.boosted:Boosted",
        "sequences": "deepfer.training.objectives.sequences:Sequences",
    },
    subclass_of("deepfer.training.objective:Objective"),
)
"""All objectives, ours and those of other packages."""


def list_objectives() -> tuple[str, ...]:
    """Return the names of all objectives."""
    return OBJECTIVES.names()


def objective_class(name: str) -> "type[Objective]":
    """Return an objective's class.

    Raises:
        UnknownNameError: There is no such objective.
        PackageError: Another package added it, and it cannot be used.
    """
    found: type[Objective] = OBJECTIVES.load(name)
    return found


def objective_options(name: str) -> tuple[str, ...]:
    """Return the names of an objective's own options; raises as `objective_class` does."""
    return tuple(p for p in signature(objective_class(name)).parameters if p != "task")


def create_objective(task: "Task") -> "Objective":
    """Return the objective that a task's recipe names."""
    recipe = task.recipe
    return objective_class(recipe.objective)(task, **recipe.objective_options)
