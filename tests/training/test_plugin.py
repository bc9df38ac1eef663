"""The example package, installed: what others add works like our own."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from conftest import ROOT

PLUGIN = ROOT / "examples" / "plugin"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a fresh environment that has the example, and sees our own."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("fresh")
    env, source = folder / "env", folder / "plugin"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    found = env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = next(env.rglob("site-packages"))
    site.joinpath("ours.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n{ROOT / 'src'}\n", encoding="utf-8"
    )
    subprocess.run(["cp", "-r", PLUGIN, source], check=True)  # building leaves files behind
    pip = [sys.executable, "-m", "pip", "--python", found, "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", source], check=True)
    return found


def run(python: Path, *arguments: object, folder: Path = ROOT) -> str:
    done = subprocess.run(
        [python, "-m", "deepfer", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_what_others_add_is_listed_with_its_origin(python: Path) -> None:
    networks, objectives, _ = run(python, "models").splitlines()
    assert "example_tiny (of deepfer-example 1.0)" in networks
    assert "example_focal (of deepfer-example 1.0)" in objectives
    assert "added by deepfer-example 1.0" in run(python, "methods")
    assert "the nearest mean face" in run(python, "methods", "example-means")
    assert "Smileys, added by deepfer-example 1.0" in run(python, "data", "list")


@pytest.mark.slow
def test_a_table_of_what_others_add(python: Path, tmp_path: Path) -> None:
    table = run(python, "bench", "examples/plugin/smileys.toml", "--out", tmp_path / "results")
    rows = [line for line in table.splitlines() if "| random |" in line]
    assert len(rows) == 3
    for row in rows:  # they can all be learnt
        ours = float(row.split("|")[4].split()[0])
        assert ours > 60, row
