"""Checkpoints and recipes that are damaged, or that ask for what cannot be."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from conftest import ROOT, train_recipe
from deepfer.data import open_dataset
from deepfer.errors import CheckpointError, DataError, RecipeError
from deepfer.models import create_model
from deepfer.training import checkpoint
from deepfer.training.recipe import load_recipe

CASES = ROOT / "tests" / "cases" / "text"
TINY = ("epochs=1", "dataset_options.per_class=2", "model_options.widths=[4,4,4,4,4,4,4]")
TINY = (*TINY, "model_options.hidden=8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    train_recipe(load_recipe("drawn_deepfer_fast", TINY), root=None, run=folder)
    return folder


def content(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.parametrize("name", [checkpoint.BEST, checkpoint.LAST])
def test_a_flipped_bit_is_told(run: Path, tmp_path: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    checkpoint.load(run / name)
    start = 8 + int.from_bytes(whole[:8], "little")
    for place in (start, (start + len(whole)) // 2, len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 4
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(CheckpointError, match="damaged, its content is not what was written"):
            checkpoint.load(tmp_path / name)


def test_one_without_a_checksum_is_read(run: Path, tmp_path: Path) -> None:
    tensors, metadata = content(run / checkpoint.BEST)
    del metadata["sha256"]
    save_file(tensors, tmp_path / "old.safetensors", metadata)
    checkpoint.load_network(tmp_path / "old.safetensors")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("objective.", "tails."),
        ("optimizer.0", "optimizer.x"),
        ("objective.network", "objective.work"),
    ],
)
def test_a_renamed_key_is_one_line(run: Path, tmp_path: Path, old: str, new: str) -> None:
    tensors, metadata = content(run / checkpoint.LAST)
    renamed = {name.replace(old, new): tensor for name, tensor in tensors.items()}
    folder = tmp_path / "run"
    folder.mkdir()
    for file in run.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    checkpoint.save(folder / checkpoint.LAST, renamed, json.loads(metadata["deepfer"]))
    with pytest.raises(CheckpointError, match=r"does not fit this run \(.*\); train anew") as error:
        train_recipe(load_recipe("drawn_deepfer_fast", TINY), root=None, run=folder, resume=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data", {"train": "a"}),
        ("data", None),
        ("recipe", [1]),
        ("input", {"height": 48, "width": -1}),
        ("input", {"height": 32, "width": 32}),
        ("labels", []),
        ("labels", ["happy"] * 7),
        ("labels", ["a\nb"] * 7),
        ("averaged", [7]),
        ("model_options", {"widths": [0] * 7, "hidden": 8}),
        ("model_options", {"num_classes": 7}),
        ("model", "deepfer"),
    ],
)
def test_a_description_that_cannot_be_used(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    tensors, metadata = content(run / checkpoint.BEST)
    description = {**json.loads(metadata["deepfer"]), key: value}
    checkpoint.save(tmp_path / checkpoint.BEST, tensors, description)
    with pytest.raises(CheckpointError, match="does not fit the network it names") as error:
        checkpoint.load_network(tmp_path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_a_run_whose_recipe_is_none(tmp_path: Path) -> None:
    (tmp_path / checkpoint.BEST).touch()
    (tmp_path / "recipe.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="holds weights and nothing to go on from"):
        train_recipe(load_recipe("drawn_deepfer_fast", TINY), root=None, run=tmp_path, resume=True)


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": float("nan")},
        {"dropout": 1.5},
        {"hidden": 10**9},
        {"hidden": -1},
        {"widths": [10**9] * 7},
        {"widths": [0] * 7},
        {"hidden": 0},
    ],
)
def test_options_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"runs from [01] to"):
        create_model("deepfer_fast", num_classes=7, **options)


def test_a_recipe_with_an_option_out_of_range(tmp_path: Path) -> None:
    recipe = load_recipe("drawn_deepfer_fast", (*TINY, "model_options.dropout=nan"))
    with pytest.raises(RecipeError, match="model_options: deepfer_fast: dropout runs from 0 to 1"):
        train_recipe(recipe, root=None, run=tmp_path / "run")


@pytest.mark.parametrize("options", [{"size": 1_000_000}, {"per_class": 10**9}, {"size": 8}])
def test_drawn_faces_out_of_range(options: dict[str, int]) -> None:
    with pytest.raises(DataError, match="expected 16 to 1,024"):
        open_dataset("drawn", None, **options)


@pytest.mark.parametrize(
    "text",
    [
        (CASES / "toml-2503.toml").read_text(),
        f"epochs = {'1' * 5000}",
        f"epochs = 0x{'f' * 5000}",
        f"a = {'[' * 5000}",
        f"{'a.' * 20_000}a = 1",
    ],
)
def test_toml_that_is_too_much(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"r\.toml: not TOML: ") as error:
        load_recipe(str(tmp_path / "r.toml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "override",
    [
        (CASES / "set-141.txt").read_text().strip(),
        f"epochs={'1' * 5000}",
        f"epochs=0x{'f' * 5000}",
        f"{'a.' * 5000}a=1",
    ],
)
def test_overrides_that_are_too_much(override: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("drawn_deepfer_fast", (*TINY, override))
    assert len(str(error.value)) < 10_000
