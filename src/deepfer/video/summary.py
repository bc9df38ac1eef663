"""A video's summary: each person's expressions over time, and shares per person."""

import io
from collections import defaultdict

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from deepfer.files import printable
from deepfer.labels import Expression
from deepfer.render import COLORS
from deepfer.video.analysis import FrameFaces

_BINS = 600  # at most so many columns in time, however long the video
_PEOPLE = 8  # drawn at most; those seen longest


class Summary:
    """Collects smoothed probabilities per person over time, in bounded memory.

    Args:
        labels: The model's expressions.
    """

    def __init__(self, labels: tuple[Expression, ...]) -> None:
        self.labels = labels
        self.width = 0.1  # seconds of a bin; doubles where the video is longer
        self._sums: dict[int, dict[int, NDArray[np.float64]]] = defaultdict(dict)

    def add(self, found: FrameFaces) -> None:
        """Count one frame."""
        time = found.frame.time
        while time / self.width >= _BINS:
            self._halve()
        for face in found.faces:
            bins = self._sums[face.id]
            own = np.array([*face.smoothed.probabilities.values(), face.smoothed.certain, 1.0])
            place = int(time / self.width)
            bins[place] = bins.get(place, 0) + own

    def shares(self) -> dict[int, dict[Expression, float]]:
        """Return each person's mean probability of every expression, those seen longest first."""
        return {
            id_: dict(zip(self.labels, means[:-1], strict=True))
            for id_, means in self._means().items()
        }

    def certain(self) -> dict[int, float]:
        """Return the share of frames (0 to 1) in which each person's expression is certain."""
        return {id_: means[-1] for id_, means in self._means().items()}

    def _means(self) -> dict[int, list[float]]:
        totals = {id_: np.sum(list(bins.values()), axis=0) for id_, bins in self._sums.items()}
        ranked = sorted(totals.items(), key=lambda item: -item[1][-1])
        return {id_: (total[:-1] / total[-1]).tolist() for id_, total in ranked}

    def picture(self, title: str) -> bytes:
        """Return a PNG: a band per person over time, hatched where uncertain, and their shares."""
        shares = dict(list(self.shares().items())[:_PEOPLE])
        figure = Figure(figsize=(11, 1.4 + 1.5 * max(1, len(shares))), layout="constrained")
        figure.suptitle(printable(title), fontsize=11)
        if not shares:
            figure.text(0.5, 0.5, "no face", ha="center")
        panels = figure.subplots(
            max(1, len(shares)), 2, width_ratios=(4, 1), squeeze=False, sharex="col"
        )
        colors = ["#BBBBBB" if e == Expression.NEUTRAL else COLORS[e] for e in self.labels]
        for (band, bars), (id_, own) in zip(panels, shares.items(), strict=False):
            bins = self._sums[id_]
            places = np.arange(min(bins), max(bins) + 1)
            gap = np.full(len(self.labels) + 1, np.nan)
            values = np.array(
                [bins[p][:-1] / bins[p][-1] if p in bins else gap for p in places.tolist()]
            )
            times = np.repeat(places, 2) * self.width
            times[1::2] += self.width
            values = np.repeat(values, 2, axis=0)
            band.stackplot(times, np.nan_to_num(values[:, :-1]).T, colors=colors, step="mid")
            band.fill_between(
                times,
                1,
                where=(values[:, -1] < 0.5).tolist(),
                color="none",
                edgecolor="black",
                hatch="///",
                linewidth=0,
                alpha=0.4,
            )
            band.set_ylim(0, 1)
            band.set_ylabel(f"face {id_}")
            band.set_yticks([0, 0.5, 1])
            bars.barh([str(e) for e in own], list(own.values()), color=colors)
            bars.set_xlim(0, 1)
            bars.invert_yaxis()
            bars.tick_params(labelsize=8)
        panels[-1][0].set_xlabel("time (s)")
        panels[-1][1].set_xlabel("mean probability")
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=110)
        return buffer.getvalue()

    def _halve(self) -> None:
        self.width *= 2
        for id_, bins in self._sums.items():
            merged: dict[int, NDArray[np.float64]] = {}
            for place, own in bins.items():
                merged[place // 2] = merged.get(place // 2, 0) + own
            self._sums[id_] = merged
