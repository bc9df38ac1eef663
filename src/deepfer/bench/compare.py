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
from deepfer.bench.page import confusion_picture, section, write_page
from deepfer.classify import Classifier
from deepfer.data.base import ImageSet
from deepfer.errors import DataError
from deepfer.evaluation.run import Evaluation, evaluate
from deepfer.files import write_bytes

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
    left_out = {
        f"left out: {e}, unknown to a model": n
        for e, n in images.take(~counted).counts().items()
        if n
    }
    results = []
    for name, classifier in zip(_names(classifiers), classifiers, strict=True):
        result = evaluate(classifier, common, data=data)
        results.append(replace(result, model=name, counts={**result.counts, **left_out}))
    return results


def write_comparison(
    results: Sequence[Evaluation], folder: Path, *, sequences: Sequence[str] | None = None
) -> str:
    """Write the report of one or more models.

    ``table.md``, ``table.csv`` and ``report.html``; per model its predictions, figures and
    confusion matrix, in a folder of its own where there are several.

    Args:
        results: Evaluations on the same images; the others are compared with the first.
        folder: Made where it does not exist.
        sequences: The sequence of each image, where frames of one are near twins: intervals are
            then over sequences, and McNemar's test, which wants independent images, is left out.

    Returns:
        The table in Markdown.
    """
    groups = np.arange(len(results[0].true))
    if sequences is not None:
        groups = np.unique(sequences, return_inverse=True)[1]
    first, several = results[0], len(results) > 1
    lines, sections = [], []
    for number, result in enumerate(results, start=1):
        own = folder / f"{number}-{_file_name(result.model)}" if several else folder
        result.write(own)
        title = f"{result.model}, {result.data}"
        picture = confusion_picture(title, result.labels, result.confusion)
        write_bytes(own / "confusion_matrix.png", picture)
        pictures = [("confusion matrix", picture)]
        sections.append(section(result.model, result.labels, result.confusion, pictures))
        lines.append(_line(result, first if several else None, groups))
    title = f"{first.data}, data {first.fingerprint}"
    columns = _COLUMNS if several else _COLUMNS[: len(lines[0])]
    return write_page(folder, title, columns, lines, sections, notes=first.notes)


def difference(
    hits: NDArray[np.bool_], reference: NDArray[np.bool_], groups: NDArray[np.int64]
) -> tuple[float, tuple[float, float], float | None]:
    """Return the difference in accuracy, its 95 % interval and McNemar's exact p.

    Args:
        hits: (N,) whether a model is right.
        reference: The same of the model it is compared with.
        groups: (N,) from 0: images of one group are drawn together. p is None where a group
            holds several images.
    """
    gain = hits.astype(np.int64) - reference.astype(np.int64)
    total = np.bincount(groups, weights=gain)
    size = np.bincount(groups)
    # groups alike in gain and size are interchangeable, so a resample only counts their kinds
    kinds, count = np.unique(np.stack([total, size]), axis=1, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(size), count / len(size), size=_DRAWS)
    means = (drawn @ kinds[0]) / (drawn @ kinds[1])
    low, high = np.percentile(means, [2.5, 97.5])
    won, lost = int((gain > 0).sum()), int((gain < 0).sum())
    p = None
    if size.max() == 1:
        p = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return float(gain.mean()), (float(low), float(high)), p


def _line(result: Evaluation, reference: Evaluation | None, groups: NDArray[np.int64]) -> list[str]:
    hits = result.predicted == result.true
    accuracy, independent = float(hits.mean()), int(groups.max()) + 1
    low, high = metrics.wilson(round(accuracy * independent), independent)
    line = [
        result.model,
        str(len(hits)),
        f"{accuracy:.2%}",
        f"{low:.2%} to {high:.2%}",
        f"{metrics.uar(result.confusion):.2%}",
        f"{metrics.macro_f1(result.confusion):.2%}",
        f"{result.figures['ECE']:.2%}",
        f"{result.figures['NLL']:.4f}",
    ]
    if reference is None:
        return line
    if reference is result:
        return [*line, "", "", ""]
    gain, (low, high), p = difference(hits, reference.predicted == reference.true, groups)
    shown = "" if p is None else f"{p:.2g}"
    return [*line, f"{100 * gain:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}", shown]


def _names(classifiers: Sequence[Classifier]) -> list[str]:
    """Return the models' names, numbered where several have the same."""
    names = [c.info.name for c in classifiers]
    return [f"{n} ({i + 1})" if names.count(n) > 1 else n for i, n in enumerate(names)]


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.@" else "-" for c in name)
