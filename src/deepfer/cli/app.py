"""The verbs. Each parses its options, calls the library and prints; heavy parts load inside."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from deepfer import __version__
from deepfer.cli.console import PARTIAL, answer, failures, progress, tell
from deepfer.cli.data import app as data_app
from deepfer.cli.service import ModelFile, live, serve
from deepfer.errors import InputError

if TYPE_CHECKING:
    from deepfer.data.base import Dataset, ImageSet

app = typer.Typer(
    name="deepfer",
    help="Recognise facial expressions, train the networks that do, and measure both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.command()(live)
app.command()(serve)

Root = Annotated[
    Optional[Path], typer.Option(help="Folder that holds the data set.", show_default=False)
]
Detect = Annotated[
    bool, typer.Option("--detect/--no-detect", help="Search faces, or take photos as faces.")
]
MinScore = Annotated[
    float, typer.Option(min=0, max=1, help="Leave out faces with a lower detector score.")
]
MinFace = Annotated[int, typer.Option(min=0, help="Leave out narrower faces (pixels).")]
DetectSize = Annotated[
    int, typer.Option(min=64, help="Long side at which photos are searched (pixels).")
]
Changes = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe value; repeatable."),
]
Data = Annotated[str, typer.Option(help="A data set's name; see `deepfer data list`.")]
Split = Annotated[str, typer.Option(help="train, val, test or all.")]
ProtocolName = Annotated[
    Optional[str], typer.Option(help="See `deepfer data protocols`; default: own splits.")
]
Fold = Annotated[int, typer.Option(min=0, help="The protocol's fold.")]
SplitSeed = Annotated[int, typer.Option(min=0, help="What the protocol draws.")]
ExcludeFaults = Annotated[
    bool, typer.Option("--exclude-faults", help="Leave out known faulty images (FER2013).")
]


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
    model: ModelFile = None,
    detect: Detect = True,
    min_score: MinScore = 0.75,
    min_face: MinFace = 0,
    detect_size: DetectSize = 640,
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
        model, detect=detect, min_score=min_score, min_face=min_face, detect_size=detect_size
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
    model: ModelFile = None,
    min_score: MinScore = 0.75,
    detect_size: Annotated[
        int, typer.Option(min=64, help="Long side at which frames are searched (pixels).")
    ] = 640,
) -> None:
    """Follow every face through videos: rows, annotated copies, expressions over time.

    With several videos the targets are folders with one file per video.
    """
    from deepfer.cli.video import Request, process, seconds
    from deepfer.pipeline import Recognizer

    stop = None if end is None else seconds(end)
    begin = seconds(start)
    if stop is not None and stop <= begin:
        raise typer.BadParameter(f"--end {end} is not after --start {start}")
    tables = tuple(path for path in (csv, parquet, json) if path is not None)
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
    recognizer = Recognizer(model, min_score=min_score, detect_size=detect_size)
    failed = 0
    for path in videos:
        own = wanted.of(path, several=len(videos) > 1)
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
    model: ModelFile = None,
    detect: Detect = True,
    min_score: MinScore = 0.75,
    min_face: MinFace = 0,
    detect_size: DetectSize = 640,
) -> None:
    """Recognise many photos and videos into Parquet; the same command goes on after a stop."""
    from deepfer.batch.engines import list_engines, run
    from deepfer.batch.plan import Options, plan
    from deepfer.classify import Classifier
    from deepfer.cli.video import seconds
    from deepfer.errors import UnknownNameError

    if engine not in list_engines():
        raise UnknownNameError("engine", engine, list_engines())
    Classifier(model)  # a bad model file is told before anything is written
    options = Options(
        model=None if model is None else str(model.resolve()),
        detect=detect,
        min_score=min_score,
        min_face=min_face,
        detect_size=detect_size,
        every=seconds(every),
        partition=partition,
    )
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
    model: ModelFile = None,
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
        Optional[str], typer.Option(help="With --dataset: which split; test, or else all.")
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
        side = split or ("test" if "test" in opened.splits else "all")
        classifier, images = Classifier(model), opened.load(side)
        if detected:
            from deepfer.evaluation.run import aligned_faces

            images, _ = aligned_faces(images, classifier.info.input.height, f"{dataset} {side}")
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
    recognizer = Recognizer(model, detect=detect)
    request = Request(method, target, settings, json, out)
    done, failed = explain_photos(paths or [], recognizer, request)
    if done:
        tell(f"pictures are in {out}")
    if failed:
        raise typer.Exit(PARTIAL if done else 1)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A TOML file, or a shipped recipe's name.")],
    root: Root = None,
    out: Annotated[Optional[Path], typer.Option(help="Run folder; runs/RECIPE by default.")] = None,
    set_: Changes = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run stopped.")] = False,
) -> None:
    """Train a network as a recipe says. The same command works under torchrun."""
    from deepfer.training.loop import train as run_training
    from deepfer.training.recipe import load_recipe
    from deepfer.training.record import summary

    settings = load_recipe(recipe, set_ or ())
    folder = out or Path("runs") / Path(recipe).stem
    try:
        best = run_training(
            settings,
            root=root,
            run=folder,
            resume=resume,
            after_epoch=lambda row: tell(summary(row, settings.epochs)),
        )
    except KeyboardInterrupt:
        tell(f"the finished epochs are in {folder}: give the same command with --resume to go on")
        raise
    if best is None:  # the first process speaks for all
        return
    answer(f"{folder}: best epoch {best['epoch']}, validation accuracy {best['val_accuracy']:.2%}")


@app.command()
def average(
    runs: Annotated[list[Path], typer.Argument(help="Run folders or checkpoints.")],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    root: Root = None,
) -> None:
    """Average the weights of runs that started from the same weights."""
    from deepfer.training.average import average as run_average

    about = run_average(runs, out, root=root)
    answer(f"{out}: mean of {len(runs)} runs, validation accuracy {about['val_accuracy']:.2%}")


@app.command()
def tune(
    recipe: Annotated[str, typer.Argument(help="A TOML file, or a shipped recipe's name.")],
    search: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUES",
            help="What to try: KEY=LOW..HIGH, 'KEY=LOW..HIGH log' or KEY=[A, B]; repeatable.",
        ),
    ],
    root: Root = None,
    out: Annotated[
        Optional[Path], typer.Option(help="Study folder; tune/RECIPE by default.")
    ] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Trials in all; choices alone are tried in full.")
    ] = 20,
    repeats: Annotated[
        int, typer.Option(min=1, help="Trainings per trial, over seeds and folds.")
    ] = 1,
    set_: Changes = None,
) -> None:
    """Search recipe values on validation. The same command goes on where it was stopped."""
    from deepfer.bench.tune import Search, parse_space
    from deepfer.bench.tune import tune as run_search

    plan = Search(recipe, tuple(set_ or ()), parse_space(search), repeats)
    folder = out or Path("tune") / Path(recipe).stem
    answer(run_search(plan, trials=trials, root=root, out=folder, announce=tell))
    tell(f"wrote {folder}/trials.csv, search.png and search.json")


@app.command()
def export(
    run: Annotated[
        Optional[Path], typer.Argument(help="A run folder or checkpoint.", show_default=False)
    ] = None,
    to: Annotated[Optional[Path], typer.Option(help="The .onnx file to write.")] = None,
    root: Root = None,
    name: Annotated[
        Optional[str], typer.Option(help="What the model calls itself; the file's name by default.")
    ] = None,
    training_data: Annotated[str, typer.Option(help="What to say about the training data.")] = "",
    licence: Annotated[str, typer.Option(help="Terms of the weights.")] = "",
    int8: Annotated[
        bool, typer.Option("--int8", help="In 8-bit integers: small, and fast on a CPU.")
    ] = False,
    web: Annotated[
        Optional[Path],
        typer.Option(help="Instead: write the page that recognises in the browser to this folder."),
    ] = None,
    model: Annotated[
        Optional[Path], typer.Option(help="With --web: a model file; the shipped one by default.")
    ] = None,
    runtime: Annotated[
        Optional[Path],
        typer.Option(help="With --web: the npm package; default: node_modules/onnxruntime-web."),
    ] = None,
) -> None:
    """Write a trained network as a model file, calibrated and compared with torch; or the page."""
    if web is not None:
        from deepfer.serve.site import write_site

        if run or to or root or name or training_data or licence or int8:
            raise typer.BadParameter("--web takes --model and --runtime alone, and no RUN")
        write_site(web, runtime, model)
        answer(f"{web}: put it on any web server; `python -m http.server -d {web}` tries it")
        return
    if run is None or to is None or model or runtime:
        raise typer.BadParameter("give RUN and --to FILE.onnx, or --web DIR")
    from deepfer.training.export import export as run_export

    info, difference = run_export(
        run,
        to,
        name=name or to.stem,
        root=root,
        training_data=training_data,
        licence=licence,
        int8=int8,
    )
    figures = ", ".join(f"{key} {value:.4f}" for key, value in info.figures.items())
    answer(f"{to}: differs from torch by {difference:.1e}; T {info.temperature:.3f}; {figures}")


def _side(
    data: str,
    root: Path | None,
    split: str,
    protocol: str | None,
    fold: int,
    split_seed: int,
    exclude_faults: bool,
) -> tuple["Dataset", "ImageSet", str]:
    """Return a data set, the images asked for and what to call them."""
    from deepfer.data import open_dataset
    from deepfer.data.protocols import find_protocol

    dataset = open_dataset(data, root, **({"exclude_faults": True} if exclude_faults else {}))
    if protocol is None:
        return dataset, dataset.load(split), f"{data} {split}"
    if exclude_faults:
        raise typer.BadParameter("a protocol decides what is excluded")
    sides = find_protocol(data, protocol).split(root, seed=split_seed, fold=fold).sides
    if split not in sides:
        raise InputError(f"a protocol has train, val and test, not {split!r}")
    return dataset, sides[split], f"{data} {protocol} fold {fold} seed {split_seed} {split}"


@app.command()
def evaluate(
    data: Data,
    root: Root = None,
    split: Split = "test",
    model: ModelFile = None,
    detected: Annotated[
        bool, typer.Option("--detected", help="Send faces through detection and alignment.")
    ] = False,
    protocol: ProtocolName = None,
    fold: Fold = 0,
    split_seed: SplitSeed = 0,
    exclude_faults: ExcludeFaults = False,
    out: Annotated[
        Optional[Path], typer.Option(help="Write metrics, predictions, matrix and report here.")
    ] = None,
) -> None:
    """Measure a model file on a data set."""
    from deepfer.classify import Classifier
    from deepfer.data.fer2013 import Fer2013
    from deepfer.evaluation import report, run

    classifier = Classifier(model)
    dataset, images, what = _side(data, root, split, protocol, fold, split_seed, exclude_faults)
    result = (run.evaluate_detected if detected else run.evaluate)(classifier, images, data=what)
    if isinstance(dataset, Fer2013) and protocol is None and not detected:
        run.add_fer2013_figures(result, dataset, split)
    answer(report.text(result))
    if out is None:
        return
    try:
        from deepfer.bench.compare import write_comparison
    except ModuleNotFoundError:
        result.write(out)
        tell(f"wrote {out}; the eval extra adds a report: pip install 'deepfer[eval]'")
    else:
        write_comparison([result], out)
        tell(f"wrote {out}/report.html and what it shows as files")


@app.command()
def compare(
    models: Annotated[
        list[Path], typer.Argument(help="Model files; one alone is compared with the shipped one.")
    ],
    data: Data,
    root: Root = None,
    split: Split = "test",
    protocol: ProtocolName = None,
    fold: Fold = 0,
    split_seed: SplitSeed = 0,
    exclude_faults: ExcludeFaults = False,
    out: Annotated[
        Optional[Path], typer.Option(help="Results folder; results/compare by default.")
    ] = None,
) -> None:
    """Measure model files on the same images and tell whether they differ from the first."""
    from deepfer.bench.compare import compare as run_comparison
    from deepfer.bench.compare import write_comparison
    from deepfer.classify import Classifier

    classifiers = [Classifier(path) for path in ([None, *models] if len(models) == 1 else models)]
    _, images, what = _side(data, root, split, protocol, fold, split_seed, exclude_faults)
    folder = out or Path("results") / "compare"
    results = run_comparison(classifiers, images, data=what)
    kept = dict(zip(images.ids, images.sequences or (), strict=False))
    sequences = [kept[name] for name in results[0].ids] if kept else None
    answer(write_comparison(results, folder, sequences=sequences).rstrip())
    tell(f"wrote {folder}/report.html, table.md, table.csv and a folder per model")


@app.command()
def judge(
    data: Data = "drawn",
    root: Root = None,
    split: Split = "test",
    model: ModelFile = None,
    per_expression: Annotated[
        int, typer.Option(min=1, help="At most so many faces of each expression.")
    ] = 10,
    out: Annotated[
        Optional[Path], typer.Option(help="Results folder; results/judge by default.")
    ] = None,
) -> None:
    """Measure whether explanations are right: all methods and controls on the same faces."""
    from deepfer.bench.judge import judge as run_judge
    from deepfer.classify import FLOAT_MODEL, Classifier
    from deepfer.data import open_dataset
    from deepfer.data.drawn import Drawn
    from deepfer.explain.means import correct_faces
    from deepfer.preprocess import to_pixels

    classifier = Classifier(model or FLOAT_MODEL)
    size = {"size": classifier.info.input.height} if data == "drawn" else {}
    dataset = open_dataset(data, root, **size)
    images = dataset.load(split)
    chosen = correct_faces(classifier, images, per_expression=per_expression)
    truths = dataset.masks(split)[chosen] if isinstance(dataset, Drawn) else None
    faces = images.take(chosen)
    folder = out or Path("results") / "judge"
    table = run_judge(
        classifier,
        to_pixels(faces.images, classifier.info.input),
        [faces.expressions[k] for k in faces.labels],
        truths,
        what=f"{data} {split}",
        out=folder,
        announce=tell,
    )
    answer(table.rstrip())
    tell(f"wrote {folder}/report.html, table.md and table.csv")


@app.command()
def bench(
    table: Annotated[str, typer.Argument(help="A table's name or TOML file; 'list' lists them.")],
    root: Root = None,
    out: Annotated[
        Optional[Path], typer.Option(help="Results folder; results/TABLE by default.")
    ] = None,
    rows: Annotated[
        str, typer.Option(help="Only rows whose protocol and method contain this.")
    ] = "",
) -> None:
    """Train and measure what a table still misses, and write its report."""
    from deepfer.bench.table import list_tables, load_table

    if table == "list":
        for name in list_tables():
            for row in load_table(name).rows:
                published = "" if row.published is None else f"published {row.published}"
                answer(f"{name:<10} {row.protocol:<22} {row.method:<40} {published}")
        return
    from deepfer.bench.report import write_report
    from deepfer.bench.run import require_weights, run_cell
    from deepfer.bench.summary import summarize

    content = load_table(table)
    results = out or Path("results") / content.name
    chosen = [row for row in content.rows if rows in f"{row.protocol} {row.method}"]
    if not chosen:
        raise InputError(f"--rows {rows!r} matches no row; see `deepfer bench list`")
    require_weights(content, chosen)
    for row in chosen:
        for cell in content.cells(row):
            tell(f"{row.protocol}, {row.method}, seed {cell.seed}, fold {cell.fold}")
            run_cell(content, cell, root=root, results=results)
        write_report(content, [summarize(content, r, results) for r in content.rows], results)
    answer((results / "table.md").read_text(encoding="utf-8").rstrip())
    tell(f"wrote {results}/report.html, table.md, table.csv and confusion/")


@app.command()
def models() -> None:
    """List the networks that can be trained, and the shipped recipes."""
    from deepfer.models import list_models
    from deepfer.recipes import list_recipes

    answer("networks: " + ", ".join(list_models()))
    answer("recipes:  " + ", ".join(list_recipes()))


@app.command()
def info(
    model: Annotated[
        Optional[Path], typer.Argument(help="A model file; the shipped one by default.")
    ] = None,
) -> None:
    """Show what a model file says about itself."""
    from deepfer.classify import DEFAULT_MODEL, Classifier

    about = Classifier(model).info
    rows: list[tuple[str, str]] = [
        ("file", str(model or DEFAULT_MODEL)),
        ("name", about.name),
        ("labels", ", ".join(about.labels)),
        ("input", f"{about.input.width}x{about.input.height} gray"),
        ("temperature", f"{about.temperature:.4f}"),
        ("training data", about.training_data),
        ("licence", about.licence),
        ("recipe", about.recipe),
        *((key, f"{value:.4f}") for key, value in about.figures.items()),
    ]
    for key, value in rows:
        answer(f"{key:<20} {value}")


def main() -> None:
    """Run the command line."""
    app()
