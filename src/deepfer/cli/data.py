"""``deepfer data``: what the data sets are, and whether the user's copy is whole."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from deepfer.cli.console import answer, tell

app = typer.Typer(help="List, describe, check and draw data sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A data set's name.")]


@app.command("list")
def list_() -> None:
    """List the data sets that can be read."""
    from deepfer.data import DATASETS, dataset_class
    from deepfer.registry import OURS

    for problem in DATASETS.broken():
        tell(f"warning: {problem}")
    for name in DATASETS.working():
        info, origin = dataset_class(name).info, DATASETS.origin(name)
        images = sum(info.counts.values())
        added = "" if origin == OURS else f", added by {origin}"
        answer(f"{name:<16} {f'{images:,}' if images else '-':>7}  {info.title}{added}")


@app.command()
def info(name: Name) -> None:
    """Say where a data set comes from, its terms, layout, labels and known faults."""
    from deepfer.data import DATASETS, dataset_class

    reader = dataset_class(name)
    about = reader.info
    labels = ", ".join(
        label if label == expression else f"{label}={expression}"
        for label, expression in about.labels.items()
    )
    rows = [
        ("name", about.name),
        ("reader", DATASETS.origin(name)),
        ("title", about.title),
        ("source", about.source),
        ("licence", about.licence),
        ("citation", about.citation),
        *(("layout", line) for line in about.layout),
        ("labels", labels),
        ("splits", ", ".join(f"{s} {about.counts.get(s, '')}".strip() for s in reader.splits)),
        ("groups", about.groups or "none known"),
        *(("known fault", line) for line in about.faults),
    ]
    for key, value in rows:
        answer(f"{key:<12} {value}")


@app.command()
def check(
    name: Name,
    root: Annotated[
        Optional[Path], typer.Option(help="Folder that holds the data set.", show_default=False)
    ] = None,
) -> None:
    """Read a data set and compare it with what its publishers promise."""
    from deepfer.data import open_dataset
    from deepfer.data.base import check as run_check

    findings = run_check(open_dataset(name, root))
    for finding in findings:
        expected = "" if finding.ok else f"  EXPECTED {finding.expected}"
        answer(f"{'ok ' if finding.ok else 'BAD'} {finding.what:<42} {finding.found}{expected}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def draw(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    per_class: Annotated[int, typer.Option(min=1, help="Faces per expression and character.")] = 10,
    size: Annotated[int, typer.Option(min=16, help="Pixels.")] = 96,
    seed: Annotated[int, typer.Option(min=0, help="Decides every face.")] = 0,
) -> None:
    """Draw cartoon faces with masks of the regions that carry the expression, and a manifest."""
    from deepfer.data.drawn import write_folder

    count = write_folder(out, per_class=per_class, size=size, seed=seed)
    answer(f"{out}: {count} faces")


@app.command()
def protocols() -> None:
    """List the protocols that results are published on, and what each leaks."""
    from deepfer.data import DATASETS
    from deepfer.data.protocols import list_protocols

    for problem in DATASETS.broken():
        tell(f"warning: {problem}")
    for protocol in list_protocols():
        answer(f"{protocol.dataset} {protocol.name}")
        answer(f"    {protocol.what}; {protocol.folds} fold(s)")
        answer(f"    leaks: {protocol.leaks or 'nothing by design'}")


@app.command()
def audit(
    name: Name,
    protocol: Annotated[
        Optional[str], typer.Option(help="A protocol's name; the data's own splits by default.")
    ] = None,
    root: Annotated[
        Optional[Path], typer.Option(help="Folder that holds the data set.", show_default=False)
    ] = None,
    split_seed: Annotated[int, typer.Option(min=0, help="What the protocol draws.")] = 0,
    fold: Annotated[int, typer.Option(min=0, help="The fold that is tested.")] = 0,
    write: Annotated[Optional[Path], typer.Option(help="Also write the split file here.")] = None,
) -> None:
    """Report copies, near copies, subjects and sequences that stand on both sides of a split."""
    from deepfer.data import open_dataset
    from deepfer.data.audit import audit as run_audit
    from deepfer.data.protocols import find_protocol, list_protocols
    from deepfer.errors import InputError

    if protocol is None:
        if write is not None or fold or split_seed:
            raise typer.BadParameter("--write, --fold and --split-seed need --protocol")
        dataset = open_dataset(name, root)
        if len(dataset.splits) < 2:
            advice = (
                "choose one with --protocol"
                if list_protocols(name)
                else f"give it some as `deepfer data info {name}` says"
            )
            raise InputError(f"{name} has no splits of its own; {advice}")
        sides = {split: dataset.load(split) for split in dataset.splits}
    else:
        split = find_protocol(name, protocol).split(root, seed=split_seed, fold=fold)
        sides = split.sides
        if write is not None:
            split.write(write)
    for side, images in sides.items():
        answer(f"{side:<6} {len(images):>6} images  {images.fingerprint()}")
    for overlap in run_audit(sides):
        what = f"{overlap.second} against {overlap.first}: {overlap.kind}"
        if overlap.share is None:
            answer(f"{what:<56} unknown")
            continue
        example = f"  such as {' and '.join(overlap.example)}" if overlap.example else ""
        answer(f"{what:<56} {overlap.images:>6} {overlap.share:7.1%}{example}")
