"""Measure `deepfer batch` over many images, undisturbed, killed, and on Ray.

    python benchmarks/batch.py [--images 10000] [--json FILE]

The images are the portrait in many cuts and qualities; one in a hundred is no image at all.
One run is left alone; of another the workers are killed, then the whole command twice, each time
started again; two are on Ray, with one worker and with two. All must hold the same rows.
"""

import argparse
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
from PIL import Image

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.png"


def make_images(folder: Path, count: int) -> None:
    """Write the images."""
    folder.mkdir()
    chance = random.Random(0)  # noqa: S311
    photo = Image.open(ASTRONAUT).convert("RGB")
    kinds = []
    for _ in range(100):
        left, top = chance.randrange(100), chance.randrange(40)
        side = chance.randrange(360, 412)
        cut = photo.crop((left, top, left + side, top + side)).resize((320, 320))
        buffer = io.BytesIO()
        cut.save(buffer, "JPEG", quality=chance.randrange(60, 96))
        kinds.append(buffer.getvalue())
    for i in range(count):
        data = b"no image" if i % 100 == 99 else kinds[chance.randrange(len(kinds))]
        (folder / f"{i:06}.jpg").write_bytes(data)


def start(images: Path, job: Path, *more: object) -> "subprocess.Popen[bytes]":
    """Start the command in a process group of its own."""
    command = [sys.executable, "-m", "deepfer", "batch", images, job, *more]
    return subprocess.Popen(  # noqa: S603
        [*map(str, command)], start_new_session=True, stderr=subprocess.DEVNULL
    )


def timed(images: Path, job: Path, *more: object) -> float:
    """Run the command to its end; return the seconds."""
    began = time.perf_counter()
    if start(images, job, *more).wait() not in {0, 3}:  # 3: some files were unreadable
        sys.exit(f"failed: {job.name}")
    return time.perf_counter() - began


def children(process: int) -> list[int]:
    """Return the processes that a process has started and that work (Linux)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        text = status.read_text(encoding="utf-8")
        if f"\nPPid:\t{process}\n" in text:
            found.append(int(status.parent.name))
    return found


def disturbed(images: Path, job: Path, seconds: float) -> None:
    """Kill the workers once and the command twice on the way."""
    run = start(images, job)
    time.sleep(seconds / 4)
    for worker in children(run.pid):
        os.kill(worker, signal.SIGKILL)
    for _ in range(2):
        time.sleep(seconds / 4)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        run = start(images, job)
    if run.wait() not in {0, 3}:
        sys.exit("the disturbed run failed")


def rows(job: Path) -> list[Any]:
    """Return a job's rows of both tables, sorted."""
    found = []
    for table in ("faces", "errors"):
        content = ds.dataset(job / table, format="parquet").to_table()
        keys = [(name, "ascending") for name in content.column_names if name in {"source", "face"}]
        found.append(content.take(pc.sort_indices(content, keys)).to_pylist())
    return found


def main() -> None:
    """Make the images, run the jobs, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = folder / "images"
        make_images(images, options.images)
        figures: dict[str, Any] = {"images": options.images}
        figures["local (s)"] = timed(images, folder / "local")
        disturbed(images, folder / "killed", figures["local (s)"])
        figures["local, one worker (s)"] = timed(images, folder / "one", "--workers", 1)
        for workers in (1, 2):
            job = folder / f"ray{workers}"
            more = ("--engine", "ray", "--workers", workers)
            figures[f"ray, {workers} worker(s) (s)"] = timed(images, job, *more)
        one = folder / "single"
        one.mkdir()
        (one / "a.jpg").write_bytes((images / "000000.jpg").read_bytes())
        idle = timed(one, folder / "ray0", "--engine", "ray", "--workers", 2)
        figures["ray, start and end alone (s)"] = idle
        works = [figures[f"ray, {n} worker(s) (s)"] - idle for n in (1, 2)]
        figures["two Ray workers against one, without start and end"] = works[0] / works[1]
        whole = rows(folder / "local")
        figures["faces"], figures["errors"] = len(whole[0]), len(whole[1])
        for job in ("killed", "one", "ray1", "ray2"):
            figures[f"{job} has the same rows"] = rows(folder / job) == whole
    print(json.dumps(figures, indent=1))  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
