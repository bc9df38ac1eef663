"""A table's results as Markdown, CSV, pictures and one self-contained HTML page."""

import base64
import csv
import html
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from deepfer import metrics
from deepfer.bench.summary import RowResult
from deepfer.bench.table import Table
from deepfer.files import csv_text, replacing, write_text

_COLUMNS = (
    "method",
    "protocol",
    "published %",
    "ours %",
    "95 % interval",
    "gap",
    "per sequence %",
    "UAR %",
    "macro F1 %",
    "seeds",
    "recipe",
    "commit",
    "data",
    "note",
)


def write_report(table: Table, rows: Sequence[RowResult], results: Path) -> None:
    """Write ``table.md``, ``table.csv``, ``report.html`` and a picture and CSV per matrix."""
    results.mkdir(parents=True, exist_ok=True)
    lines = [_line(row) for row in rows]
    write_text(results / "table.csv", csv_text([_COLUMNS, *lines]))
    write_text(results / "table.md", _markdown(table, lines))
    sections = []
    for row in rows:
        if not row.accuracies:
            continue
        stem = results / "confusion" / row.row.slug
        stem.parent.mkdir(exist_ok=True)
        header = ["true \\ predicted", *row.labels]
        counts = [[a, *n] for a, n in zip(row.labels, row.confusion.tolist(), strict=True)]
        write_text(stem.with_suffix(".csv"), csv_text([header, *counts]))
        picture = _confusion_picture(row)
        with replacing(stem.with_suffix(".png")) as partial:
            partial.write_bytes(picture)
        sections.append(_section(row, picture, _curves(table, row, results)))
    write_text(results / "report.html", _page(table, lines, sections))


def _percent(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{100 * value:.{digits}f}"


def _line(row: RowResult) -> list[str]:
    """Return the cells of a table's line; what was not measured says so."""
    if row.mean is None:
        measured = ["not measured", "", "", "", "", ""]
    else:
        spread = "" if row.deviation is None else f" ± {_percent(row.deviation)}"
        low, high = row.interval or (None, None)
        sequences = float(np.mean(row.sequences)) if row.sequences else None
        measured = [
            _percent(row.mean) + spread,
            f"{_percent(low)} to {_percent(high)}",
            "" if row.gap is None else f"{row.gap:+.2f}",
            _percent(sequences),
            _percent(metrics.uar(row.confusion)),
            _percent(metrics.macro_f1(row.confusion)),
        ]
    published = "" if row.row.published is None else f"{row.row.published:.2f}"
    seeds = f"{len(row.accuracies)} of {row.row.seeds}"
    return [
        row.row.method,
        row.row.protocol,
        published,
        *measured,
        seeds,
        row.recipe,
        row.commit,
        row.fingerprint,
        row.row.note,
    ]


def _markdown(table: Table, lines: list[list[str]]) -> str:
    rule = "|" + " --- |" * len(_COLUMNS)
    body = ["| " + " | ".join(cell or " " for cell in line) + " |" for line in (_COLUMNS, *lines)]
    return "\n".join([f"# {table.title}", "", body[0], rule, *body[1:]]) + "\n"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120)
    return buffer.getvalue()


def _confusion_picture(row: RowResult) -> bytes:
    """Draw counts on the shares of each true class."""
    figure = Figure(figsize=(6.2, 5.4), layout="constrained")
    axes = figure.subplots()
    shares = row.confusion / np.maximum(row.confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=mpl.colormaps["cividis"], vmin=0, vmax=1)
    for i, j in np.ndindex(*row.confusion.shape):
        if row.confusion[i, j]:
            ink = "black" if shares[i, j] > 0.55 else "white"
            text = f"{row.confusion[i, j]}\n{shares[i, j]:.0%}"
            axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=8)
    places = range(len(row.labels))
    axes.set_xticks(places, row.labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, row.labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{row.row.method}, {row.row.protocol}", fontsize=11)
    figure.colorbar(image, ax=axes, label="share of the true class")
    return _png(figure)


def _curves(table: Table, row: RowResult, results: Path) -> bytes | None:
    """Draw training and validation accuracy over the epochs of every cell."""
    figure = Figure(figsize=(6.2, 3.4), layout="constrained")
    axes = figure.subplots()
    drawn = False
    for cell in table.cells(row.row):
        path = cell.folder(results) / "run" / "metrics.csv"
        if not path.exists():
            continue
        epochs = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        x = [int(e["epoch"]) for e in epochs]
        for key, color in (("train_accuracy", "#E69F00"), ("val_accuracy", "#0072B2")):
            label = None if drawn else key.replace("_", " ")
            y = [100 * float(e[key]) for e in epochs]
            axes.plot(x, y, color=color, alpha=0.6, linewidth=1.2, label=label)
        drawn = True
    if not drawn:
        return None
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return _png(figure)


def _section(row: RowResult, matrix: bytes, curves: bytes | None) -> str:
    scores = np.stack(
        [f(row.confusion) for f in (metrics.precisions, metrics.recalls, metrics.f1_scores)]
    )
    body = "".join(
        f"<tr><th>{html.escape(label)}</th><td>{int(row.confusion[i].sum())}</td>"
        + "".join("<td>-</td>" if np.isnan(s) else f"<td>{s:.1%}</td>" for s in scores[:, i])
        + "</tr>"
        for i, label in enumerate(row.labels)
    )
    pictures = "".join(
        f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'
        for alt, data in (("confusion matrix", matrix), ("training curves", curves))
        if data is not None
    )
    title = html.escape(f"{row.row.method}, {row.row.protocol}")
    head = "<tr><th>expression</th><th>images</th><th>precision</th><th>recall</th><th>F1</th></tr>"
    return (
        f"<section><h2>{title}</h2><div class=row>{pictures}"
        f"<table>{head}{body}</table></div></section>"
    )


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:82rem;padding:0 1rem;
color:#1b1b1b;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.5rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}
th,td{border-bottom:1px solid #ddd;padding:.3rem .6rem;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
.row{display:flex;flex-wrap:wrap;gap:1.5rem;align-items:flex-start}
img{max-width:100%;height:auto;width:34rem}
@media (prefers-color-scheme:dark){body{background:#16181c;color:#e8e8e8}
th,td{border-color:#3a3d44}img{background:#fff}}
"""


def _page(table: Table, lines: list[list[str]], sections: list[str]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    body = row(_COLUMNS, "th") + "".join(row(line, "td") for line in lines)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(table.title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(table.title)}</h1><div class=wide><table>{body}</table></div>"
        f"{''.join(sections)}</body></html>\n"
    )
