"""What ``deepfer evaluate`` measures beyond a data set as a whole: conditions and groups."""

from pathlib import Path
from typing import TYPE_CHECKING

from deepfer.cli.console import answer, tell

if TYPE_CHECKING:
    from deepfer.data.base import ImageSet
    from deepfer.evaluation.run import Evaluation

_PLAIN = "the eval extra adds a table, pictures and a page: pip install 'deepfer[eval]'"


def measure_conditions(
    model: str | None,
    images: "ImageSet",
    *,
    data: str,
    limit: int | None,
    seed: int,
    out: Path | None,
    prior: str,
) -> None:
    """Measure a model under all conditions, print the figures and write them to a folder."""
    from deepfer.evaluation import report, robustness
    from deepfer.pipeline import Recognizer

    subject = robustness.ModelSubject(Recognizer(model, prior=prior))
    chosen = robustness.sample(images, subject.labels, limit, seed)
    what = f"{data}, {len(chosen)} of {len(images)} images"
    result = robustness.measure(subject, chosen, data=what, seed=seed, announce=tell)
    answer(report.conditions_text(result))
    if out is None:
        return
    try:
        from deepfer.bench.conditions import write_conditions
    except ModuleNotFoundError:
        robustness.write_figures([result], out)
        tell(f"wrote {out}; {_PLAIN}")
    else:
        write_conditions([result], out)
        tell(f"wrote {out}/report.html and what it shows as files")


def measure_groups(
    result: "Evaluation", images: "ImageSet", *, column: str, out: Path | None
) -> None:
    """Divide an evaluation by a column, print the figures and write them to a folder."""
    from deepfer.evaluation import report
    from deepfer.evaluation.groups import by_groups

    grouped = by_groups(result, images, column)
    answer(report.groups_text(grouped))
    if out is None:
        return
    try:
        from deepfer.bench.groups import write_groups
    except ModuleNotFoundError:
        grouped.write(out)
        tell(f"wrote {out}; {_PLAIN}")
    else:
        write_groups(grouped, out)
        tell(f"wrote {out}/report.html and what it shows as files")
