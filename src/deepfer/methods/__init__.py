"""The table of methods: everything that a table of results can have a row of.

To add a method: write one file, add one line here, add one block to a table's TOML. The contract
tests find it. Another package adds one by an entry point of the group ``deepfer.methods``.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from deepfer.errors import RecipeError
from deepfer.registry import Registry, subclass_of
from deepfer.training.recipe import mistakes

if TYPE_CHECKING:
    from deepfer.methods.base import Method

METHODS = Registry(
    "method",
    "deepfer.methods",
    {
        "network": "deepfer.methods.network:NetworkMethod",
        "trained": "deepfer.methods.trained:Trained",
        "reweighted": "deepfer.methods.trained:Reweighted",
        "probe": "deepfer.methods.probe:Probe",
        "pixels-1nn": "deepfer.methods.pixels_1nn:Pixels1nn",
        "hog-svm": "deepfer.methods.hog_svm:HogSvm",
        "hog-parts": "deepfer.methods.hog_parts:HogParts",
        "lbp-svm": "deepfer.methods.lbp_svm:LbpSvm",
        "geometry-svm": "deepfer.methods.geometry_svm:GeometrySvm",
        "fisherface-mlp": "deepfer.methods.fisherface_mlp:FisherfaceMlp",
        "salient-patches": "deepfer.methods.salient_patches:SalientPatchesSvm",
        "cnn-svm": "deepfer.methods.cnn_svm:CnnSvm",
        "island": "deepfer.methods.island:Island",
        "centre": "deepfer.methods.centre:Centre",
        "iacnn": "deepfer.methods.iacnn:Iacnn",
        "ppdn": "deepfer.methods.ppdn:Ppdn",
        "ib-cnn": "deepfer.methods.ib_cnn:IbCnn",
        "st-rnn": "deepfer.methods.st_rnn:StRnn",
    },
    subclass_of("deepfer.methods.base:Method"),
)
"""All methods, ours and those of other packages."""


def list_methods() -> tuple[str, ...]:
    """Return the names of all methods."""
    return METHODS.names()


def method_class(name: str) -> "type[Method]":
    """Return a method's class, whose ``info`` needs no images.

    Raises:
        UnknownNameError: There is no such method.
        PackageError: Another package added it, and it cannot be used.
    """
    found: type[Method] = METHODS.load(name)
    return found


def create_method(name: str, options: Mapping[str, Any], source: str = "options") -> "Method":
    """Return a method with options.

    Args:
        name: A name from `list_methods`.
        options: Plain values by name, as TOML gives them.
        source: Where they stand, for messages.

    Raises:
        UnknownNameError: There is no such method.
        RecipeError: Lists every option that is unknown, missing or wrong.
    """
    kind = method_class(name)
    try:
        # strict mode takes tuples only from JSON
        method: Method = TypeAdapter(kind).validate_json(json.dumps(options, default=str))
    except ValidationError as error:
        problems = [f"options.{mistake}" for mistake in mistakes(error)]
        raise RecipeError(f"{source}: {name} has {len(problems)} problem(s)", *problems) from None
    return method
