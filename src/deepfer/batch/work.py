"""One partition: its photos and videos to a file of faces and a file of errors."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfer.batch.plan import VIDEO_SUFFIXES, Job
from deepfer.errors import InputError
from deepfer.files import printable, replacing
from deepfer.gather import why_not
from deepfer.media import is_special, quiet
from deepfer.pipeline import Recognizer
from deepfer.report import face_row
from deepfer.types import Prediction
from deepfer.video.analysis import analyse
from deepfer.video.frames import VideoFile
from deepfer.video.rows import arrow_schema, arrow_table, rows

Rows = list[list[Any]]

_ERRORS = pa.schema([("source", pa.string()), ("error", pa.string())])


class Worker:
    """Does partitions of a job; made once per process, since opening the model takes time.

    Args:
        job: The job.
    """

    def __init__(self, job: Job) -> None:
        quiet()
        self.job = job
        options = job.options
        self._recognizer = Recognizer(
            options.model,
            prior=options.prior,
            min_certainty=options.min_certainty,
            detect=options.detect,
            min_score=options.min_score,
            min_face=options.min_face,
            detect_size=options.detect_size,
        )
        self._columns = arrow_schema(self._recognizer.labels)

    def columns(self) -> pa.Schema:
        """Return what a row of faces holds."""
        return self._columns

    def partition(self, number: int) -> None:
        """Do one partition, unless it is done."""
        if self.job.target("faces", number).exists():
            return
        faces: Rows = []
        errors: list[tuple[str, str]] = []
        for source, result in self._results(self.job.sources(number)):
            if isinstance(result, InputError):
                errors.append((source, str(result)))
            else:
                faces += result
        write_partition(self.job, number, faces, errors, self._columns)

    def alone(self, source: str) -> Rows:
        """Return the rows of one input.

        Raises:
            InputError: It cannot be read.
        """
        ((_, result),) = self._results([source])
        if isinstance(result, InputError):
            raise result
        return result

    def _results(self, sources: list[str]) -> Iterator[tuple[str, Rows | InputError]]:
        photos = [
            source
            for source in sources
            if Path(source).suffix.lower() not in VIDEO_SUFFIXES and not is_special(source)
        ]
        found = dict(zip(photos, self._recognizer.recognize_many(photos, workers=1), strict=True))
        for source in sources:
            result = found.get(source)
            if isinstance(result, Prediction):
                yield source, _photo_rows(result)
            elif result is not None:
                yield source, result
            else:
                try:
                    yield source, self._other(source)
                except InputError as error:
                    yield source, error

    def _other(self, source: str) -> Rows:
        if is_special(source):
            raise InputError(f"{source}: {why_not(Path(source))}")
        with VideoFile(source) as video:
            frames = analyse(video, self._recognizer, every=self.job.options.every, workers=1)
            return [row for found in frames for row in rows(source, found)]


def write_partition(
    job: Job, number: int, faces: Rows, errors: list[tuple[str, str]], columns: pa.Schema
) -> None:
    """Write a partition's files.

    Args:
        job: The job.
        number: The partition.
        faces: Rows.
        errors: Inputs that could not be read, and why.
        columns: Of the rows.
    """
    told = [[printable(text) for text in row] for row in errors]
    # faces last: its name says that the partition is done
    _write(told, _ERRORS, job.target("errors", number))
    _write(faces, columns, job.target("faces", number))


def _photo_rows(prediction: Prediction) -> Rows:
    """Return rows like those of videos; without frame, time and smoothed probabilities."""
    photo = [printable(prediction.source), None, None, prediction.model, prediction.prior]
    return [
        [*photo, i, *face_row(face), *[None] * len(face.probabilities)]
        for i, face in enumerate(prediction.faces, start=1)
    ]


def _write(lines: list[Any], schema: pa.Schema, path: Path) -> None:
    with replacing(path) as partial:
        pq.write_table(arrow_table(lines, schema), partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
