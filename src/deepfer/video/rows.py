"""Tracked faces as rows of a table, one per face and frame: CSV, JSON lines or Parquet.

A file gets its name only when it is whole.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfer.errors import InputError
from deepfer.files import printable, replacing
from deepfer.labels import Expression
from deepfer.report import SCHEMA, face_columns, face_record, face_row
from deepfer.video.analysis import FrameFaces

Write = Callable[[str, FrameFaces], None]
"""Called with the source's name and one frame's faces."""

_ROWS = 4096  # of a Parquet row group


def columns(labels: Sequence[Expression]) -> dict[str, type]:
    """Return the columns with their types: times in seconds, and those of `face_row`.

    ``p_*`` are the probabilities of the frame alone, ``s_*`` the smoothed ones, which also give
    ``expression``, ``probability``, ``certain`` and ``possible``.
    """
    return {
        "source": str,
        "frame": int,
        "time_s": float,
        "model": str,
        "prior": str,
        "face": int,
        **face_columns(labels, smoothed=True),
    }


def arrow_schema(labels: Sequence[Expression]) -> pa.Schema:
    """Return `columns` as Arrow knows them."""
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    return pa.schema([(name, kinds[kind]) for name, kind in columns(labels).items()])


def arrow_table(lines: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Return rows, possibly none, as an Arrow table."""
    data = zip(*lines, strict=True) if lines else ([] for _ in schema)
    return pa.table(dict(zip(schema.names, data, strict=True)), schema)


def rows(source: str, found: FrameFaces) -> Iterator[list[Any]]:
    """Yield one row per face."""
    for face in found.faces:
        yield [
            printable(source),
            found.frame.number,
            round(found.frame.time, 6),
            found.model,
            found.prior,
            face.id,
            *face_row(face.smoothed, face.now),
        ]


@contextmanager
def row_file(path: Path, labels: Sequence[Expression]) -> Iterator[Write]:
    """Open a file of rows; its suffix says which kind: .csv, .jsonl, .json or .parquet.

    Raises:
        InputError: The suffix is none of these.
    """
    kinds = {".csv": _csv, ".jsonl": _json_lines, ".json": _json_lines, ".parquet": _parquet}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: rows go to a file named .csv, .jsonl, .json or .parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, kind(partial, labels) as write:
        yield write


@contextmanager
def _csv(path: Path, labels: Sequence[Expression]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns(labels))
        yield lambda source, found: writer.writerows(rows(source, found))


@contextmanager
def _json_lines(path: Path, labels: Sequence[Expression]) -> Iterator[Write]:
    """One object per frame, also without faces, as `predict` writes photos."""
    with path.open("w", encoding="utf-8", newline="\n") as file:

        def write(source: str, found: FrameFaces) -> None:
            content = {
                "schema": SCHEMA,
                "source": printable(source),
                "frame": found.frame.number,
                "time_s": round(found.frame.time, 6),
                "model": found.model,
                "prior": found.prior,
                "faces": [
                    {"id": face.id, **face_record(face.smoothed, face.now)} for face in found.faces
                ],
            }
            file.write(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")

        yield write


@contextmanager
def _parquet(path: Path, labels: Sequence[Expression]) -> Iterator[Write]:
    schema = arrow_schema(labels)
    waiting: list[list[Any]] = []
    with pq.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(arrow_table(waiting, schema))
            waiting.clear()

        def write(source: str, found: FrameFaces) -> None:
            waiting.extend(rows(source, found))
            if len(waiting) >= _ROWS:
                flush()

        yield write
        if waiting:
            flush()
