"""Look for inputs that fail: ``python -m tests.fuzz --kind images --minutes 60``."""

import argparse
import sys
from pathlib import Path

from . import KINDS
from .runner import module, search
from .worker import Worker


def main() -> int:
    """Run the search that was asked for; 1 where inputs fail."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="repeatable; default: all")
    parser.add_argument("--minutes", type=float, help="for all kinds together")
    parser.add_argument("--count", type=int, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0, help="decides how inputs are changed")
    parser.add_argument("--start", type=int, default=0, help="number of the first input")
    parser.add_argument("--out", type=Path, default=Path("results/fuzz"), help="what fails")
    parser.add_argument("--file", type=Path, help="run this input again; needs one --kind")
    parser.add_argument(
        "--guided", action="store_true", help="changes that reach new code, with atheris"
    )
    asked = parser.parse_args()
    kinds = asked.kind or KINDS
    if (asked.file or asked.guided) and len(kinds) != 1:
        parser.error("--file and --guided need one --kind")
    if asked.file:
        with Worker(module(kinds[0])) as worker:
            failure = worker.run(asked.file.read_bytes())
        sys.stdout.write(f"{failure.what}\n{failure.details}\n" if failure else "passes\n")
        return int(failure is not None)
    if asked.minutes is None and asked.count is None:
        asked.minutes = 1.0
    seconds = None if asked.minutes is None else 60 * asked.minutes / len(kinds)
    if asked.guided:
        from .guided import search_guided

        return search_guided(kinds[0], asked.out, seconds=seconds, count=asked.count)
    failed = False
    for kind in kinds:
        result = search(
            kind, asked.out, seed=asked.seed, start=asked.start, count=asked.count, seconds=seconds
        )
        rate = result.inputs / max(result.seconds, 1e-9)
        sys.stdout.write(
            f"{kind}: {result.inputs:,} inputs in {result.seconds:.0f} s ({rate:.0f} a second), "
            f"{len(result.found)} ways to fail\n"
        )
        for what, (path, times) in result.found.items():
            sys.stdout.write(f"  {times} x {what}: {path}\n")
        for what in result.passing:
            sys.stdout.write(f"  not again when alone: {what}\n")
        sys.stdout.flush()
        failed |= bool(result.found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
