"""Large jobs: the plan, both engines, deaths of workers and of the driver."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image as PillowImage

from children import child
from conftest import ROOT, Run
from deepfer.batch.crew import CREWS, WorkerError
from deepfer.batch.engines import run
from deepfer.batch.plan import Job, Options, plan
from deepfer.batch.work import Worker
from deepfer.classify import model_path
from deepfer.errors import InputError
from deepfer.files import claimed


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve copies of one small face, one gray picture and one file that is no picture."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    face = PillowImage.open(ROOT / "examples" / "astronaut.png").crop((130, 0, 330, 200))
    for i in range(12):
        face.save(folder / ("more" if i % 2 else ".") / f"{i:02}.png")
    PillowImage.new("L", (64, 64), 90).save(folder / "nobody.png")
    (folder / "bad.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("not taken")
    return folder


def table(job: Path, name: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = ds.dataset(job / name).to_table().to_pylist()
    return sorted(rows, key=lambda row: str(row["source"]))


class TestPlan:
    def test_sources(self, photos: Path, tmp_path: Path) -> None:
        job = plan(str(photos), tmp_path / "job", Options(partition=5))
        assert (job.inputs, job.partitions) == (14, 3)
        sources = [s for i in range(3) for s in job.sources(i)]
        assert len(set(sources)) == 14
        assert plan(str(photos), tmp_path / "job", Options(partition=5)) == job
        with pytest.raises(InputError, match="other inputs or options"):
            plan(str(photos), tmp_path / "job", Options(partition=6))
        pattern = plan(str(photos / "*.png"), tmp_path / "job2", Options())
        assert pattern.inputs == 7

    def test_lists(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "list.csv").write_text("id,path\n1,photos/00.png\n2,photos/bad.jpg\n")
        pq.write_table(pa.table({"file": ["photos/00.png"] * 3}), tmp_path / "list.parquet")
        assert plan(str(tmp_path / "list.csv"), tmp_path / "a", Options()).inputs == 2
        job = plan(str(tmp_path / "list.parquet"), tmp_path / "b", Options())
        assert job.sources(0) == [str(photos / "00.png")] * 3
        (tmp_path / "wrong.csv").write_text("id\n1\n")
        with pytest.raises(InputError, match="no column named path"):
            plan(str(tmp_path / "wrong.csv"), tmp_path / "c", Options())

    def test_nothing_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="holds no photos"):
            plan(str(tmp_path / "empty"), tmp_path / "job", Options())
        assert not (tmp_path / "job").exists()
        with pytest.raises(InputError, match="no such file"):
            plan(str(tmp_path / "none"), tmp_path / "job", Options())
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "thesis.txt").write_text("mine")
        with pytest.raises(InputError, match="is not empty"):
            plan(str(ROOT / "examples"), tmp_path / "full", Options())

    def test_what_is_not_a_jobs_is_left_alone(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "mine" / "plan").mkdir(parents=True)
        (tmp_path / "mine" / "plan" / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match="is not empty"):
            plan(str(photos), tmp_path / "mine", Options())
        assert (tmp_path / "mine" / "plan" / "notes.txt").exists()

    @pytest.mark.parametrize("left", [(".plan.partial/part-000000.json",), ("plan", "faces/")])
    def test_a_planning_that_was_killed(
        self, photos: Path, tmp_path: Path, left: tuple[str, ...]
    ) -> None:
        whole = plan(str(photos), tmp_path / "whole", Options(partition=5))
        for name in left:
            if name == "plan":
                shutil.copytree(tmp_path / "whole" / "plan", tmp_path / "job" / "plan")
            elif name.endswith("/"):
                (tmp_path / "job" / name).mkdir()
            else:
                (tmp_path / "job" / name).parent.mkdir(parents=True)
                (tmp_path / "job" / name).write_text("[")
        job = plan(str(photos), tmp_path / "job", Options(partition=5))
        assert (job.inputs, job.partitions) == (whole.inputs, whole.partitions)
        assert {p.name for p in job.folder.iterdir()} == {"plan", "faces", "errors", "job.json"}

    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("list.csv", b"id,path\n1,a.png\n2\n", "row 2 holds no path"),
            ("list.csv", b"path\na.png\n \n", "row 2 holds no path"),
            ("list.csv", b"path\n\xff\xfe.png\n", "not CSV text"),
            ("list.parquet", b"", "not a readable Parquet file"),
            ("list.parquet", b"PAR1 no such thing PAR1", "not a readable Parquet file"),
        ],
    )
    def test_bad_lists(self, tmp_path: Path, name: str, content: bytes, expected: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=expected):
            plan(str(tmp_path / name), tmp_path / "job", Options())
        assert not (tmp_path / "job").exists()

    @pytest.mark.parametrize("name", ["parquet-35", "parquet-short", "parquet-thrift"])
    def test_damaged_lists(self, cases: Path, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match=f"{name}.parquet: not a readable Parquet file"):
            plan(str(cases / "text" / f"{name}.parquet"), tmp_path / "job", Options())

    def test_names_that_no_file_can_have_are_errors(self, tmp_path: Path) -> None:
        names = ["a" * 999 + ".jpg", "b" * 999 + ".mp4", "c\0.mp4"]
        pq.write_table(pa.table({"path": names}), tmp_path / "list.parquet")
        job = plan(str(tmp_path / "list.parquet"), tmp_path / "job", Options())
        Worker(job).partition(0)
        errors = [str(row["error"]) for row in table(job.folder, "errors")]
        assert [error.rpartition(": ")[2] for error in errors][1:] == ["no such video file"] * 2
        assert len(errors) == len(names)

    def test_leftovers_of_killed_workers_are_swept(self, photos: Path, tmp_path: Path) -> None:
        job = plan(str(photos), tmp_path / "job", Options())
        for name in ("faces", "errors"):
            (job.folder / name / ".part-000000.parquet.partial-99999999").touch()
        plan(str(photos), tmp_path / "job", Options())
        assert not list(job.folder.rglob(".*"))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_pipe_is_an_error_and_not_waited_for(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        os.mkfifo(tmp_path / "in" / "a.jpg")
        os.mkfifo(tmp_path / "in" / "b.mp4")
        job = plan(str(tmp_path / "in"), tmp_path / "job", Options())
        Worker(job).partition(0)
        errors = [str(row["error"]) for row in table(job.folder, "errors")]
        assert len(errors) == 2
        assert all("a pipe or a device" in error for error in errors)

    @pytest.mark.parametrize("values", [["a.png", None], [1, 2], [["a.png"]]])
    def test_lists_of_what_is_no_text(self, tmp_path: Path, values: list[object]) -> None:
        pq.write_table(pa.table({"path": values}), tmp_path / "list.parquet")
        with pytest.raises(InputError, match=r"row \d holds no path"):
            plan(str(tmp_path / "list.parquet"), tmp_path / "job", Options())

    @pytest.mark.parametrize("content", ["", "{}", '{"partitions": 3}'])
    def test_a_damaged_job(self, photos: Path, tmp_path: Path, content: str) -> None:
        plan(str(photos), tmp_path / "job", Options())
        (tmp_path / "job" / "job.json").write_text(content)
        with pytest.raises(InputError, match=r"job\.json: missing or damaged"):
            plan(str(photos), tmp_path / "job", Options())

    def test_another_model_behind_the_same_name(self, photos: Path, tmp_path: Path) -> None:
        own = tmp_path / "own.onnx"
        shutil.copyfile(model_path(exact=True), own)
        plan(str(photos), tmp_path / "job", Options(model=str(own)))
        shutil.copyfile(model_path(), own)
        with pytest.raises(InputError, match="other inputs or options"):
            plan(str(photos), tmp_path / "job", Options(model=str(own)))


def test_damaged_results_are_named(photos: Path, tmp_path: Path) -> None:
    job = plan(str(photos), tmp_path / "job", Options())
    job.target("errors", 0).write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"part-000000\.parquet: damaged; delete it"):
        job.count("errors")


@pytest.mark.slow
def test_two_interruptions_end_it(photos: Path, tmp_path: Path) -> None:
    for i in range(12, 400):
        shutil.copyfile(photos / "00.png", photos / f"{i:03}.png")
    command = [sys.executable, "-m", "deepfer", "batch", str(photos), "job"]
    with child([*command, "--workers", "1", "--partition", "100"], cwd=tmp_path) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "job" / "job.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2.5)
        for _ in range(2):
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
            time.sleep(0.3)
        assert process.wait(timeout=60) != 0


def test_a_name_that_is_no_text(deepfer: Run, photos: Path, tmp_path: Path) -> None:
    try:
        (photos / "00.png").rename(photos / os.fsdecode(b"m\xfcller.png"))
    except OSError:
        pytest.skip("this file system takes no such name")
    (photos / "bad.jpg").rename(photos / os.fsdecode(b"b\xe4d.jpg"))
    done = deepfer("batch", photos, "job", "--workers", 1)
    assert done.returncode == 3, done.stderr
    assert f"{photos}/m\\xfcller.png" in {row["source"] for row in table(tmp_path / "job", "faces")}
    (error,) = table(tmp_path / "job", "errors")
    assert error["source"] == f"{photos}/b\\xe4d.jpg"


def test_from_the_command_line(deepfer: Run, photos: Path, tmp_path: Path) -> None:
    command = ("batch", photos, "job", "--partition", 4, "--workers", 2)
    done = deepfer(*command)
    assert done.returncode == 3, done.stderr
    assert done.stdout == "14 inputs, 12 faces, 1 errors\n"
    faces = table(tmp_path / "job", "faces")
    assert [row["expression"] for row in faces] == ["happy"] * 12
    assert [Path(str(row["source"])).name for row in table(tmp_path / "job", "errors")] == [
        "bad.jpg"
    ]
    again = deepfer(*command)
    assert "0 to do" in again.stderr
    assert again.stdout == done.stdout
    assert deepfer("batch", photos, "job2", "--engine", "spark").returncode == 1
    assert deepfer("batch", photos, "job2", "--model", "none.onnx").returncode == 1
    assert not (tmp_path / "job2").exists()


def test_rows_say_model_prior_and_certainty(deepfer: Run, photos: Path, tmp_path: Path) -> None:
    command = ("batch", photos, "job", "--model", "fer2013", "--prior", "balanced")
    done = deepfer(*command, "--min-certainty", 1, "--workers", 1)
    assert done.returncode == 3, done.stderr
    row = table(tmp_path / "job", "faces")[0]
    assert (row["model"], row["prior"]) == ("deepfer_fast-fer2013@3-int8", "balanced")
    assert (row["certain"], row["possible"]) == (False, "happy")
    assert row["notes"] == ""
    assert {"yaw", "pitch", "roll", "sharpness", "light", "size", "s_happy"} <= set(row)
    options = json.loads((tmp_path / "job" / "job.json").read_text())
    assert (options["model"], options["min_certainty"]) == ("fer2013", 1)
    done = deepfer(*command, "--min-certainty", 0.5)
    assert "other inputs or options" in done.stderr


def workers_of(driver: int) -> list[int]:
    """Return the processes that a driver started to do partitions."""
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    return [int(c) for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to find the workers")
def test_killed_workers_and_drivers_cost_no_row(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deepfer", "batch", str(photos), "job", "--partition", "1"]
    for whom in ("worker", "driver", "worker"):
        with child(
            [*command, "--workers", "2"], cwd=tmp_path, stdout=subprocess.DEVNULL
        ) as process:
            deadline = time.monotonic() + 60
            while not (tmp_path / "job" / "faces").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(2.5)
            workers = workers_of(process.pid)
            if whom == "worker" and workers:
                os.kill(workers[0], signal.SIGKILL)
                assert process.wait(timeout=120) in {0, 3}
            else:
                process.kill()
                process.wait()
                time.sleep(2)
                assert not [one for one in workers if Path(f"/proc/{one}").exists()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "14 inputs, 12 faces, 1 errors\n"
    assert len({row["source"] for row in table(tmp_path / "job", "faces")}) == 12
    assert json.loads((tmp_path / "job" / "job.json").read_text())["partitions"] == 14


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to find the workers")
def test_sigterm_ends_it_as_ctrl_c_does(photos: Path, tmp_path: Path) -> None:
    for i in range(12, 200):
        shutil.copyfile(photos / "00.png", photos / f"{i:03}.png")
    command = [sys.executable, "-m", "deepfer", "batch", str(photos), "job", "--partition", "100"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (children := workers_of(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=10) == 130
        assert process.stderr is not None
        assert process.stderr.read().endswith("interrupted\n")
    assert children
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert not (tmp_path / "job" / ".lock").exists()


class Fragile:
    """A worker that ends over some inputs, and every other time over others.

    Args:
        harmful: End of the names over which it always ends.
        unlucky: Over these it ends the first time, wherever that is.
        begins: Whether it begins at all.
    """

    def __init__(self, job: Job, harmful: str, unlucky: set[str], begins: bool) -> None:
        self.worker, self.harmful, self.unlucky, self.begins = Worker(job), harmful, unlucky, begins
        self.ask("columns")

    def ask(self, method: str, *arguments: object) -> None:
        self.asked = method, arguments

    def answer(self) -> object:
        method, arguments = self.asked
        sources = {"columns": lambda: [], "partition": self.worker.job.sources}
        for source in sources.get(method, lambda source: [source])(*arguments):
            if source.endswith(self.harmful) or source in self.unlucky:
                self.unlucky.discard(source)
                raise WorkerError("SIGSEGV")
        if not self.begins:
            raise WorkerError("SIGILL")
        return getattr(self.worker, method)(*arguments)

    def end(self) -> None:
        pass


def fragile_crew(
    monkeypatch: pytest.MonkeyPatch, harmful: str, unlucky: set[str], begins: bool = True
) -> list[str]:
    """Offer an engine of fragile workers; return the list of those that it starts."""
    started = []

    class Crew:
        def __init__(self, job: Job) -> None:
            self.job = job

        def start(self) -> Fragile:
            started.append(harmful)
            return Fragile(self.job, harmful, unlucky, begins)

        def first(self, hands: dict[Fragile, object]) -> Fragile:
            return next(iter(hands))

    monkeypatch.setitem(CREWS, "fragile", lambda job: nullcontext(Crew(job)))
    return started


def test_suspects_come_last_and_only_the_culprit_is_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan(str(photos), tmp_path / "job", Options(partition=3))
    harmful, unlucky = job.sources(1)[0], job.sources(1)[2]
    fragile_crew(monkeypatch, harmful, {unlucky})
    assert list(run(job, "fragile", workers=2)) == [0, 2, 3, 4, 1]
    whole = plan(str(photos), tmp_path / "whole", Options(partition=3))
    assert list(run(whole, "local", workers=1)) == [0, 1, 2, 3, 4]
    errors, others = (table(tmp_path / name, "errors") for name in ("job", "whole"))
    assert [row for row in errors if row["source"] != harmful] == others
    (told,) = (str(row["error"]) for row in errors if row["source"] == harmful)
    assert told.startswith(f"{harmful}: ends whatever reads it (SIGSEGV), also alone; ")
    faces = [row for row in table(tmp_path / "whole", "faces") if row["source"] != harmful]
    assert table(tmp_path / "job", "faces") == faces


@pytest.mark.parametrize("begins", [True, False])
def test_workers_that_never_begin(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    job = plan(str(photos), tmp_path / "job", Options(partition=3))
    started = fragile_crew(monkeypatch, "none", set(), begins)
    if begins:
        assert list(run(job, "fragile", workers=9)) == [0, 1, 2, 3, 4]
        assert len(started) == 5
    else:
        with pytest.raises(InputError, match=r"3 workers ended before they had begun \(SIGILL\)"):
            list(run(job, "fragile", workers=1))
        assert len(started) == 3


def test_two_jobs_in_one_folder(deepfer: Run, photos: Path, tmp_path: Path) -> None:
    with claimed(tmp_path / "job"):
        done = deepfer("batch", photos, "job", "--workers", 1)
    assert done.returncode == 1
    assert done.stderr == (
        "error: job: another deepfer is writing there; wait for its end, or name another\n"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_and_local_agree(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(tmp_path))  # where Ray writes a token
    for engine in ("local", "ray"):
        job = plan(str(photos), tmp_path / engine, Options(partition=4))
        assert sorted(run(job, engine, workers=2)) == [0, 1, 2, 3]
    for name in ("faces", "errors"):
        assert table(tmp_path / "local", name) == table(tmp_path / "ray", name)
