"""A table's results as Markdown, CSV, pictures and one self-contained HTML page."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from deepfer import metrics
from deepfer.bench.page import confusion_picture, png, section, write_page
from deepfer.bench.summary import RowResult, difference
from deepfer.bench.table import Row, Table
from deepfer.files import csv_text, write_bytes, write_text

_COLUMNS = (
    "method",
    "protocol",
    "published %",
    "ours %",
    "95 % interval",
    "gap",
    "difference",
    "from",
    "per sequence %",
    "UAR %",
    "macro F1 %",
    "seeds",
    "recipe",
    "commit",
    "data",
    "note",
)

_ACCURACIES = {"train_accuracy": "#E69F00", "val_accuracy": "#0072B2"}
"""What curves show, and its colour."""


def write_report(table: Table, rows: Sequence[RowResult], results: Path) -> None:
    """Write ``table.md``, ``table.csv``, ``report.html``, and per row its matrix and curves."""
    sections = []
    for row in rows:
        if not row.accuracies:
            continue
        title = f"{row.row.title}, {row.row.protocol}"
        stem = results / "confusion" / row.row.slug
        stem.parent.mkdir(parents=True, exist_ok=True)
        header = ["true \\ predicted", *row.labels]
        counts = [[a, *n] for a, n in zip(row.labels, row.confusion.tolist(), strict=True)]
        write_text(stem.with_suffix(".csv"), csv_text([header, *counts]))
        picture = confusion_picture(title, row.labels, row.confusion)
        write_bytes(stem.with_suffix(".png"), picture)
        pictures = [("confusion matrix", picture)]
        if (curves := _curves(table, row, results)) is not None:
            pictures.append(("training curves", curves))
        sections.append(section(title, row.labels, row.confusion, pictures))
    by_row = {(row.row.protocol, row.row.title): row for row in rows}
    lines = [_line(row, by_row.get((row.row.protocol, row.row.against))) for row in rows]
    notes = deviations([row.row for row in rows])
    write_page(results, table.title, _COLUMNS, lines, sections, notes=notes)


def deviations(rows: Sequence[Row]) -> list[str]:
    """Return, per way in which methods depart from their publications, the rows and the way."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if text := row.method.info.deviations:
            found.setdefault(text, {})[row.title] = None
    return [f"{'; '.join(titles)}: {text}." for text, titles in found.items()]


def _percent(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{100 * value:.{digits}f}"


def _line(row: RowResult, other: RowResult | None) -> list[str]:
    """Return the cells of a table's line; what was not measured says so.

    Args:
        row: The row.
        other: The row against which it is told, if any.
    """
    apart = None if other is None else difference(row, other)
    told = ["", ""]
    if other is not None and apart is not None:
        mean, *ends = (f"{round(100 * value, 2) + 0:+.2f}" for value in apart)  # never -0.00
        told = [f"{mean} ({' to '.join(ends)})", other.row.title]
    if row.mean is None:
        measured = ["not measured", *[""] * 7]
    else:
        spread = "" if row.deviation is None else f" ± {_percent(row.deviation)}"
        low, high = row.interval or (None, None)
        sequences = float(np.mean(row.sequences)) if row.sequences else None
        measured = [
            _percent(row.mean) + spread,
            f"{_percent(low)} to {_percent(high)}",
            "" if row.gap is None else f"{row.gap:+.2f}",
            *told,
            _percent(sequences),
            _percent(metrics.uar(row.confusion)),
            _percent(metrics.macro_f1(row.confusion)),
        ]
    published = "" if row.row.published is None else f"{row.row.published:.2f}"
    seeds = f"{len(row.accuracies)} of {row.row.seeds}"
    return [
        row.row.title,
        row.row.protocol,
        published,
        *measured,
        seeds,
        row.recipe,
        row.commit,
        row.fingerprint,
        row.row.note,
    ]


def _curves(table: Table, row: RowResult, results: Path) -> bytes | None:
    """Draw training and validation accuracy over the epochs of every finished cell.

    What is drawn is kept as text, and stands in for logs that are gone, as they are from a
    checkout. Results of version 0.1 have only the picture.
    """
    kept = results / "curves" / f"{row.row.slug}.csv"
    picture = kept.with_suffix(".png")
    folders = [cell.folder(results) for cell in table.cells(row.row)]
    finished = [folder for folder in folders if (folder / "metrics.json").exists()]
    logs = {f.name: log for f in finished if (log := f / "run" / "metrics.csv").exists()}
    if logs and len(logs) == len(finished):
        lines = [
            [cell, epoch["epoch"], *(f"{float(epoch[key]):.4f}" for key in _ACCURACIES)]
            for cell, log in logs.items()
            for epoch in csv.DictReader(log.read_text(encoding="utf-8").splitlines())
        ]
        kept.parent.mkdir(exist_ok=True)
        write_text(kept, csv_text([["cell", "epoch", *_ACCURACIES], *lines]))
    elif not kept.exists():
        return picture.read_bytes() if picture.exists() else None
    drawn = _drawn_curves(list(csv.DictReader(kept.read_text(encoding="utf-8").splitlines())))
    write_bytes(picture, drawn)
    return drawn


def _drawn_curves(epochs: Sequence[dict[str, str]]) -> bytes:
    figure = Figure(figsize=(6.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for i, cell in enumerate(dict.fromkeys(epoch["cell"] for epoch in epochs)):
        own = [epoch for epoch in epochs if epoch["cell"] == cell]
        x = [int(epoch["epoch"]) for epoch in own]
        for key, color in _ACCURACIES.items():
            label = None if i else key.replace("_", " ")
            y = [100 * float(epoch[key]) for epoch in own]
            axes.plot(x, y, color=color, alpha=0.6, linewidth=1.2, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return png(figure)
