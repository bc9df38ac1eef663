"""The parts that every report is made of: pictures, a table as Markdown, one HTML page."""

import base64
import html
import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from deepfer import metrics
from deepfer.files import csv_text, write_text

Line = Sequence[str]


def write_page(
    folder: Path,
    title: str,
    columns: Line,
    lines: Sequence[Line],
    sections: Sequence[str],
    *,
    notes: Sequence[str] = (),
) -> str:
    """Write ``table.csv``, ``table.md`` and the self-contained ``report.html``.

    Notes stand below the table, in the latter two.

    Returns:
        The content of ``table.md``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = f"# {title}\n\n{_markdown(columns, lines)}" + "".join(f"\n{note}\n" for note in notes)
    write_text(folder / "table.csv", csv_text([columns, *lines]))
    write_text(folder / "table.md", text)
    write_text(folder / "report.html", _page(title, columns, lines, sections, notes))
    return text


def _markdown(columns: Line, lines: Sequence[Line]) -> str:
    """Return a table in Markdown."""
    rows = [" | ".join(cell or " " for cell in line) for line in (columns, *lines)]
    rule = " --- |" * len(columns)
    return "\n".join([f"| {rows[0]} |", f"|{rule}", *(f"| {row} |" for row in rows[1:])]) + "\n"


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120)
    return buffer.getvalue()


def confusion_picture(title: str, labels: Sequence[str], confusion: metrics.Counts) -> bytes:
    """Draw counts on the shares of each true class; rows true."""
    figure = Figure(figsize=(6.2, 5.4), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=mpl.colormaps["cividis"], vmin=0, vmax=1)
    for i, j in np.ndindex(*confusion.shape):
        if confusion[i, j]:
            ink = "black" if shares[i, j] > 0.55 else "white"
            text = f"{confusion[i, j]}\n{shares[i, j]:.0%}"
            axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=8)
    places = range(len(labels))
    axes.set_xticks(places, labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(textwrap.fill(title, 56), fontsize=11)
    figure.colorbar(image, ax=axes, label="share of the true class")
    return png(figure)


def section(
    title: str,
    labels: Sequence[str],
    confusion: metrics.Counts,
    pictures: Sequence[tuple[str, bytes]],
) -> str:
    """Return one method's part of the page: its pictures and its scores per expression.

    Args:
        title: Heading.
        labels: Of the confusion matrix.
        confusion: Counts, rows true.
        pictures: Alternative texts and PNGs.
    """
    scores = np.stack(
        [f(confusion) for f in (metrics.precisions, metrics.recalls, metrics.f1_scores)]
    )
    lines = [
        [label, str(int(confusion[i].sum()))]
        + ["-" if np.isnan(s) else f"{s:.1%}" for s in scores[:, i]]
        for i, label in enumerate(labels)
    ]
    columns = ("expression", "images", "precision", "recall", "F1")
    return block(title, pictures, columns, lines)


def block(
    title: str,
    pictures: Sequence[tuple[str, bytes]],
    columns: Line = (),
    lines: Sequence[Line] = (),
) -> str:
    """Return a part of the page: pictures and, beside them, a table; large pictures without one.

    Args:
        title: Heading.
        pictures: Alternative texts and PNGs.
        columns: The table's head; without it there is no table.
        lines: Its lines.
    """
    large = "" if columns else " class=large"
    shown = "".join(
        f'<img{large} alt="{html.escape(alt)}" src="data:image/png;base64,'
        f'{base64.b64encode(data).decode()}">'
        for alt, data in pictures
    )
    table = f"<div class=wide>{_table(columns, lines)}</div>" if columns else ""
    return f"<section><h2>{html.escape(title)}</h2><div class=row>{shown}{table}</div></section>"


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:120rem;padding:0 1rem;
color:#1b1b1b;background:#fff}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.5rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}
th,td{border-bottom:1px solid #ddd;padding:.3rem .6rem;text-align:right;white-space:nowrap}
th:first-child,td:first-child,.words{text-align:left}
.row{display:flex;flex-wrap:wrap;gap:1.5rem;align-items:flex-start}
img{max-width:100%;height:auto;width:34rem}
img.large{width:80rem}
@media (prefers-color-scheme:dark){body{background:#16181c;color:#e8e8e8}
th,td{border-color:#3a3d44}img{background:#fff}}
"""


def _page(
    title: str,
    columns: Line,
    lines: Sequence[Line],
    sections: Sequence[str],
    notes: Sequence[str],
) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1><div class=wide>{_table(columns, lines)}</div>"
        f"{''.join(f'<p>{html.escape(note)}</p>' for note in notes)}"
        f"{''.join(sections)}</body></html>\n"
    )


def _table(columns: Line, lines: Sequence[Line]) -> str:
    parts = zip(columns, *lines, strict=True)
    kinds = ["" if all(map(_figure, cells)) else " class=words" for _, *cells in parts]

    def row(cells: Line, tag: str) -> str:
        pairs = zip(kinds, cells, strict=True)
        shown = "".join(f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in pairs)
        return f"<tr>{shown}</tr>"

    body = row(columns, "th") + "".join(row(line, "td") for line in lines)
    return f"<table>{body}</table>"


def _figure(cell: str) -> bool:
    """Whether a cell holds a number, or stands for one."""
    return cell in {"", "not measured"} or cell[0] in "+-0123456789"
