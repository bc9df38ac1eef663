"""Values of any form where texts of one are read: what is no answer is an error in one line."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deepfer.errors import InputError, ModelFileError, RecipeError
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.modelfile import InputSpec, ModelInfo
from deepfer.prior import read_prior
from deepfer.training.recipe import Recipe, from_json

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_VALUES = st.recursive(
    _LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=9), v, max_size=4)
)
_PLAIN = Recipe(model="deep_emotion", dataset="drawn").to_json()
_INFO = ModelInfo("m@1", BASIC_EXPRESSIONS, InputSpec(48, 48), prior=(1 / 7,) * 7)
_METADATA = json.loads(_INFO.to_metadata()["deepfer"])
_FEW = settings(max_examples=30)


def _with_some_changed(whole: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a mapping of which some values are of any form."""
    inner = {k: _with_some_changed(v) for k, v in whole.items() if isinstance(v, dict) and v}
    some = st.fixed_dictionaries(
        {}, optional={k: inner.get(k, st.nothing()) | _VALUES for k in whole}
    )
    return some.map(lambda changes: whole | changes)


@_FEW
@given(_with_some_changed(_PLAIN) | _VALUES)
def test_recipes(content: Any) -> None:
    with suppress(RecipeError):
        assert from_json(content, "r.toml").fingerprint()


@_FEW
@given(_with_some_changed(_METADATA) | _VALUES)
def test_metadata(content: Any) -> None:
    with suppress(ModelFileError):
        info = ModelInfo.from_metadata({"deepfer": json.dumps(content)}, "m.onnx")
        again = ModelInfo.from_metadata(info.to_metadata(), "m.onnx")
        assert repr(again) == repr(info)


@_FEW
@given(
    st.text(max_size=60)
    | st.dictionaries(st.sampled_from(BASIC_EXPRESSIONS), st.floats(), min_size=6)
)
def test_priors(asked: Any) -> None:
    with suppress(InputError):
        weights = read_prior(asked, _INFO).weights
        assert all(0 < weight < float("inf") for weight in weights)
