"""The commands that are killed, what they need, and what their end is."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_TABLE = """
title = "Two rows"
dataset = "drawn"
[[rows]]
method = "tiny"
protocol = "random"
recipe = "drawn_deepfer_fast"
set = ["epochs=2"]
seeds = 2
[[rows]]
method = "floor"
protocol = "random"
floor = "pixels-1nn"
"""


@dataclass(frozen=True)
class Victim:
    """A command that may be killed and given again.

    Attributes:
        command: Of `deepfer`, in a trial's folder; ``{inputs}`` stands for what `prepare` made.
        end: What must be the same after any number of kills.
        codes: Exit codes of a good end.
        needs: A module without which there is no such command.
    """

    command: tuple[str, ...]
    end: Callable[[Path], Any]
    codes: frozenset[int] = frozenset({0})
    needs: str = "deepfer"

    def arguments(self, inputs: Path) -> list[str]:
        """Return the whole command."""
        own = [part.format(inputs=inputs) for part in self.command]
        return [sys.executable, "-m", "deepfer", *own]


def prepare(folder: Path) -> None:
    """Write what the commands read: photos, a clip, a table, a finished run, a runtime."""
    prepare_photos(folder)
    (folder / "table.toml").write_text(_TABLE)
    dist = folder / "runtime" / "dist"
    dist.mkdir(parents=True)
    for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
        (dist / name).write_bytes(b"x" * 100_000)
    portraits = [folder / "photos" / "00.png"] * 2
    clip = [ROOT / "tools" / "make_clip.py", *portraits, folder / "clip.mp4", "--seconds", 4]
    subprocess.run([sys.executable, *map(str, clip)], check=True)
    train = ["train", "drawn_deepfer_fast", "--set", "epochs=1", "--out", str(folder / "run")]
    subprocess.run([sys.executable, "-m", "deepfer", *train], check=True, capture_output=True)


def prepare_photos(folder: Path, count: int = 40) -> None:
    """Write photos of one face, and a file that is none."""
    from PIL import Image

    photos = folder / "photos"
    (photos / "more").mkdir(parents=True)
    face = Image.open(ROOT / "examples" / "astronaut.png").crop((130, 0, 330, 200))
    for i in range(count):
        face.rotate(i / 4).save(photos / ("more" if i % 2 else ".") / f"{i:02}.png")
    (photos / "bad.jpg").write_text("no picture")


def _digests(*names: str) -> Callable[[Path], Any]:
    def end(folder: Path) -> Any:
        files = sorted(f for name in names for f in folder.glob(name) if f.is_file())
        assert files
        return {
            str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
        }

    return end


def _job(folder: Path) -> Any:
    import pyarrow.dataset as ds

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["source"], row.get("face")

    return [
        sorted(ds.dataset(folder / "job" / name).to_table().to_pylist(), key=key)
        for name in ("faces", "errors")
    ]


def _rows(path: Path, *without: str) -> list[dict[str, str]]:
    """Return a table's rows without what depends on the clock or on how often it was begun."""
    rows = csv.DictReader(io.StringIO(path.read_text()))
    return [{k: v for k, v in row.items() if k not in without} for row in rows]


def _run(folder: Path) -> Any:
    from deepfer.training import checkpoint

    tensors, _ = checkpoint.load(folder / checkpoint.BEST)
    weights = {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}
    return weights, _rows(folder / "metrics.csv", "seconds")


def _study(folder: Path) -> Any:
    rows = _rows(folder / "tune" / "trials.csv", "trial")
    best = json.loads((folder / "tune" / "search.json").read_text())["best"]
    return sorted(map(json.dumps, rows)), best


def _results(folder: Path) -> Any:
    cells = sorted((folder / "results").rglob("metrics.json"))
    assert len(cells) == 3
    return _rows(folder / "results" / "table.csv"), _digests("results/**/predictions.csv")(folder)


_BATCH = ("batch", "{inputs}/photos", "job", "--partition", "5", "--workers", "2")
_EXPORT = ("export", "{inputs}/run", "--to", "m.onnx")
_SMALL = ("--set", "epochs=2")

VICTIMS = {
    "predict": Victim(
        ("predict", "{inputs}/photos", "--out", "copies"), _digests("copies/**/*"), frozenset({3})
    ),
    "batch": Victim(_BATCH, _job, frozenset({3}), "pyarrow"),
    "ray": Victim((*_BATCH, "--engine", "ray"), _job, frozenset({3}), "ray"),
    "video": Victim(
        (
            "video",
            "{inputs}/clip.mp4",
            "--csv",
            "rows.csv",
            "--parquet",
            "rows.parquet",
            "--out",
            "copy.mp4",
            "--summary",
            "summary.png",
        ),
        _digests("*"),
        needs="av",
    ),
    "train": Victim(
        ("train", "drawn_deepfer_fast", "--set", "epochs=4", "--resume", "--out", "run"),
        lambda folder: _run(folder / "run"),
        needs="torch",
    ),
    "tune": Victim(
        (
            "tune",
            "drawn_deepfer_fast",
            *_SMALL,
            "--search",
            "optimizer.lr=[0.001, 0.002]",
            "--out",
            "tune",
        ),
        _study,
        needs="optuna",
    ),
    "bench": Victim(
        ("bench", "{inputs}/table.toml", "--out", "results"), _results, needs="sklearn"
    ),
    "export": Victim(_EXPORT, _digests("m.onnx"), needs="onnxscript"),
    "int8": Victim((*_EXPORT, "--int8"), _digests("m.onnx"), needs="onnxscript"),
    # a second end says that there is something already
    "web": Victim(
        ("export", "--web", "site", "--runtime", "{inputs}/runtime"),
        _digests("site/**/*"),
        frozenset({0, 1}),
    ),
}
