import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepfer.files import replacing, sweep


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("Error writing bytes"), "Error writing bytes"),
    ],
)
def test_failures_name_the_file_that_was_asked_for(
    tmp_path: Path, error: OSError, expected: str
) -> None:
    with pytest.raises(OSError, match=r"a\.csv") as found, replacing(tmp_path / "a.csv"):
        raise error
    assert found.value.filename == str(tmp_path / "a.csv")
    assert found.value.strerror == expected


def test_only_what_dead_programs_left_is_swept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    alive = os.getppid()
    names = (f".a.csv.partial-{dead.pid}", f".[a].csv.partial-{dead.pid}")
    kept = (f".a.csv.partial-{alive}", ".a.csv.partial-mine", "a.csv", ".b")
    for name in (*names, *kept):
        (tmp_path / name).touch()
    sweep(tmp_path, "[a].csv")
    assert {p.name for p in tmp_path.iterdir()} == {names[0], *kept}
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == set(kept)
    sweep(tmp_path / "none")
