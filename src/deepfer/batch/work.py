"""One partition: its photos and videos to a file of faces and a file of errors."""

import os
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
        self._schema = arrow_schema(self._recognizer.labels)

    def __call__(self, partition: int) -> None:
        """Do one partition, unless it is done."""
        sources = self.job.sources(partition)
        target = self.job.target("faces", partition)
        if target.exists():
            return
        faces: list[list[Any]] = []
        errors: list[tuple[str, str]] = []
        photos = [
            source
            for source in sources
            if Path(source).suffix.lower() not in VIDEO_SUFFIXES and not is_special(source)
        ]
        found = dict(zip(photos, self._recognizer.recognize_many(photos, workers=1), strict=True))
        for source in sources:
            try:
                result = found[source] if source in found else self._other(source)
                if isinstance(result, InputError):
                    raise result
                faces += _photo_rows(result) if isinstance(result, Prediction) else result
            except InputError as error:
                errors.append((printable(source), printable(str(error))))
        # faces last: its name says that the partition is done
        _write(errors, _ERRORS, self.job.target("errors", partition))
        _write(faces, self._schema, target)

    def _other(self, source: str) -> list[list[Any]]:
        if is_special(source):
            raise InputError(f"{source}: {why_not(Path(source))}")
        with VideoFile(source) as video:
            frames = analyse(video, self._recognizer, every=self.job.options.every, workers=1)
            return [row for found in frames for row in rows(source, found)]


def _photo_rows(prediction: Prediction) -> list[list[Any]]:
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
