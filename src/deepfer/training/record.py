"""What a run leaves for people: its metrics as CSV and for TensorBoard, and a progress bar."""

import csv
import io
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from deepfer.files import write_text


class Record:
    """Writes a run's metrics.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._board: SummaryWriter | None = None

    def write(self, history: list[dict[str, Any]]) -> None:
        """Write the whole metrics file anew (a kill leaves no half row), and TensorBoard's step.

        Args:
            history: One row per epoch, oldest first.
        """
        text, row = io.StringIO(), history[-1]
        columns = [key for key in row if key != "score"]
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self.folder / "metrics.csv", text.getvalue())
        if self._board is None:
            folder = str(self.folder / "tensorboard")
            self._board = SummaryWriter(folder, purge_step=row["epoch"])
        for key in columns[1:]:
            self._board.add_scalar(key.replace("_", "/", 1), row[key], row["epoch"])
        self._board.flush()

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def summary(row: dict[str, Any], epochs: int) -> str:
    """Return one epoch as one line."""
    return (
        f"epoch {row['epoch']}/{epochs}: "
        f"train loss {row['train_loss']:.3f} accuracy {row['train_accuracy']:.1%}, "
        f"val loss {row['val_loss']:.3f} accuracy {row['val_accuracy']:.2%}, "
        f"{row['seconds']:.0f} s"
    )


def progress_bar(visible: bool) -> Progress:
    """Return a bar with the time left on stderr, shown only where people can see it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    shown = visible and console.is_terminal
    return Progress(
        *columns,
        console=console,
        transient=True,
        disable=not shown,
        redirect_stdout=False,
    )
