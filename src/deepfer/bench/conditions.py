"""Robustness under conditions as a table, curves, examples and one self-contained HTML page."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image as PillowImage

from deepfer.bench.page import block, png, write_page
from deepfer.data.drawing import CHARACTERS, draw_face
from deepfer.evaluation.conditions import CONDITIONS, generator, on_canvas
from deepfer.evaluation.report import percent
from deepfer.evaluation.robustness import Robustness, write_figures
from deepfer.files import write_bytes
from deepfer.labels import Expression

_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_ACROSS = 3  # panels side by side
_DOWN = -(-len(CONDITIONS) // _ACROSS)
_SEVERITIES = max(len(condition.levels) for condition in CONDITIONS.values())
_HALF = -(-len(CONDITIONS) // 2)


def write_conditions(results: Sequence[Robustness], folder: Path) -> str:
    """Write the report of one or more subjects, measured on the same images.

    ``conditions.json`` and ``conditions.csv`` hold every figure; ``table.md``, ``table.csv``,
    ``curves.png``, ``examples.png`` and ``report.html`` are for people.

    Args:
        results: One per subject.
        folder: Made where it does not exist.

    Returns:
        The table in Markdown.
    """
    write_figures(results, folder)
    first = results[0]
    title = f"Conditions: {first.data}, data {first.fingerprint}, seed {first.seed}"
    pictures = {"curves": _curves(results), "examples": _examples(first.seed)}
    for name, picture in pictures.items():
        write_bytes(folder / f"{name}.png", picture)
    sections = [
        block("Accuracy", [("accuracy under each condition", pictures["curves"])]),
        block("The conditions, on a drawn face", [("drawn faces", pictures["examples"])]),
        *(_answers(result) for result in results),
    ]
    return write_page(
        folder, title, _columns(results), _lines(results), sections, notes=_notes(results)
    )


def _columns(results: Sequence[Robustness]) -> list[str]:
    own = ("accuracy %", "kept", "ECE")
    named = [f"{r.subject}: {column}" for r in results for column in own]
    return ["condition", "unit", "severities", *(named if len(results) > 1 else own)]


def _lines(results: Sequence[Robustness]) -> list[list[str]]:
    lines = [["clean", "", ""]]
    for result in results:
        clean = result.clean
        lines[0] += [f"{100 * clean.accuracy:.1f}", percent(1.0), percent(clean.ece)]
    for name in results[0].conditions:
        severities = ", ".join(CONDITIONS[name].levels)
        line = [name, CONDITIONS[name].unit, severities]
        for result in results:
            accuracies = ", ".join(f"{100 * cell.accuracy:.1f}" for cell in result.of(name))
            kept, ece = (percent(result.mean(name, figure)) for figure in ("kept", "ece"))
            line += [accuracies, kept, ece]
        lines.append(line)
    last = ["mean of all", "", ""]
    for result in results:
        mean = f"{100 * result.overall('accuracy'):.1f}"
        last += [mean, percent(result.kept), percent(result.overall("ece"))]
    return [*lines, last]


def _notes(results: Sequence[Robustness]) -> list[str]:
    notes = [
        "Accuracy at each severity in turn; 'kept' is its mean as a share of the clean accuracy on "
        "the same images, ECE the mean expected calibration error."
    ]
    for result in results:
        for name in result.conditions:
            if result.mean(name, "found") is not None:
                found = ", ".join(percent(cell.found) for cell in result.of(name))
                notes.append(
                    f"{result.subject}, {name}: {result.of(name)[0].images} faces, of which found "
                    f"{found}; one that is not found counts as a wrong answer."
                )
        notes += [
            f"{result.subject}, {cell.severity}: certain of {percent(cell.certain)} of the faces, "
            f"and right about {percent(cell.certain_right)} of those."
            for cell in (result.clean, *result.of("cover"))
            if cell.certain not in {None, 1.0}
        ]
    return notes


def _curves(results: Sequence[Robustness]) -> bytes:
    """Draw accuracy against severity, a panel per condition; the dashed line is the clean one."""
    figure = Figure(figsize=(11, 2.5 * _DOWN), layout="constrained")
    panels = figure.subplots(_DOWN, _ACROSS, sharey=True, squeeze=False)
    for axes, name in zip(panels.flat, results[0].conditions, strict=False):
        for result, color in zip(results, _COLORS * len(results), strict=False):
            cells = result.of(name)
            places = range(len(cells))
            axes.axhline(100 * cells[0].clean, color=color, linestyle="--", linewidth=0.9)
            axes.plot(
                places,
                [100 * cell.accuracy for cell in cells],
                color=color,
                linestyle="" if CONDITIONS[name].cases else "-",
                marker="o",
                markersize=4,
                label=result.subject,
            )
            axes.set_xticks(
                places, [textwrap.fill(cell.severity, 7, break_long_words=False) for cell in cells]
            )
        axes.set_title(f"{name} ({CONDITIONS[name].unit})", fontsize=10)
        axes.tick_params(labelsize=8)
        axes.set_ylim(0, 100)
        axes.grid(alpha=0.3)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy (%)")
    for axes in list(panels.flat)[len(results[0].conditions) :]:
        axes.set_axis_off()
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(results), frameon=False)
    return png(figure)


def _examples(seed: int) -> bytes:
    """Draw one drawn face under every severity."""
    face = draw_face(Expression.HAPPY, CHARACTERS[0], size=96, seed=seed).image
    figure = Figure(figsize=(11, 1.15 * _HALF), layout="constrained")
    panels = figure.subplots(_HALF, 2 * _SEVERITIES)
    for axes in panels.flat:
        axes.set_axis_off()
    for i, (name, condition) in enumerate(CONDITIONS.items()):
        source = on_canvas(face) if condition.whole else face
        column = i // _HALF * _SEVERITIES
        row = panels[i % _HALF, column : column + _SEVERITIES]
        for axes, (severity, change) in zip(row, condition.levels.items(), strict=True):
            axes.imshow(
                change(source, generator(seed, name, "example")), cmap="gray", vmin=0, vmax=255
            )
            axes.set_title(severity, fontsize=7)
        row[0].annotate(
            name,
            (-0.08, 0.5),
            xycoords="axes fraction",
            rotation=90,
            ha="right",
            va="center",
            size=8,
        )
    buffer = io.BytesIO()  # noise does not compress; 96 colours are enough to show it
    drawn = PillowImage.open(io.BytesIO(png(figure))).convert("RGB")
    drawn.quantize(96).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _answers(result: Robustness) -> str:
    """Return the part of the page that tells what a subject answers: all cells in full."""
    labels = list(result.clean.answers)
    columns = ["condition", "severity", "accuracy", "UAR", "ECE", "found", *labels]
    lines = [
        [
            cell.condition,
            cell.severity,
            *(percent(x) for x in (cell.accuracy, cell.uar, cell.ece, cell.found)),
            *(percent(share) for share in cell.answers.values()),
        ]
        for cell in (result.clean, *result.cells)
    ]
    return block(
        f"{result.subject}: every severity, and how often each answer is given", [], columns, lines
    )
