"""The base install stays light."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

HEAVY = ("torch", "matplotlib", "sklearn", "onnx", "pydantic", "safetensors", "scipy", "captum")


@pytest.mark.parametrize(
    "statement",
    [
        "import deepfer",
        "import deepfer.cli.app",
        "from deepfer.data import open_dataset; open_dataset('drawn', None).load('test')",
        "import deepfer.evaluation.run",
        "from deepfer.models import list_models; list_models()",
        "from deepfer.explain import explain; explain('examples/astronaut.png', 'attention')",
        "import deepfer; deepfer.Recognizer().recognize('examples/astronaut.png')",
    ],
)
def test_no_heavy_library_is_loaded(statement: str) -> None:
    code = f"import sys; {statement}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_nothing_is_collected(tmp_path: Path) -> None:
    """Unless told not to, ONNX Runtime keeps a device id and a log of events in the cache."""
    code = "import deepfer; deepfer.Recognizer().recognize('examples/astronaut.png')"
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, **home})
    assert list(tmp_path.rglob("*")) == []


def test_public_names_exist_and_are_sorted() -> None:
    import deepfer

    assert all(hasattr(deepfer, name) for name in deepfer.__all__)
    assert deepfer.__all__ == sorted(deepfer.__all__)
