"""``deepfer train``, ``average``, ``tune``, ``export``, ``models`` and ``info``."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from deepfer.cli.console import answer, tell, visible
from deepfer.cli.options import Changes, Root


def train(
    recipe: Annotated[str, typer.Argument(help="A TOML file, or a shipped recipe's name.")],
    root: Root = None,
    out: Annotated[Optional[Path], typer.Option(help="Run folder; runs/RECIPE by default.")] = None,
    set_: Changes = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run stopped.")] = False,
) -> None:
    """Train a network as a recipe says. The same command works under torchrun."""
    from deepfer.training.build import training_sets
    from deepfer.training.loop import train as run_training
    from deepfer.training.recipe import load_recipe
    from deepfer.training.record import summary

    settings = load_recipe(recipe, set_ or ())
    folder = out or Path("runs") / Path(recipe).stem
    try:
        best = run_training(
            settings,
            *training_sets(settings, root),
            run=folder,
            resume=resume,
            after_epoch=lambda row: tell(summary(row, settings.epochs)),
        )
    except KeyboardInterrupt:
        tell(f"the finished epochs are in {folder}: give the same command with --resume to go on")
        raise
    if best is None:  # the first process speaks for all
        return
    epoch, accuracy = best.figures["epoch"], best.figures["val_accuracy"]
    answer(f"{folder}: best epoch {epoch}, validation accuracy {accuracy:.2%}")


def average(
    runs: Annotated[list[Path], typer.Argument(help="Run folders or checkpoints.")],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    root: Root = None,
) -> None:
    """Average the weights of runs that started from the same weights."""
    from deepfer.training.average import average as run_average

    about = run_average(runs, out, root=root)
    answer(
        f"{out}: mean of {len(runs)} runs, validation accuracy {about.figures['val_accuracy']:.2%}"
    )


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
        Optional[str], typer.Option(help="With --web: a model's name or file; default: ferplus.")
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


def models() -> None:
    """List the networks that can be trained, and the shipped recipes."""
    from deepfer.models import MODELS
    from deepfer.recipes import list_recipes
    from deepfer.registry import OURS
    from deepfer.training.objectives import OBJECTIVES

    tables = {"networks": MODELS, "objectives": OBJECTIVES}
    for problem in (p for table in tables.values() for p in table.broken()):
        tell(f"warning: {problem}")
    for title, table in tables.items():
        origins = {name: table.origin(name) for name in table.working()}
        names = (n if origin == OURS else f"{n} (of {origin})" for n, origin in origins.items())
        answer(f"{title + ':':<12}{', '.join(names)}")
    answer(f"{'recipes:':<12}{', '.join(list_recipes())}")


def info(
    model: Annotated[
        Optional[str], typer.Argument(help="A model's name or file; all shipped ones by default.")
    ] = None,
) -> None:
    """Show what a model file says about itself; without one, which models are shipped."""
    from deepfer.classify import DEFAULT_MODEL, SHIPPED, Classifier

    if model is None:
        for name in SHIPPED:
            about = Classifier(name).info
            default = " (default)" if name == DEFAULT_MODEL else ""
            answer(f"{name:<8} {about.name}{default}: {about.training_data}")
        return
    classifier = Classifier(model)
    about = classifier.info
    shares = zip(about.labels, about.prior, strict=False)
    rows: list[tuple[str, str]] = [
        ("file", str(classifier.path)),
        ("name", about.name),
        ("labels", ", ".join(about.labels)),
        ("input", f"{about.input.width}x{about.input.height} gray"),
        ("prior", ", ".join(f"{e} {share:.1%}" for e, share in shares) or "not known"),
        ("temperature", f"{about.temperature:.4f}"),
        ("certain from", f"{about.certainty:.4f}"),
        ("mass of the sets", f"{about.set_mass:.4f}"),
        ("training data", about.training_data),
        ("licence", about.licence),
        ("recipe", about.recipe),
        *((key, f"{value:.4f}") for key, value in about.figures.items()),
    ]
    for key, value in rows:
        answer(f"{visible(key):<20} {visible(value)}")
