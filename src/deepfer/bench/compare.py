"""Several models on the same images: figures side by side, and whether they differ.

Source:
    McNemar 1947, in its exact form, on the images that only one of two models gets right;
    interval of the difference: percentile bootstrap over images.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deepfer import metrics
from deepfer.bench.page import confusion_picture, section, write_page, write_picture
from deepfer.classify import Classifier
from deepfer.data.base import ImageSet
from deepfer.errors import DataError
from deepfer.evaluation.run import Evaluation, evaluate

_COLUMNS = (
    "model",
    "images",
    "accuracy",
    "95 % interval",
    "UAR",
    "macro F1",
    "ECE",
    "NLL",
    "difference in points",
    "95 % interval of the difference",
    "McNemar p",
)
_DRAWS = 2000


def compare(classifiers: Sequence[Classifier], images: ImageSet, *, data: str) -> list[Evaluation]:
    """Evaluate models on the images of the expressions that all of them know.

    Raises:
        DataError: There are none.
    """
    known = [all(e in c.info.labels for c in classifiers) for e in images.expressions]
    counted = np.array(known)[images.labels]
    if not counted.any():
        raise DataError(f"{data}: shows no expression that all {len(classifiers)} models know")
    common = images.take(counted)
    return [
        replace(evaluate(classifier, common, data=data), model=name)
        for name, classifier in zip(_names(classifiers), classifiers, strict=True)
    ]


def write_comparison(results: Sequence[Evaluation], folder: Path) -> str:
    """Write the report of one or more models.

    ``table.md``, ``table.csv`` and ``report.html``; per model its predictions, figures and
    confusion matrix, in a folder of its own where there are several.

    Args:
        results: Evaluations on the same images; the others are compared with the first.
        folder: Made where it does not exist.

    Returns:
        The table in Markdown.
    """
    first, several = results[0], len(results) > 1
    lines, sections = [], []
    for result in results:
        own = folder / _file_name(result.model) if several else folder
        result.write(own)
        title = f"{result.model}, {result.data}"
        picture = confusion_picture(title, result.labels, result.confusion)
        write_picture(own / "confusion_matrix.png", picture)
        pictures = [("confusion matrix", picture)]
        sections.append(section(result.model, result.labels, result.confusion, pictures))
        lines.append(_line(result, first if several else None))
    title = f"{first.data}, data {first.fingerprint}"
    columns = _COLUMNS if several else _COLUMNS[: len(lines[0])]
    write_page(folder, title, columns, lines, sections)
    return (folder / "table.md").read_text(encoding="utf-8")


def difference(
    hits: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> tuple[float, tuple[float, float], float]:
    """Return the difference in accuracy, its 95 % interval and McNemar's exact p.

    Args:
        hits: (N,) whether a model is right.
        reference: The same of the model it is compared with.
    """
    gain = hits.astype(np.int64) - reference.astype(np.int64)
    won, lost = int((gain > 0).sum()), int((gain < 0).sum())
    # a resample's gain is decided by how many of the three kinds of image it draws
    shares = [won / len(gain), lost / len(gain), 1 - (won + lost) / len(gain)]
    drawn = np.random.default_rng(0).multinomial(len(gain), shares, size=_DRAWS)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / len(gain), [2.5, 97.5])
    p = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return float(gain.mean()), (float(low), float(high)), p


def _line(result: Evaluation, reference: Evaluation | None) -> list[str]:
    hits = result.predicted == result.true
    n, right = len(hits), int(hits.sum())
    interval = stats.binomtest(right, n).proportion_ci(0.95, "wilson")
    line = [
        result.model,
        str(n),
        f"{right / n:.2%}",
        f"{interval.low:.2%} to {interval.high:.2%}",
        f"{metrics.uar(result.confusion):.2%}",
        f"{metrics.macro_f1(result.confusion):.2%}",
        f"{result.figures['ECE']:.2%}",
        f"{result.figures['NLL']:.4f}",
    ]
    if reference is None:
        return line
    if reference is result:
        return [*line, "", "", ""]
    gain, (low, high), p = difference(hits, reference.predicted == reference.true)
    return [*line, f"{100 * gain:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}", f"{p:.2g}"]


def _names(classifiers: Sequence[Classifier]) -> list[str]:
    """Return the models' names, numbered where several have the same."""
    names = [c.info.name for c in classifiers]
    return [f"{n} ({i + 1})" if names.count(n) > 1 else n for i, n in enumerate(names)]


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.@" else "-" for c in name)
