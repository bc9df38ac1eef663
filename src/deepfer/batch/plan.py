"""The plan of a job: its inputs, cut into partitions, on disk before any work begins."""

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfer.classify import model_path
from deepfer.errors import InputError, reason
from deepfer.files import LOCK, sweep, write_text
from deepfer.gather import looks_like_picture, matches, walk
from deepfer.media import is_special
from deepfer.prior import PHOTOS

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
_PARTIAL = ".plan.partial"
_PART = re.compile(r"part-\d{6,}\.json")
_COLUMNS = ("path", "source", "file", "image", "filename")


@dataclass(frozen=True)
class Options:
    """What decides a job's rows, beside its inputs.

    Attributes:
        model: As for `Recognizer`.
        prior: As for `Recognizer`, as text.
        min_certainty: As for `Recognizer`.
        detect: False where the photos are face crops.
        min_score: As for `Recognizer`.
        min_face: As for `Recognizer`.
        detect_size: As for `Recognizer`.
        every: Seconds between the frames of a video that are looked at; 0 for all.
        partition: Inputs per partition.
    """

    model: str | None = None
    prior: str = PHOTOS
    min_certainty: float | None = None
    detect: bool = True
    min_score: float = 0.75
    min_face: int = 0
    detect_size: int | None = None
    every: float = 1.0
    partition: int = 256


@dataclass(frozen=True)
class Job:
    """A planned job.

    Attributes:
        folder: Where everything is.
        options: What decides its rows.
        partitions: Number of partitions.
        inputs: Number of inputs.
    """

    folder: Path
    options: Options
    partitions: int
    inputs: int

    def sources(self, partition: int) -> list[str]:
        """Return the inputs of a partition."""
        sources: list[str] = _read_json(_part(self.folder / "plan", partition, "json"))
        return sources

    def target(self, table: str, partition: int) -> Path:
        """Return a partition's file of a table, ``faces`` or ``errors``."""
        return _part(self.folder / table, partition, "parquet")

    def count(self, table: str) -> int:
        """Return the rows of a table over the partitions that are done."""
        files = (self.target(table, i) for i in range(self.partitions))
        return sum(_rows(file) for file in files if file.exists())

    def missing(self) -> Iterator[int]:
        """Yield the partitions that are not done."""
        return (i for i in range(self.partitions) if not self.target("faces", i).exists())

    def sweep(self) -> None:
        """Delete what killed processes left."""
        sweep(self.folder, below=True)


def plan(source: str, folder: Path, options: Options) -> Job:
    """Make a job, or open the one that the folder holds.

    Args:
        source: A folder (recursive), a glob pattern, a CSV or Parquet file with a column of
            paths (``path``, ``source``, ``file``, ``image`` or ``filename``; relative ones are
            below the list's folder), or one photo or video.
        folder: The job's folder.
        options: What decides its rows.

    Raises:
        InputError: There are no inputs, or the folder holds a job with other inputs or options.
    """
    if not source:
        raise InputError("'': an empty path; give a folder, a pattern or a list")
    weights = model_path(options.model)
    identity = {
        "source": os.path.abspath(source),  # noqa: PTH100 (patterns)
        **asdict(options),
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest()[:16],
    }
    path = folder / "job.json"
    if not path.exists():
        if folder.exists() and not _is_free(folder):
            raise InputError(f"{folder}: is not empty and holds no job; name another folder")
        _write_plan(source, folder, options, identity)
    content: dict[str, Any] = _read_json(path)
    if not {*identity, "partitions", "inputs"} <= set(content):
        raise _damaged(path)
    if {key: content.get(key) for key in identity} != identity:
        raise InputError(
            f"{folder}: holds a job with other inputs or options; give the same ones to go on, "
            "or name another folder"
        )
    job = Job(folder, options, content["partitions"], content["inputs"])
    job.sweep()
    return job


def _is_free(folder: Path) -> bool:
    """Whether a folder holds nothing, or only what a planning that was killed left."""

    def is_left(entry: Path) -> bool:
        if entry.name == LOCK or entry.name.startswith((_PARTIAL, ".job.json.partial-")):
            return True
        names = [p.name for p in entry.iterdir()] if entry.is_dir() else None
        if entry.name in {"faces", "errors"}:
            return names == []
        return entry.name == "plan" and names is not None and all(map(_PART.fullmatch, names))

    return all(map(is_left, folder.iterdir()))


def _write_plan(source: str, folder: Path, options: Options, identity: dict[str, Any]) -> None:
    partial = folder / _PARTIAL
    for left in (partial, folder / "plan"):  # of a planning that was killed
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True)
    partitions = inputs = 0
    try:
        for group in _groups(_inputs(source), options.partition):
            write_text(_part(partial, partitions, "json"), json.dumps(group, indent=0) + "\n")
            partitions += 1
            inputs += len(group)
    except BaseException:
        _discard(partial)
        raise
    if not inputs:
        _discard(partial)
        raise InputError(f"{source}: holds no photos or videos")
    for name in ("faces", "errors"):
        (folder / name).mkdir(exist_ok=True)
    partial.rename(folder / "plan")
    content = {**identity, "partitions": partitions, "inputs": inputs}
    write_text(folder / "job.json", json.dumps(content, indent=2) + "\n")


def _discard(partial: Path) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    with suppress(OSError):  # the job's folder holds something else
        partial.parent.rmdir()


def _inputs(source: str) -> Iterator[str]:
    """Yield paths one by one, in an order that does not change."""
    path = Path(source)
    if path.is_dir():
        yield from map(str, filter(_is_input, walk(path, VIDEO_SUFFIXES)))
    elif path.suffix.lower() in {".csv", ".parquet"} and path.is_file():
        listed = _csv_paths if path.suffix.lower() == ".csv" else _parquet_paths
        for number, line in enumerate(listed(path), start=1):
            if not isinstance(line, str) or not line.strip():
                raise InputError(f"{path}: row {number} holds no path; fill it in or drop the row")
            yield str(path.parent / line)
    elif path.exists():
        yield source
    elif any(c in source for c in "*?["):
        yield from map(str, filter(_is_input, matches(source)))
    else:
        raise InputError(f"{source}: no such file or folder")


def _is_input(path: Path) -> bool:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return not path.name.startswith(".")
    # what cannot be read becomes a row of the errors
    return is_special(path) or path.is_dir() or looks_like_picture(path)


def _csv_paths(path: Path) -> Iterator[object]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            column = _column(reader.fieldnames or (), path)
            yield from (row[column] for row in reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: not CSV text ({reason(error)}); save it as CSV in UTF-8"
        ) from None


def _parquet_paths(path: Path) -> Iterator[object]:
    try:
        with pq.ParquetFile(path) as file:
            column = _column(file.schema_arrow.names, path)
            for batch in file.iter_batches(columns=[column]):
                yield from batch.column(0).to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a readable Parquet file ({reason(error)}); write it anew"
        ) from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _damaged(path) from None


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        raise InputError(f"{path}: damaged; delete it, and give the same command again") from None


def _damaged(path: Path) -> InputError:
    return InputError(f"{path}: missing or damaged; begin a new job in another folder")


def _column(names: Iterable[str], path: Path) -> str:
    found = [name for name in _COLUMNS if name in names]
    if not found:
        raise InputError(f"{path}: has no column named {', '.join(_COLUMNS)}")
    return found[0]


def _groups(items: Iterable[str], size: int) -> Iterator[list[str]]:
    group: list[str] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _part(folder: Path, number: int, suffix: str) -> Path:
    return folder / f"part-{number:06}.{suffix}"
