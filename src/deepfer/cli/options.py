"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated, Optional

import typer

_MODEL = "ferplus (the default), fer2013, or a model file; see `deepfer info`."
Model = Annotated[Optional[str], typer.Option("--model", help=_MODEL)]
PriorText = Annotated[
    str,
    typer.Option(
        "--prior",
        help="How often expressions are expected: photos, balanced, or happy=0.3,sad=0.2,...",
    ),
]
MinCertainty = Annotated[
    Optional[float],
    typer.Option(min=0, max=1, help="Least probability of a certain answer; the model's own."),
]
Root = Annotated[
    Optional[Path], typer.Option(help="Folder that holds the data set.", show_default=False)
]
Detect = Annotated[
    bool, typer.Option("--detect/--no-detect", help="Search faces, or take photos as faces.")
]
MinScore = Annotated[
    float, typer.Option(min=0, max=1, help="Leave out faces with a lower detector score.")
]
MinFace = Annotated[int, typer.Option(min=0, help="Leave out narrower faces (pixels).")]
DetectSize = Annotated[
    Optional[int],
    typer.Option(
        min=64,
        help="Search once, at this long side in pixels (such as 640), for upright faces only: "
        "quicker; default: every face that a person would find.",
    ),
]
Changes = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe value; repeatable."),
]
Data = Annotated[str, typer.Option(help="A data set's name; see `deepfer data list`.")]
Split = Annotated[str, typer.Option(help="train, val, test or all.")]
ProtocolName = Annotated[
    Optional[str], typer.Option(help="See `deepfer data protocols`; default: own splits.")
]
Fold = Annotated[int, typer.Option(min=0, help="The protocol's fold.")]
SplitSeed = Annotated[int, typer.Option(min=0, help="What the protocol draws.")]
ExcludeFaults = Annotated[
    bool, typer.Option("--exclude-faults", help="Leave out known faulty images (FER2013).")
]
