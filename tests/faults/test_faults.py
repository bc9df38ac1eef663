"""Kills, full disks and short memory; `python -m tests.faults` does more of it, for longer."""

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deepfer.files import claimed, write_bytes, write_text

from .kills import Trials
from .victims import VICTIMS, prepare_photos

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and limits of POSIX")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
WRITE = """
import os, sys
from pathlib import Path
from sitecustomize import install
from deepfer.files import claimed, write_text

def write():
    with claimed(Path("new/folder")), claimed(Path(), "a.txt"):
        write_text(Path("a.txt"), "new")
        write_text(Path("new/folder/b.txt"), "new")

code = number = 0
while number == 0 or code:
    number += 1
    Path("a.txt").write_text("old")
    child = os.fork()
    if not child:
        install("write", "*", str(number), "SIGKILL")
        write()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(number, code, Path("a.txt").read_text(), end=" ")
    write()
    print(*sorted(map(str, Path().rglob("*"))))
    for made in ("new/folder/b.txt", "new/folder", "new"):
        os.remove(made) if made.endswith("txt") else os.rmdir(made)
"""


def with_fault(fault: str) -> dict[str, str]:
    """Return an environment in which something goes wrong."""
    path = [str(Path(__file__).parent / "inject"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "FAULT": fault,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    prepare_photos(tmp_path, 8)
    return tmp_path / "photos"


@posix
def test_a_kill_at_each_change_of_the_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITE],
        cwd=tmp_path,
        env=with_fault("write none 1 SIGKILL"),
        capture_output=True,
        text=True,
        check=True,
    )
    trials = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert len(trials) > 8
    for number, (_, code, content, names) in enumerate(trials, start=1):
        assert code == ("0" if number == len(trials) else "-9")
        assert content in {"old", "new"}
        assert names == "a.txt new new/folder new/folder/b.txt"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    target = tmp_path / "a.txt"
    target.write_text("old")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match=r"a\.txt") as found:
        write_text(target, "new")
    assert (found.value.errno, found.value.filename) == (number, str(target))
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"


@posix
def test_signals_while_files_are_written(tmp_path: Path) -> None:
    calls = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(0))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _ in range(10):
            with claimed(tmp_path):
                write_bytes(tmp_path / "a", bytes(10_000_000))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calls
    assert (tmp_path / "a").stat().st_size == 10_000_000


@posix
def test_files_that_may_not_grow(photos: Path, tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    command = [sys.executable, "-m", "deepfer", "predict", str(photos / "00.png"), "--out", "out"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "error: --out out/00.png: cannot be written (File too large)\n"
    assert not list((tmp_path / "out").iterdir())


@posix
def test_short_memory(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deepfer", "predict", "photos/00.png", "photos/02.png"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=with_fault("open 00.png * MemoryError"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout.startswith("photos/02.png (200x200): 1 face")
    assert done.stderr.startswith("error: photos/00.png: needs more memory than there is")


@linux
def test_a_full_disk(photos: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        command = [sys.executable, "-m", "deepfer", "batch", str(photos), str(disk / "job")]
        (disk / "filler").write_bytes(bytes(12 * 4096))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "the disk is full; make room and give the same command again" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(disk.rglob(".*"))
    finally:
        subprocess.run(["umount", str(disk)], check=False)


@posix
@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_one_harmful_file_costs_no_other(photos: Path, tmp_path: Path, engine: str) -> None:
    ds = pytest.importorskip("pyarrow.dataset")
    if engine == "ray":
        pytest.importorskip("ray")
    command = ["batch", str(photos), "job", "--partition", "3", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "deepfer", *command, "--engine", engine],
        cwd=tmp_path,
        env=with_fault("open 04.png * SIGKILL"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "9 inputs, 7 faces, 2 errors\n"), done.stderr
    errors = {
        Path(row["source"]).name: row["error"]
        for row in ds.dataset(tmp_path / "job" / "errors").to_table().to_pylist()
    }
    assert set(errors) == {"04.png", "bad.jpg"}
    assert "ends whatever reads it" in errors["04.png"]
    assert not list((tmp_path / "job").rglob(".*"))


@linux
def test_one_trial_of_the_long_run(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    prepare_photos(tmp_path / "inputs", 8)
    chance = random.Random(1)  # noqa: S311
    trials = Trials(VICTIMS["predict"], tmp_path / "inputs", tmp_path / "trials", chance)
    trials.one(2)
    assert trials.outcome.kills.total() == 2
    assert not trials.outcome.faults
