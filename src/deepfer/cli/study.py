"""``deepfer evaluate``, ``compare``, ``judge``, ``bench`` and ``methods``: figures and reports."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from deepfer.cli.console import answer, results_folder, tell
from deepfer.cli.measures import measure_conditions, measure_groups
from deepfer.cli.options import (
    Data,
    ExcludeFaults,
    Fold,
    Model,
    PriorText,
    ProtocolName,
    Root,
    Split,
    SplitSeed,
)
from deepfer.errors import InputError
from deepfer.files import claimed

if TYPE_CHECKING:
    from deepfer.data.base import Dataset, ImageSet


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
        if fold or split_seed:
            raise typer.BadParameter("--fold and --split-seed need --protocol")
        return dataset, dataset.load(split), f"{data} {split}"
    if exclude_faults:
        raise typer.BadParameter("a protocol decides what is excluded")
    sides = find_protocol(data, protocol).split(root, seed=split_seed, fold=fold).sides
    if split not in sides:
        raise InputError(f"a protocol has train, val and test, not {split!r}")
    return dataset, sides[split], f"{data} {protocol} fold {fold} seed {split_seed} {split}"


def evaluate(
    data: Data,
    root: Root = None,
    split: Split = "test",
    model: Model = None,
    prior: PriorText = "photos",
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
    conditions: Annotated[
        bool,
        typer.Option("--conditions", help="Measure under light, blur, noise, cover and so on."),
    ] = False,
    limit: Annotated[
        Optional[int], typer.Option(min=1, help="With --conditions: so many images, by seed.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="With --conditions: what is drawn and chosen.")
    ] = 0,
    groups: Annotated[
        Optional[str],
        typer.Option(
            metavar="COLUMN", help="Compare groups of a manifest; age=30,60 bins numbers."
        ),
    ] = None,
) -> None:
    """Measure a model file on a data set."""
    if conditions and (detected or groups is not None):
        raise typer.BadParameter("--conditions stands alone; it has the whole path among others")
    if not conditions and (limit is not None or seed):
        raise typer.BadParameter("--limit and --seed need --conditions")
    from deepfer.classify import Classifier
    from deepfer.evaluation import report, run
    from deepfer.evaluation.groups import group_names

    classifier = Classifier(model, prior)
    dataset, images, what = _side(data, root, split, protocol, fold, split_seed, exclude_faults)
    if out is not None:
        results_folder(out)
    if groups is not None:
        group_names(images, groups)  # a column that is not there is told before the work
    if conditions:
        measure_conditions(model, images, data=what, limit=limit, seed=seed, out=out, prior=prior)
        return
    if detected:
        result = run.evaluate_detected(classifier, images, data=f"{what}, through detection")
    else:
        result = run.evaluate(classifier, images, data=what)
    if groups is not None:
        measure_groups(result, images, column=groups, out=out)
        return
    if protocol is None and not detected:
        run.add_own_figures(result, images, dataset.leaked(split), classifier.info)
    answer(report.text(result))
    if out is None:
        return
    try:
        from deepfer.bench.compare import write_comparison
    except ModuleNotFoundError:
        result.write(out)
        tell(f"wrote {out}; the eval extra adds a report: pip install 'deepfer[eval]'")
    else:
        write_comparison([result], out, sequences=result.sequences_in(images))
        tell(f"wrote {out}/report.html and what it shows as files")


def compare(
    models: Annotated[
        list[str],
        typer.Argument(help="Names or files of models; one alone is compared with the default."),
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
    folder = results_folder(out or Path("results") / "compare")
    results = run_comparison(classifiers, images, data=what)
    sequences = results[0].sequences_in(images)
    answer(write_comparison(results, folder, sequences=sequences).rstrip())
    tell(f"wrote {folder}/report.html, table.md, table.csv and a folder per model")


def judge(
    data: Data = "drawn",
    root: Root = None,
    split: Split = "test",
    model: Model = None,
    per_expression: Annotated[
        int, typer.Option(min=1, help="At most so many faces of each expression.")
    ] = 10,
    out: Annotated[
        Optional[Path], typer.Option(help="Results folder; results/judge by default.")
    ] = None,
) -> None:
    """Measure whether explanations are right: all methods and controls on the same faces."""
    from deepfer.bench.judge import judge as run_judge
    from deepfer.classify import Classifier, model_path
    from deepfer.data import dataset_options, open_dataset
    from deepfer.explain.means import correct_faces
    from deepfer.preprocess import to_pixels

    classifier = Classifier(model_path(model, exact=True))
    size = {"size": classifier.info.input.height} if "size" in dataset_options(data) else {}
    dataset = open_dataset(data, root, **size)
    images = dataset.load(split)
    chosen = correct_faces(classifier, images, per_expression=per_expression)
    masks = dataset.masks(split)
    faces = images.take(chosen)
    folder = results_folder(out or Path("results") / "judge")
    table = run_judge(
        classifier,
        to_pixels(faces.images, classifier.info.input),
        [faces.expressions[k] for k in faces.labels],
        None if masks is None else masks[chosen],
        what=f"{data} {split}",
        out=folder,
        announce=tell,
    )
    answer(table.rstrip())
    tell(f"wrote {folder}/report.html, table.md and table.csv")


def bench(
    table: Annotated[str, typer.Argument(help="A table's name or TOML file; 'list' lists them.")],
    root: Root = None,
    out: Annotated[
        Optional[Path], typer.Option(help="Results folder; results/TABLE by default.")
    ] = None,
    rows: Annotated[
        str, typer.Option(help="Only rows whose protocol and method contain this.")
    ] = "",
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Measure nothing; write the report anew.")
    ] = False,
) -> None:
    """Train and measure what a table still misses, and write its report."""
    from deepfer.bench.table import list_tables, load_table

    if table == "list":
        for name in list_tables():
            for row in load_table(name).rows:
                published = "" if row.published is None else f"published {row.published}"
                answer(f"{name:<8} {row.protocol:<26} {published:<15} {row.title}")
        return
    from deepfer.bench.report import write_report
    from deepfer.bench.run import require_sources, run_cell
    from deepfer.bench.summary import summarize

    content = load_table(table)
    chosen = [row for row in content.rows if rows in f"{row.protocol} {row.title}"]
    if not chosen:
        raise InputError(f"--rows {rows!r} matches no row; see `deepfer bench list`")
    if not report_only:
        require_sources(content, chosen)
    results = results_folder(out or Path("results") / content.name)
    with claimed(results):
        for row in chosen:
            for cell in [] if report_only else content.cells(row):
                tell(f"{row.protocol}, {row.title}, seed {cell.seed}, fold {cell.fold}")
                run_cell(content, cell, root=root, results=results)
            if not report_only or row is chosen[-1]:
                found = [summarize(content, r, results) for r in content.rows]
                write_report(content, found, results)
    answer((results / "table.md").read_text(encoding="utf-8").rstrip())
    tell(f"wrote {results}/report.html, table.md, table.csv and the pictures")


def methods(
    name: Annotated[
        Optional[str], typer.Argument(help="A method; without one, all are listed.")
    ] = None,
) -> None:
    """List the methods that tables can have rows of, or tell all about one."""
    from deepfer.bench.table import list_tables, load_table
    from deepfer.methods import METHODS, method_class
    from deepfer.registry import OURS

    if name is None:
        for problem in METHODS.broken():
            tell(f"warning: {problem}")
        for one in METHODS.working():
            info, origin = method_class(one).info, METHODS.origin(one)
            year = "" if info.year is None else f" ({info.year})"
            needs = f", needs {' and '.join(info.needs)}" if info.needs else ""
            added = "" if origin == OURS else f", added by {origin}"
            answer(f"{one:<24} {info.title}{year}{needs}{added}")
        return
    info = method_class(name).info
    rows = [
        f"{table}: {row.protocol}, {row.title}"
        for table in list_tables()
        for row in load_table(table).rows
        if row.method.info.name == name
    ]
    year = "" if info.year is None else f", {info.year}"
    lines = {
        "method": [f"{name}: {info.title}"],
        "what": [info.what],
        "reference": [f"{info.reference}{year}" if info.reference else "none"],
        "needs": [", ".join(info.needs) or "images and labels"],
        "deviations": [info.deviations or "none"],
        "published": [f"{p.accuracy} % on {p.on} ({p.source})" for p in info.published] or ["none"],
        "version": [str(info.version)],
        "from": [METHODS.origin(name)],
        "rows": rows or ["in no table of ours"],
    }
    for key, values in lines.items():
        for value in values:
            answer(
                textwrap.fill(value, 100, initial_indent=f"{key:<12}", subsequent_indent=" " * 12)
            )
