"""Kill deepfer's commands at random moments, for as long as is wished.

    python -m tests.faults --minutes 10
    python -m tests.faults --kills 30 --only batch train

Killed are the commands that write much: by SIGKILL, SIGTERM and Ctrl-C at a random moment, by the
death of a worker, and, where ``strace`` is installed, at a random writing system call of any of
their threads. Given again, each must end as one that nobody disturbed; nothing may run two seconds
after a kill, and nothing lie about after the end. Needs Linux.
"""

import argparse
import importlib.util
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from .kills import STRACE, Trials
from .victims import VICTIMS, prepare


def main() -> int:
    """Run the trials and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, help="Of each command.")
    parser.add_argument("--minutes", type=float, help="In all; 5 where --kills is not given.")
    parser.add_argument("--only", nargs="+", choices=VICTIMS, default=list(VICTIMS))
    parser.add_argument("--each", type=int, default=3, help="Kills before a command may end.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("needs Linux: other systems do not show the environment of processes")
    if STRACE is None:
        _tell("no strace: nothing is killed at a system call")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chance = random.Random(options.seed)  # noqa: S311
    kills = options.kills or sys.maxsize
    minutes = options.minutes or (5 if options.kills is None else sys.maxsize)
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name) / "inputs"
        prepare(inputs)
        chosen = [v for v in options.only if importlib.util.find_spec(VICTIMS[v].needs)]
        for i, victim in enumerate(chosen):
            began = time.monotonic()
            left = 60 * minutes / (len(chosen) - i)
            trials = Trials(VICTIMS[victim], inputs, Path(name) / victim, chance)
            found = trials.outcome
            while found.kills.total() < kills and time.monotonic() - began < left:
                trials.one(min(options.each, kills - found.kills.total()))
            seconds = time.monotonic() - began
            minutes -= seconds / 60
            ways = ", ".join(f"{count} {way}" for way, count in sorted(found.kills.items()))
            total, wrong = found.kills.total(), len(found.faults)
            _tell(f"{victim}: {total} kills ({ways}) in {seconds:.0f} s, {wrong} faults")
            for fault in found.faults:
                _tell(f"  {fault}")
            faults += len(found.faults)
    for missing in sorted(set(options.only) - set(chosen)):
        _tell(f"{missing}: left out, {VICTIMS[missing].needs} is not installed")
    return min(faults, 1)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
