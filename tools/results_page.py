"""Write docs/results.md from the tables in benchmarks/.

python tools/results_page.py
"""

import csv
from pathlib import Path

ROOT = Path(__file__).parents[1]
COLUMNS = (
    "method",
    "published %",
    "ours %",
    "95 % interval",
    "gap",
    "difference",
    "from",
    "per sequence %",
    "seeds",
)
HEAD = """# Results

Made by `python tools/results_page.py` from `benchmarks/*/table.csv`, which `deepfer bench` wrote;
the folders there hold confusion matrices, one self-contained report each, and per training its
figures, recipe, seed, commit, device and data fingerprint. "Its FER2013 weights" are those shipped
as `@2` (`fer2013_deepfer_fast/last`), "the shipped weights" those of `--model fer2013`. A
difference is told from another row, seed by seed, with its 95 % interval (Student's t); on comic
characters it is told character by character, as all intervals are there ([comic](comic.md)). FERG's
rows are "not measured", since not everybody can have its data; `deepfer bench ferg --root DIR` runs
them for whoever has it.
`deepfer data protocols` says how each protocol divides its data, and what it leaks.
"""


def page(folder: Path) -> str:
    """Return the page for a folder of results."""
    parts = [HEAD]
    for path in sorted(folder.glob("*/table.csv")):
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        if "protocol" not in rows[0]:  # another kind of table
            continue
        title = (path.parent / "table.md").read_text(encoding="utf-8").splitlines()[0]
        parts.append(f"## {title.removeprefix('# ')}\n")
        for protocol in dict.fromkeys(row["protocol"] for row in rows):
            own = [row for row in rows if row["protocol"] == protocol]
            columns = [c for c in COLUMNS if any(row.get(c) for row in own)]
            lines = [" | ".join(row.get(c) or " " for c in columns) for row in own]
            parts.append(f"### {protocol}\n")
            parts.append(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
            parts.append("\n".join(f"| {line} |" for line in lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "results.md").write_text(page(ROOT / "benchmarks"), encoding="utf-8")
