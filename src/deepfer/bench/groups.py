"""An evaluation by groups as a table, pictures and one self-contained HTML page."""

from pathlib import Path

from matplotlib.figure import Figure

from deepfer.bench.page import block, confusion_picture, png, section, write_page
from deepfer.evaluation.groups import Grouped
from deepfer.evaluation.report import GROUP_COLUMNS, gap_text, group_lines
from deepfer.files import write_bytes


def write_groups(result: Grouped, folder: Path) -> str:
    """Write ``groups.csv``, ``groups.json``, ``groups.png``, the table and ``report.html``.

    Returns:
        The table in Markdown.
    """
    result.write(folder)
    whole = result.evaluation
    picture = _picture(result)
    write_bytes(folder / "groups.png", picture)
    sections = [block("Accuracy by group", [("accuracy by group", picture)])]
    for group in result.groups:
        name = f"{result.column}: {group.name}"
        matrix = confusion_picture(name, whole.labels, group.confusion)
        sections.append(
            section(name, whole.labels, group.confusion, [(f"confusion matrix, {name}", matrix)])
        )
    notes = [gap_text(result), *result.notes, *whole.notes]
    title = f"{whole.model}, {whole.data} by {result.column}, data {whole.fingerprint}"
    return write_page(folder, title, GROUP_COLUMNS, group_lines(result), sections, notes=notes)


def _picture(result: Grouped) -> bytes:
    """Draw each group's accuracy with its interval; the dashed line is that of all images."""
    figure = Figure(figsize=(8, 1.4 + 0.38 * len(result.groups)), layout="constrained")
    axes = figure.subplots()
    for i, group in enumerate(result.groups):
        low, high = group.interval
        axes.plot([100 * low, 100 * high], [i, i], color="#0072B2", linewidth=2)
        axes.plot(100 * group.accuracy, i, "o", color="#0072B2")
    axes.axvline(
        100 * result.evaluation.figures["accuracy"], color="#555555", linestyle="--", linewidth=1
    )
    axes.set_yticks(
        range(len(result.groups)), [f"{group.name} ({group.images})" for group in result.groups]
    )
    axes.set_ylim(len(result.groups) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy (%) and 95 % interval; dashed: all images")
    axes.grid(alpha=0.3, axis="x")
    return png(figure)
