"""``deepfer video``: rows, annotated copies and summaries of one or several videos."""

import math
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from deepfer.cli.console import answer, tell
from deepfer.errors import InputError
from deepfer.files import claimed, write_bytes
from deepfer.pipeline import Recognizer
from deepfer.video.analysis import analyse
from deepfer.video.annotated import SUFFIXES, annotated_copy
from deepfer.video.frames import VideoFile
from deepfer.video.rows import row_file
from deepfer.video.summary import Summary

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?)(?:s)?")


@dataclass(frozen=True)
class Request:
    """What is wanted of each video.

    Attributes:
        tables: Files of rows, one set per video.
        out: Annotated copy.
        summary: Picture of expressions over time.
        every: Seconds.
        start: Seconds.
        end: Seconds.
        smoothing: Seconds.
        search_every: Seconds.
    """

    tables: tuple[Path, ...]
    out: Path | None
    summary: Path | None
    every: float
    start: float
    end: float | None
    smoothing: float
    search_every: float

    @property
    def targets(self) -> list[Path]:
        """All files that are written."""
        return [*self.tables, *(p for p in (self.out, self.summary) if p is not None)]

    def of(self, source: Path, several: bool) -> "Request":
        """Return the request for one of several videos: targets are folders then."""
        if not several:
            return self
        tables = tuple(p.with_suffix("") / f"{source.stem}{p.suffix}" for p in self.tables)
        out = None if self.out is None else self.out / f"{source.stem}{_copy_suffix(source)}"
        summary = None if self.summary is None else self.summary / f"{source.stem}.png"
        return replace(self, tables=tables, out=out, summary=summary)


def requests(videos: Sequence[Path], request: Request) -> list[Request]:
    """Return what is wanted of each video, every target a file of its own.

    Raises:
        InputError: A target is wanted twice, or would overwrite a video. Nothing is written yet.
    """
    originals = {video.resolve() for video in videos}
    wanted_of: dict[str, Path] = {}
    found = []
    for video in videos:
        own = request.of(video, several=len(videos) > 1)
        for target in own.targets:
            if target.resolve() in originals:
                raise InputError(f"{target}: would overwrite the original; choose another name")
            other = wanted_of.setdefault(str(target.resolve()).casefold(), video)
            if other is not video:
                raise InputError(
                    f"{target}: is wanted of both {other} and {video}; rename one of them, or "
                    "give each a command of its own"
                )
        if len({target.resolve() for target in own.targets}) < len(own.targets):
            raise InputError(f"{video}: two options name one file; give each its own")
        found.append(own)
    return found


def seconds(text: str) -> float:
    """Read a time: ``90``, ``0.5s``, ``1:30`` or ``1:02:03.5``.

    Raises:
        InputError: It is none of these.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is no time; write seconds (0.5s) or minutes (1:30)")
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + rest


def process(source: Path, recognizer: Recognizer, request: Request) -> None:
    """Do everything that is wanted of one video, and print what each person showed.

    Raises:
        InputError: The video cannot be read, or a target cannot be written, or another program
            is writing it.
    """
    with ExitStack() as claims:
        for target in request.targets:
            claims.enter_context(claimed(target.parent, target.name))
        _process(source, recognizer, request)


def _process(source: Path, recognizer: Recognizer, request: Request) -> None:
    summary = Summary(recognizer.labels)
    frames = faces = 0
    began = time.monotonic()
    with ExitStack() as stack:
        video = stack.enter_context(VideoFile(source))
        writers = [stack.enter_context(row_file(p, recognizer.labels)) for p in request.tables]
        copy = None
        if request.out is not None:
            copy = stack.enter_context(annotated_copy(request.out, source, start=request.start))
        bar, task = _bar(video, request)
        stack.enter_context(bar)
        for found in analyse(
            video,
            recognizer,
            every=request.every,
            start=request.start,
            end=request.end,
            smoothing=request.smoothing,
            search_every=request.search_every,
        ):
            for write in writers:
                write(str(source), found)
            if copy is not None:
                copy(found)
            summary.add(found)
            frames += 1
            faces += len(found.faces)
            bar.update(task, completed=found.frame.time - request.start, rate=_rate(frames, began))
        if not frames:
            raise InputError(f"{source}: no frame between --start and --end; it is shorter")
        if video.joined:
            tell(f"warning: {video.joined}")
        if video.damaged:
            tell(f"warning: {video.damaged}; the rest before it is done")
    if request.summary is not None:
        write_bytes(request.summary, summary.picture(source.name))
    answer(f"{source}: {frames} frames, {faces} faces, {_rate(frames, began)}")
    certain = summary.certain()
    for id_, shares in summary.shares().items():
        ranked = sorted(shares.items(), key=lambda item: -item[1])
        words = ", ".join(f"{e} {p:.0%}" for e, p in ranked if p >= 0.005)
        answer(f"  face {id_}: {words}; certain in {certain[id_]:.0%} of its frames")


def _rate(frames: int, began: float) -> str:
    return f"{frames / max(time.monotonic() - began, 1e-6):.0f} frames per second"


def _bar(video: VideoFile, request: Request) -> tuple[Progress, TaskID]:
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,
    )
    end = min(math.inf if t is None else t for t in (request.end, video.duration))
    total = None if math.isinf(end) else max(end - request.start, 0)
    return bar, bar.add_task(Path(video.name).name, total=total, rate="")


def _copy_suffix(source: Path) -> str:
    return source.suffix if source.suffix.lower() in SUFFIXES else ".mp4"
