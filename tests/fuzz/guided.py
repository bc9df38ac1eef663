"""The same search led by which code an input reaches, with atheris where it is installed."""

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from deepfer.errors import DeepferError

from .runner import inputs, module

_SEEDS = 200  # changed inputs to begin with, beside the good ones


def search_guided(kind: str, folder: Path, *, seconds: float | None, count: int | None) -> int:
    """Run inputs of a kind until one fails, which libFuzzer writes into the folder."""
    try:
        import atheris
    except ModuleNotFoundError:
        sys.stderr.write("error: --guided needs atheris: pip install atheris\n")
        return 1
    with atheris.instrument_imports(include=["deepfer"]):
        known = import_module(module(kind))
        known.run(known.seeds()[0])  # imports what it needs

    def run(data: bytes) -> None:
        with suppress(DeepferError):
            known.run(data)

    corpus = folder / f"{kind}-corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in zip(range(_SEEDS), inputs(kind, 0), strict=False):
        (corpus / f"{number:04}").write_bytes(data)
    options = [f"-artifact_prefix={folder}/{kind}-", "-timeout=5", "-rss_limit_mb=2048"]
    options += [] if seconds is None else [f"-max_total_time={round(seconds)}"]
    options += [] if count is None else [f"-runs={count}"]
    atheris.Setup(["fuzz", *options, str(corpus)], run)
    atheris.Fuzz()  # ends the process
    return 0
