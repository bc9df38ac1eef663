"""An evaluation as text for people."""

import numpy as np

from deepfer import metrics
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
