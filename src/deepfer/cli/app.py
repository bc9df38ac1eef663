"""The command line: every verb parses its options, calls the library and prints.

Heavy parts load inside the verbs, so that ``deepfer --help`` is quick.
"""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Optional

import typer

from deepfer import __version__
from deepfer.cli.console import PARTIAL, answer, failures, progress, results_folder, tell
from deepfer.cli.data import app as data_app
from deepfer.cli.options import (
    Detect,
    DetectSize,
    MinCertainty,
    MinFace,
    MinScore,
    Model,
    PriorText,
    Root,
)
from deepfer.cli.service import live, serve
from deepfer.cli.study import bench, compare, evaluate, judge, methods
from deepfer.cli.training import average, export, info, models, train, tune
from deepfer.errors import InputError
from deepfer.files import claimed
from deepfer.memory import one_heap

app = typer.Typer(
    name="deepfer",
    help="Recognise facial expressions, train the networks that do, and measure both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        answer(__version__)
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    one_heap()
    context.with_resource(failures(debug=debug))


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Photos, folders (recursive), glob patterns, or - for standard input."),
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object per photo.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One CSV row per face.")] = False,
    out: Annotated[
        Optional[Path], typer.Option(help="Write annotated copies into this folder.")
    ] = None,
    model: Model = None,
    prior: PriorText = "photos",
    min_certainty: MinCertainty = None,
    detect: Detect = True,
    min_score: MinScore = 0.75,
    min_face: MinFace = 0,
    detect_size: DetectSize = None,
    workers: Annotated[
        Optional[int], typer.Option(min=1, help="Photos prepared at once; default: all cores.")
    ] = None,
) -> None:
    """Find faces in photos and tell their expressions."""
    from deepfer import report
    from deepfer.cli.photos import AnnotatedCopies, expand_all, read_stdin
    from deepfer.media import Source
    from deepfer.pipeline import Recognizer

    if json and csv:
        raise typer.BadParameter("choose --json or --csv, not both")
    show = report.to_json_line if json else report.csv_rows if csv else report.table_rows
    inputs, failed = expand_all(paths)
    sources: list[Source] = [read_stdin() if path == "-" else path for path, _ in inputs]
    recognizer = Recognizer(
        model,
        prior=prior,
        min_certainty=min_certainty,
        detect=detect,
        min_score=min_score,
        min_face=min_face,
        detect_size=detect_size,
    )
    copies = None if out is None else AnnotatedCopies(out, inputs)
    if csv:
        answer(report.csv_header(recognizer.labels))
    results = recognizer.recognize_many(sources, workers=workers)
    done = 0
    for position, result in enumerate(progress(results, len(inputs), "photos")):
        try:
            if isinstance(result, InputError):
                raise result
            answer(show(result))
            if copies is not None:
                copies.write(position, sources[position], result)
            done += 1
        except InputError as error:
            tell(f"error: {error}")
            failed += 1
    if failed:
        raise typer.Exit(PARTIAL if done else 1)


@app.command()
def video(
    videos: Annotated[list[Path], typer.Argument(help="Video files.")],
    out: Annotated[
        Optional[Path],
        typer.Option(help="Annotated copy (.mp4, .mov, .mkv); a folder for several videos."),
    ] = None,
    csv: Annotated[Optional[Path], typer.Option(help="A row per face and frame, as CSV.")] = None,
    parquet: Annotated[Optional[Path], typer.Option(help="The same as Parquet.")] = None,
    json: Annotated[Optional[Path], typer.Option(help="One JSON object per frame.")] = None,
    summary: Annotated[
        Optional[Path], typer.Option(help="Picture of expressions over time and per person.")
    ] = None,
    every: Annotated[
        Optional[str], typer.Option(help="Time between frames, such as 0.5s; all by default.")
    ] = None,
    start: Annotated[str, typer.Option(help="Where to begin, such as 12.5 or 1:30.")] = "0",
    end: Annotated[Optional[str], typer.Option(help="Where to stop; default: the end.")] = None,
    smoothing: Annotated[
        float, typer.Option(min=0.01, help="Seconds after which a change shows to 63 %.")
    ] = 0.4,
    search_every: Annotated[
        str,
        typer.Option(help="Least time between searches for faces; 0 searches every frame."),
    ] = "0.1s",
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out videos whose files are all there.")
    ] = False,
    model: Model = None,
    prior: PriorText = "photos",
    min_certainty: MinCertainty = None,
    min_score: MinScore = 0.75,
    detect_size: DetectSize = None,
) -> None:
    """Follow every face through videos: rows, annotated copies, expressions over time.

    With several videos the targets are folders with one file per video.
    """
    from deepfer.cli.video import Request, process, requests, seconds
    from deepfer.pipeline import Recognizer

    stop = None if end is None else seconds(end)
    begin = seconds(start)
    if stop is not None and stop <= begin:
        raise typer.BadParameter(f"--end {end} is not after --start {start}")
    kinds = ((csv, ".csv"), (parquet, ".parquet"), (json, ".jsonl"))
    tables = tuple(
        path if path.suffix else path.with_suffix(kind) for path, kind in kinds if path is not None
    )
    wanted = Request(
        tables=tables,
        out=out,
        summary=summary,
        every=seconds(every) if every else 0.0,
        start=begin,
        end=stop,
        smoothing=smoothing,
        search_every=seconds(search_every),
    )
    planned = requests(videos, wanted)
    recognizer = Recognizer(
        model,
        prior=prior,
        min_certainty=min_certainty,
        min_score=min_score,
        detect_size=detect_size,
    )
    failed = 0
    for path, own in zip(videos, planned, strict=True):
        if resume and own.targets and all(target.exists() for target in own.targets):
            tell(f"{path}: done before")
            continue
        try:
            process(path, recognizer, own)
        except InputError as error:
            tell(f"error: {error}")
            failed += 1
    if failed:
        raise typer.Exit(PARTIAL if failed < len(videos) else 1)


@app.command()
def batch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A folder, a pattern, or a CSV or Parquet list of photos and videos.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The job's folder.")],
    engine: Annotated[str, typer.Option(help="local: this machine; ray: a cluster.")] = "local",
    workers: Annotated[
        Optional[int], typer.Option(min=1, help="Partitions done at once; default: all cores.")
    ] = None,
    partition: Annotated[int, typer.Option(min=1, help="Inputs per partition.")] = 256,
    every: Annotated[str, typer.Option(help="Time between frames of videos; 0 for all.")] = "1s",
    model: Model = None,
    prior: PriorText = "photos",
    min_certainty: MinCertainty = None,
    detect: Detect = True,
    min_score: MinScore = 0.75,
    min_face: MinFace = 0,
    detect_size: DetectSize = None,
) -> None:
    """Recognise many photos and videos into Parquet; the same command goes on after a stop."""
    from deepfer.batch.engines import list_engines, run
    from deepfer.batch.plan import Options, plan
    from deepfer.classify import SHIPPED, Classifier
    from deepfer.cli.video import seconds
    from deepfer.errors import UnknownNameError

    if engine not in list_engines():
        raise UnknownNameError("engine", engine, list_engines())
    known = Classifier(model, prior)  # what is bad is told before anything is written
    options = Options(
        model=model if model is None or model in SHIPPED else str(known.path.resolve()),
        prior=known.prior.text,
        min_certainty=min_certainty,
        detect=detect,
        min_score=min_score,
        min_face=min_face,
        detect_size=detect_size,
        every=seconds(every),
        partition=partition,
    )
    with claimed(out), redirect_stdout(sys.stderr):  # Ray tells of ended workers there
        job = plan(source, out, options)
        left = sum(1 for _ in job.missing())
        tell(f"{job.inputs} inputs in {job.partitions} partitions, {left} to do")
        for _ in progress(run(job, engine, workers=workers), left, "partitions"):
            pass
    errors = job.count("errors")
    answer(f"{job.inputs} inputs, {job.count('faces')} faces, {errors} errors")
    tell(f"wrote {out}/faces and {out}/errors; read them with any Parquet tool")
    if errors:
        raise typer.Exit(PARTIAL)


@app.command()
def explain(
    paths: Annotated[
        Optional[list[str]],
        typer.Argument(help="Photos, folders (recursive), glob patterns, or - for standard input."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="occlusion or attention; with the extra `explain` also grad_cam, "
            "hires_cam, gradient and integrated_gradients."
        ),
    ] = "occlusion",
    target: Annotated[
        Optional[str], typer.Option(help="Expression to explain; the most probable by default.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per face.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("explained"),
    model: Model = None,
    prior: PriorText = "photos",
    detect: Detect = True,
    set_: Annotated[
        Optional[list[str]],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the method, such as patch=12, stride=4 or fill=blur; repeatable.",
        ),
    ] = None,
    dataset: Annotated[
        Optional[str], typer.Option(help="Instead of photos: mean maps over this data set.")
    ] = None,
    root: Root = None,
    split: Annotated[
        Optional[str], typer.Option(help="With --dataset: which split; test, or else the last.")
    ] = None,
    per_expression: Annotated[
        int, typer.Option(min=1, help="With --dataset: at most so many faces of each expression.")
    ] = 50,
    detected: Annotated[
        bool, typer.Option("--detected", help="With --dataset: find and align the faces first.")
    ] = False,
) -> None:
    """Show which parts of a face decided: a picture per face, and the share of each region."""
    from deepfer.classify import Classifier
    from deepfer.cli.explain import Request, explain_dataset, explain_photos, parse_settings
    from deepfer.pipeline import Recognizer

    settings = parse_settings(set_ or ())
    if bool(paths) == bool(dataset):
        raise typer.BadParameter("give photos, or --dataset, and only one of them")
    if dataset and (target or json or not detect):
        raise typer.BadParameter("--target, --json and --no-detect are for photos")
    if paths and (root or split or detected):
        raise typer.BadParameter("--root, --split and --detected are for --dataset")
    if dataset is not None:
        from deepfer.data import open_dataset

        opened = open_dataset(dataset, root)
        side = split or ("test" if "test" in opened.splits else opened.splits[-1])
        classifier, images = Classifier(model, prior), opened.load(side)
        if detected:
            from deepfer.evaluation.run import aligned_faces

            images, _ = aligned_faces(Recognizer(classifier), images, f"{dataset} {side}")
        results_folder(out)
        explain_dataset(
            classifier,
            images,
            what=f"{dataset} {side}{', aligned' if detected else ''}",
            method=method,
            settings=settings,
            per_expression=per_expression,
            out=out,
        )
        tell(f"wrote {out}/mean_maps.png, mean_maps.csv and region_shares.csv")
        return
    recognizer = Recognizer(model, prior=prior, detect=detect)
    request = Request(method, target, settings, json, out)
    done, failed, pictures = explain_photos(paths or [], recognizer, request)
    if pictures:
        tell(f"pictures are in {out}")
    if failed:
        raise typer.Exit(PARTIAL if done else 1)


for verb in (
    live,
    serve,
    train,
    average,
    tune,
    export,
    evaluate,
    compare,
    judge,
    bench,
    methods,
    models,
    info,
):
    app.command()(verb)


def main() -> None:
    """Run the command line."""
    app()
