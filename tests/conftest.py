"""Shared fixtures. Research data is optional: set DEEPFER_DATA to the folder that holds it."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from typer.testing import CliRunner

from deepfer.cli.app import app
from deepfer.data.base import ImageSet
from deepfer.data.drawn import Drawn

ROOT = Path(__file__).parents[1]

# a busy machine must not fail a test, nor a checkout that may not be written
kept = {} if os.access(ROOT, os.W_OK) else {"database": None}
settings.register_profile("no deadline", deadline=None, **kept)
settings.load_profile("no deadline")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def astronaut() -> Path:
    return ROOT / "examples" / "astronaut.png"


@pytest.fixture(scope="session")
def cases() -> Path:
    """Files that broke something once."""
    return ROOT / "tests" / "cases"


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the research data sets; tests that need it skip without it."""
    root = os.environ.get("DEEPFER_DATA")
    if not root:
        pytest.skip("research data not found: set DEEPFER_DATA to the folder that holds it")
    return Path(root)


@pytest.fixture
def deepfer(tmp_path: Path) -> Run:
    """Run the command line as a user does, in an empty folder."""

    def run(
        *arguments: object, stdin: bytes | None = None, cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "deepfer", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            timeout=300,
            check=False,
            env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


@pytest.fixture
def deepfer_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in an empty folder, in this process: what it imports and draws stays."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as there:
            there.chdir(tmp_path)
            done = CliRunner().invoke(app, [*map(str, arguments)])
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


_drawn: dict[tuple[object, ...], ImageSet] = {}


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each face once for all tests that use this; a thousand of them take seconds."""
    load = Drawn.load

    def once(self: Drawn, split: str) -> ImageSet:
        key = (self.size, self.per_class, self.seed, self.color, split)
        if key not in _drawn:
            _drawn[key] = load(self, split)
        return replace(_drawn[key], images=np.array(_drawn[key].images))

    monkeypatch.setattr(Drawn, "load", once)


@pytest.fixture
def write_fer2013() -> Callable[..., Path]:
    """Write a small fer2013.csv, or its later variant, and return its path."""

    def write(folder: Path, rows: list[tuple[object, str, str]], *, later: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ("icml_face_data.csv" if later else "fer2013.csv")
        lines = ["emotion, Usage, pixels" if later else "emotion,pixels,Usage"]
        for emotion, pixels, usage in rows:
            cells = [emotion, usage, pixels] if later else [emotion, pixels, usage]
            lines.append(",".join(map(str, cells)))
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def train_recipe(recipe: Any, *, root: Path | None, run: Path, **more: Any) -> Any:
    """Train a recipe on what it names, as `deepfer train` does."""
    from deepfer.training.build import training_sets
    from deepfer.training.loop import train

    return train(recipe, *training_sets(recipe, root), run=run, **more)
