"""Measure `deepfer video` on a clip with two faces.

    python benchmarks/video.py LEFT.png RIGHT.jpg [--json FILE]

The portraits become a 60 s clip of 1280x720 pixels (`tools/make_clip.py`), and ten of it in a row
one of 10 minutes. Whole commands are timed; their peak memory is Linux's figure for the process.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

TOOL = Path(__file__).parents[1] / "tools" / "make_clip.py"


def command(*arguments: object) -> dict[str, float]:
    """Run a whole command; return its seconds and peak memory."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "deepfer", *map(str, arguments)])  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {arguments}")
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak memory (MB)": usage.ru_maxrss / 1024}


def repeat(clip: Path, times: int, out: Path) -> None:
    """Write a clip several times in a row, without encoding it again."""
    with av.open(str(out), "w") as long:
        stream, begin = None, 0
        for _ in range(times):
            with av.open(str(clip)) as short:
                video = short.streams.video[0]
                stream = stream or long.add_stream_from_template(video)
                end = begin
                for packet in short.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + begin, packet.dts + begin
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.stream = stream
                    long.mux(packet)
                begin = end


def people(table: Path) -> int:
    """Return the number of different faces in a table of rows."""
    with table.open(newline="", encoding="utf-8") as file:
        return len({row["face"] for row in csv.DictReader(file)})


def main() -> None:
    """Make the clips, run the commands, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("portraits", nargs=2, type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seconds in (10, 60):
            clip = folder / f"{seconds}.mp4"
            make = [sys.executable, TOOL, *options.portraits, clip, "--seconds", seconds]
            subprocess.run([*map(str, make)], check=True)  # noqa: S603
        repeat(folder / "60.mp4", 10, folder / "600.mp4")
        runs = {
            "10 s, rows": (10, []),
            "60 s, rows": (60, []),
            "60 s, rows and annotated copy": (60, ["--out", folder / "annotated.mp4"]),
            "600 s, rows": (600, []),
        }
        for what, (seconds, more) in runs.items():
            table = folder / "rows.csv"
            figures = command("video", folder / f"{seconds}.mp4", "--csv", table, *more)
            figures["times real time"] = seconds / figures["seconds"]
            figures["face ids"] = people(table)
            found[what] = figures
            told = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
            print(f"{what}: {told}", flush=True)  # noqa: T201
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
