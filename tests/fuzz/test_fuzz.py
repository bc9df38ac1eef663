"""A few seconds of what ``python -m tests.fuzz`` does for hours, and that it finds what fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from fuzz import KINDS, runner
from fuzz.worker import Worker

COUNTS = {
    **{"images": 800, "videos": 120, "models": 80, "checkpoints": 120},
    **{"recipes": 120, "lists": 60, "words": 1000, "requests": 100},
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_fails(kind: str, tmp_path: Path) -> None:
    result = runner.search(kind, tmp_path, count=COUNTS[kind])
    told = [
        f"{what}\n{path.with_name(path.name + '.txt').read_text()}"
        for what, (path, _) in result.found.items()
    ]
    assert not result.found, "\n".join(told)
    assert result.inputs == COUNTS[kind]


def test_an_input_depends_on_its_number_alone() -> None:
    numbers = 20, 21, 22
    found = runner.inputs("words", 7, 20)
    assert [next(found) for _ in numbers] == [next(runner.inputs("words", 7, n)) for n in numbers]
    assert next(runner.inputs("words", 8, 20)) != next(runner.inputs("words", 7, 20))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"crash", "crashed: SIGABRT"),
        (b"hang", "no end after 0.5 s"),
        (b"wait", "no end after 0.5 s"),
        (b"raise", "IndexError in faults.py"),
        (b"lines", "_LinesError that is no line"),
        (b"speak", "stderr: libsomething: warning 0"),
        (b"grow", "memory: more than 150 MB"),
        (b"line", None),
        (b"list", None),
        (b"ours", None),
    ],
)
def test_every_fault_is_found(data: bytes, expected: str | None) -> None:
    if data == b"grow" and sys.platform != "linux":
        pytest.skip("memory is told on Linux alone")
    with Worker("fuzz.faults") as worker:
        for _ in range(2):  # it goes on afterwards
            found = worker.run(b"well, " + data)
            assert (found and found.what.startswith(expected or "")) if expected else not found
        assert worker.run(b"good") is None


def test_what_fails_is_made_small_and_kept(tmp_path: Path) -> None:
    with Worker("fuzz.faults") as worker:
        data = b"x" * 999 + b"raise" + b"y" * 999
        failure = worker.run(data)
        assert failure is not None
        path = runner.keep("faults", tmp_path, runner.smaller(data, failure, worker.run), failure)
    assert path.read_bytes() == b"raise"
    told = path.with_name(f"{path.name}.txt").read_text()
    assert told.startswith("IndexError in faults.py")
    assert "Traceback" in told


def test_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--kind", "words"]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "check": False}
    done = subprocess.run([*command, "--count", "30", "--out", tmp_path], **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("words: 30 inputs in ")
    (tmp_path / "a").write_bytes(b"1:30")
    done = subprocess.run([*command, "--file", tmp_path / "a"], **options)
    assert done.stdout == "passes\n"


def test_guided(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="needs atheris")
    command = [sys.executable, "-m", "tests.fuzz", "--guided", "--kind", "words", "--count", "500"]
    done = subprocess.run(
        [*command, "--out", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Done 500" in done.stderr
