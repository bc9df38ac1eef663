import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepfer.errors import InputError
from deepfer.files import claimed, replacing, sweep


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
    names = (f".b.csv.partial-{dead.pid}", f".[a].csv.partial-{dead.pid}")
    kept = (f".a.csv.partial-{alive}", ".a.csv.partial-mine", "a.csv", ".b")
    for name in (*names, *kept):
        (tmp_path / name).touch()
    sweep(tmp_path, "[a].csv")
    assert {p.name for p in tmp_path.iterdir()} == {names[0], *kept}
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == set(kept)
    sweep(tmp_path / "none")


def test_what_lies_below_and_folders_are_swept(tmp_path: Path) -> None:
    left = tmp_path / "run" / ".a.onnx.partial-99999999"
    (left / "folder").mkdir(parents=True)
    nested = left.with_name(f".{left.name}.partial-99999999")
    nested.touch()
    sweep(tmp_path)
    assert left.exists()
    sweep(tmp_path / "run", "a.onnx")
    assert not list((tmp_path / "run").iterdir())
    left.touch()
    sweep(tmp_path, below=True)
    assert not list((tmp_path / "run").iterdir())


CLAIM = """
import sys, time
from pathlib import Path
from deepfer.files import claimed
with claimed(Path("folder")), claimed(Path(), "a.csv"):
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_what_is_claimed_by_another_program(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIM]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        for folder, name in ((tmp_path / "folder", ""), (tmp_path, "a.csv")):
            with (
                pytest.raises(InputError, match=rf"{folder / name}: another deepfer is writing"),
                claimed(folder, name),
            ):
                pass
        with claimed(tmp_path, "b.csv"), claimed(tmp_path / "other"):
            pass
        other.kill()
    assert (tmp_path / "folder" / ".lock").exists()  # which must not hinder anybody
    with claimed(tmp_path / "folder"), claimed(tmp_path, "a.csv"):
        (tmp_path / "folder" / "result").touch()
    assert {p.name for p in tmp_path.rglob("*")} == {"folder", "result"}


def test_folders_that_remain_empty_are_taken_away(tmp_path: Path) -> None:
    with claimed(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    with claimed(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of POSIX")
def test_places_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("deepfer.files._lock", refuse)
    with claimed(tmp_path), claimed(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as found, claimed(tmp_path / "file" / "below"):
        pass
    assert found.value.filename == str(tmp_path / "file" / "below")
