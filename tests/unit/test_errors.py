import pickle

import pytest

from deepfer.classify import Classifier, model_path
from deepfer.errors import DeepferError, InputError, ModelFileError, RecipeError, reason
from deepfer.media import read_photo


def test_a_message_is_one_line() -> None:
    assert str(InputError("a\nb.png: no\r\nsuch file")) == r"a\nb.png: no\r\nsuch file"
    with pytest.raises(InputError, match=r"a\\nb\.png: no such file"):
        read_photo("a\nb.png")


def test_a_recipes_mistakes_are_a_line_each() -> None:
    error = RecipeError("r.toml: 2 problem(s)", "a: no\nnumber", "b: unknown")
    assert str(error) == "r.toml: 2 problem(s)\n  a: no\\nnumber\n  b: unknown"
    assert str(RecipeError("one\nmistake")) == r"one\nmistake"


@pytest.mark.parametrize("error", [InputError("a\nb"), RecipeError("a", "b\nc")])
def test_errors_pass_between_processes(error: DeepferError) -> None:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


def test_a_long_message_keeps_its_end() -> None:
    told = str(InputError(f"{'a' * 50_000}: unknown; give another"))
    assert len(told) < 6100
    assert told.endswith(" unknown; give another")
    assert "a ... a" in told


def test_what_another_library_says_is_short() -> None:
    assert reason(ValueError("no \n  number")) == "no number"
    assert reason(ValueError()) == "ValueError"
    assert len(reason(ValueError("a" * 999))) == 200


def test_a_name_that_no_file_can_have() -> None:
    assert model_path("m" * 999 + ".onnx").suffix == ".onnx"
    with pytest.raises(ModelFileError, match="no such model file"):
        Classifier("m" * 999 + ".onnx")
    with pytest.raises(DeepferError, match="unknown model"):
        Classifier("m" * 999)
