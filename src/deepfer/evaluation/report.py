"""Evaluations as text for people."""

import numpy as np

from deepfer import metrics
from deepfer.evaluation.groups import Grouped
from deepfer.evaluation.robustness import Robustness
from deepfer.evaluation.run import Evaluation

_NO_SHARES = {"NLL", "expressions in a set"}


def text(result: Evaluation) -> str:
    """Return figures, per-expression results and the confusion matrix (rows true)."""
    lines = [f"{result.model} on {result.data}: {len(result.true)} images, prior {result.prior}"]
    shown = {
        name: f"{value:.4f}" if name in _NO_SHARES else f"{value:.2%}"
        for name, value in result.figures.items()
    }
    shown |= {name: str(count) for name, count in result.counts.items()}
    lines += [f"  {name:<44} {value:>8}" for name, value in shown.items()]
    short = [label[:8] for label in result.labels]
    lines.append("  " + " ".join(f"{s:>8}" for s in ["true", *short, "recall", "precis.", "F1"]))
    scores = np.stack(
        [f(result.confusion) for f in (metrics.recalls, metrics.precisions, metrics.f1_scores)]
    )
    for i, label in enumerate(short):
        counts = [str(n) for n in result.confusion[i]]
        percents = ["-" if np.isnan(x) else f"{x:.1%}" for x in scores[:, i]]
        lines.append("  " + " ".join(f"{s:>8}" for s in [label, *counts, *percents]))
    return "\n".join(lines)


def conditions_text(result: Robustness) -> str:
    """Return accuracy at every severity, and what each condition leaves of the clean one."""
    rows = {
        name: ", ".join(f"{cell.severity}: {100 * cell.accuracy:.1f}" for cell in result.of(name))
        for name in result.conditions
    }
    wide = max(map(len, rows.values()))
    lines = [
        f"{result.subject} on {result.data}, seed {result.seed}",
        f"  clean accuracy {result.clean.accuracy:.2%}; share of it kept, mean over conditions: "
        f"{percent(result.kept)}",
        f"  {'condition':<12} {'accuracy in percent':<{wide}} {'kept':>6} {'ECE':>6}",
    ]
    for name, shown in rows.items():
        kept, ece = (percent(result.mean(name, figure)) for figure in ("kept", "ece"))
        lines.append(f"  {name:<12} {shown:<{wide}} {kept:>6} {ece:>6}")
        if (found := result.mean(name, "found")) is not None:
            each = ", ".join(percent(cell.found) for cell in result.of(name))
            lines.append(f"  {'':<12} faces found: {each}; mean {percent(found)}")
    return "\n".join(lines)


GROUP_COLUMNS = (
    "group",
    "images",
    "subjects",
    "accuracy",
    "95 % interval",
    "UAR",
    "95 % interval of UAR",
    "ECE",
    "overconfidence",
)


def group_lines(result: Grouped) -> list[list[str]]:
    """Return a line per group; its cells are those of `GROUP_COLUMNS`."""
    return [
        [
            group.name,
            str(group.images),
            "" if group.subjects is None else str(group.subjects),
            percent(group.accuracy),
            _range(group.interval),
            percent(group.uar),
            _range(group.uar_interval),
            percent(group.ece),
            f"{100 * group.overconfidence:+.1f}%",
        ]
        for group in result.groups
    ]


def gap_text(result: Grouped) -> str:
    """Return the largest gap as a sentence."""
    gap = result.gap
    if gap is None:
        return "largest gap: none, fewer than two groups are large enough"
    low, high = (f"{100 * end:+.1f}" for end in gap.interval)
    sentence = (
        f"largest gap in accuracy: {100 * gap.size:.1f} points ({low} to {high}), "
        f"{gap.best} against {gap.worst}"
    )
    if gap.chance is None:
        return (
            f"{sentence}; what chance alone gives cannot be told, as people stand in several groups"
        )
    return f"{sentence}; 95 % of random divisions stay below {100 * gap.chance:.1f} points"


def groups_text(result: Grouped) -> str:
    """Return figures per group, the largest gap and what to know of both."""
    table = [list(GROUP_COLUMNS), *group_lines(result)]
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    whole = result.evaluation
    lines = [f"{whole.model} on {whole.data} by {result.column}: {len(whole.true)} images"]
    for name, *cells in table:
        shown = [f"{cell:>{width}}" for cell, width in zip(cells, wide[1:], strict=True)]
        lines.append("  " + "  ".join([f"{name:<{wide[0]}}", *shown]))
    return "\n".join([*lines, f"  {gap_text(result)}", *(f"  {note}" for note in result.notes)])


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def percent(share: float | None) -> str:
    """Return a share as a percentage, or a dash where there is none."""
    return "-" if share is None or np.isnan(share) else f"{share:.1%}"
