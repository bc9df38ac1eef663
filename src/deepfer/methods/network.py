"""A network that a recipe trains."""

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from deepfer.data.base import ImageSet
from deepfer.methods.base import OPTIONS, Division, Fitted, Method, MethodInfo, Place
from deepfer.preprocess import to_pixels
from deepfer.training import checkpoint
from deepfer.training.average import probabilities
from deepfer.training.loop import train
from deepfer.training.recipe import Recipe, Saliency, load_recipe
from deepfer.training.saliency import FIRST, SaliencyView

_RUN = "run"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class NetworkMethod(Method):
    """See `info`.

    Attributes:
        recipe: A shipped recipe's name or a TOML file.
        set: Changes of it, as with ``--set``; data and seeds are the division's.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        name="network",
        title="a network, trained by a recipe",
        what=(
            "Trains the network that a recipe names, as `deepfer train` does, and answers with "
            "the epoch that the recipe selects on the validation side."
        ),
    )

    recipe: str
    set: tuple[str, ...] = ()

    def resolved(self, division: Division) -> Recipe:
        """Return the recipe of one training."""
        return replace(
            load_recipe(self.recipe, self.set),
            dataset=division.dataset,
            protocol=division.protocol,
            seed=division.seed,
            split_seed=division.seed,
            fold=division.fold,
        )

    def fingerprint(self, division: Division) -> str:
        """Return the recipe's fingerprint."""
        return self.resolved(division).fingerprint()

    def require(self, division: Division) -> None:
        """See `Method.require`."""
        recipe = self.resolved(division)
        for source in (recipe.init, *recipe.distill.teachers):
            if source:
                checkpoint.load_network(source)

    def fit(self, train_set: ImageSet, val_set: ImageSet, place: Place) -> Fitted:
        """See `Method.fit`; an unfinished run is gone on with."""
        recipe, run = self.resolved(place.division), place.folder / _RUN
        first = self._first(recipe, place)
        train(recipe, train_set, val_set, run=run, resume=True, first=first)
        view = None
        if recipe.saliency.variant != "none":
            view = SaliencyView(recipe.saliency, first or run / FIRST, train_set)
        fitted = FittedNetwork(run, view)
        content = json.loads((run / "environment.json").read_text(encoding="utf-8"))
        fitted.facts = {key: content[key] for key in ("precision", "device")}
        return fitted

    def _first(self, recipe: Recipe, place: Place) -> Path | None:
        """Return the run of the network that looks first, where another method has trained it."""
        if recipe.saliency.variant == "none":
            return None
        folder = place.finished(replace(recipe, saliency=Saliency()).fingerprint())
        return None if folder is None else folder / _RUN

    def tidy(self, place: Place) -> None:
        """Remove the state to go on from."""
        (place.folder / _RUN / checkpoint.LAST).unlink(missing_ok=True)


class FittedNetwork(Fitted):
    """The network of a run folder or checkpoint.

    Args:
        source: The run folder or checkpoint.
        view: How faces are changed before the network sees them.
    """

    def __init__(self, source: str | Path, view: SaliencyView | None = None) -> None:
        self.network, self.about = checkpoint.load_network(source)
        self.labels, self.spec = self.about.labels, self.about.input
        self.view = view

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        """See `Fitted.probabilities`."""
        shown = images if self.view is None else self.view(images)
        return probabilities(self.network, to_pixels(shown.images, self.spec), self.spec)
