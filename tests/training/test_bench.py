"""Tables: floors, a tiny training, stopping and going on, and the report."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import Run
from deepfer import metrics
from deepfer.bench.report import write_report
from deepfer.bench.run import require_sources, run_cell
from deepfer.bench.summary import RowResult, difference, summarize
from deepfer.bench.table import Cell, Row, Table, list_tables, load_table
from deepfer.errors import CheckpointError, RecipeError, UnknownNameError
from deepfer.files import claimed
from deepfer.methods import create_method
from deepfer.methods.base import Division
from deepfer.methods.hog_svm import HogSvm
from deepfer.methods.network import NetworkMethod
from deepfer.methods.pixels_1nn import Pixels1nn
from deepfer.prior import reweighted
from small_copies import make_ckplus_peaks

pytestmark = pytest.mark.usefixtures("drawn_once")

TABLE = """
title = "Two rows"
dataset = "drawn"
[[methods]]
title = "tiny"
options.recipe = "drawn_deep_emotion"
options.set = ["epochs=1"]
on.random = { published = 99.0, seeds = 2 }
[[methods]]
title = "floor"
method = "pixels-1nn"
on.random = {}
"""


@pytest.fixture
def table(tmp_path: Path) -> Table:
    (tmp_path / "two.toml").write_text(TABLE)
    return load_table(str(tmp_path / "two.toml"))


@pytest.mark.parametrize("name", list_tables())
def test_every_shipped_table_is_valid(name: str) -> None:
    content = load_table(name)
    assert len({row.slug for row in content.rows}) == len(content.rows)
    for row in content.rows:
        row.method.require(Cell(row, 0, 0).division(content.dataset))


def test_cells_are_done_once_and_survive_a_stop(table: Table, tmp_path: Path) -> None:
    results = tmp_path / "results"
    floor = Cell(table.rows[1], 0, 0)
    run_cell(table, floor, root=None, results=results)
    first = (floor.folder(results) / "metrics.json").read_bytes()
    stamp = (floor.folder(results) / "metrics.json").stat().st_mtime_ns
    run_cell(table, floor, root=None, results=results)
    assert (floor.folder(results) / "metrics.json").stat().st_mtime_ns == stamp
    shutil.rmtree(floor.folder(results))
    run_cell(table, floor, root=None, results=results)
    assert (floor.folder(results) / "metrics.json").read_bytes() == first


def test_results_of_another_recipe_are_not_touched(table: Table, tmp_path: Path) -> None:
    floor = Cell(table.rows[1], 0, 0)
    run_cell(table, floor, root=None, results=tmp_path)
    path = floor.folder(tmp_path) / "metrics.json"
    other = replace(table.rows[1], method=create_method("hog-svm", {}))
    with pytest.raises(CheckpointError, match="another recipe or method"):
        run_cell(
            table, replace(floor, row=replace(other, title="floor")), root=None, results=tmp_path
        )
    own = floor.row.method.fingerprint(floor.division("drawn"))
    path.write_text(path.read_text().replace(own, "another"))
    with pytest.raises(CheckpointError, match="another recipe"):
        run_cell(table, floor, root=None, results=tmp_path)
    path.write_text("")
    with pytest.raises(CheckpointError, match=r"metrics\.json: damaged; delete it"):
        run_cell(table, floor, root=None, results=tmp_path)


def test_what_rows_build_on_is_looked_for_before_any_work(table: Table) -> None:
    row = replace(table.rows[1], method=create_method("trained", {"weights": "nowhere"}))
    with pytest.raises(CheckpointError, match="nowhere"):
        require_sources(table, [table.rows[0], row])


def test_a_table_needs_rows_on_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text('title = "t"\ndataset = "drawn"\nmethods = []\n')
    with pytest.raises(RecipeError, match="methods: "):
        load_table(str(tmp_path / "none.toml"))
    (tmp_path / "other.toml").write_text(TABLE.replace('"drawn"', '"nope"', 1))
    with pytest.raises(UnknownNameError, match="unknown data set 'nope'"):
        load_table(str(tmp_path / "other.toml"))


def test_a_row_cannot_change_what_is_tested() -> None:
    method = NetworkMethod(recipe="drawn_deep_emotion", set=("split_seed=7", "fold=1"))
    recipe = method.resolved(Division("drawn", "random", seed=2, fold=0))
    assert (recipe.split_seed, recipe.seed, recipe.fold) == (2, 2, 0)


def test_what_weights_may_answer(table: Table, tmp_path: Path) -> None:
    """With other shares of the classes (Bayes' rule undone and done again), or with a probe."""
    likelihood = np.random.default_rng(0).random((50, 3), dtype=np.float32)
    counts = np.array([10, 70, 20])
    seen, even = likelihood * counts, likelihood
    seen, even = (p / p.sum(axis=1, keepdims=True) for p in (seen, even))
    np.testing.assert_allclose(reweighted(seen, 1 / counts), even, rtol=1e-5)

    run_cell(table, Cell(table.rows[0], 0, 0), root=None, results=tmp_path)
    weights = str(Cell(table.rows[0], 0, 0).folder(tmp_path) / "run")
    text = (tmp_path / "two.toml").read_text()
    for name in ("trained", "reweighted", "probe"):
        text += (
            f'[[methods]]\ntitle = "w {name}"\nmethod = "{name}"\n'
            f'options.weights = "{weights}"\non.random = {{}}\n'
        )
    (tmp_path / "two.toml").write_text(text)
    more = load_table(str(tmp_path / "two.toml"))
    cells = [Cell(row, 0, 0) for row in more.rows[2:]]
    for cell in cells:
        run_cell(more, cell, root=None, results=tmp_path)
    own, equal, probe = (
        json.loads((c.folder(tmp_path) / "metrics.json").read_text()) for c in cells
    )
    assert equal["recipe"] == f"{own['recipe']} equal"
    # drawn faces are equally frequent already
    assert equal["confusion"] == own["confusion"]
    # after one epoch the features are worth more than the classifier
    assert probe["figures"]["accuracy"] > own["figures"]["accuracy"]
    (tmp_path / "two.toml").write_text(text.replace("options.weights", "options.wieghts"))
    with pytest.raises(RecipeError, match=r"w trained on random: trained has 2 problem\(s\)"):
        load_table(str(tmp_path / "two.toml"))


def test_two_tables_in_one_folder(deepfer: Run, table: Table, tmp_path: Path) -> None:
    with claimed(tmp_path / "results"):
        done = deepfer("bench", "two.toml", "--out", "results")
    assert done.returncode == 1
    assert done.stderr.startswith("error: results: another deepfer is writing there")


@pytest.mark.slow
def test_a_table_from_the_command_line(deepfer_here: Run, table: Table, tmp_path: Path) -> None:
    done = deepfer_here("bench", "two.toml", "--out", "results")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "results" / "table.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["tiny", "floor"]
    assert rows[0]["seeds"] == "2 of 2"
    assert " ± " in rows[0]["ours %"]
    assert float(rows[0]["gap"]) < 0
    page = (tmp_path / "results" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page
    assert len(list((tmp_path / "results" / "confusion").glob("*.png"))) == 2
    for log in (tmp_path / "results").rglob("metrics.csv"):
        log.unlink()  # as in a checkout; the curves stay
    again = deepfer_here("bench", "two.toml", "--out", "results")
    assert again.stdout == done.stdout
    assert (tmp_path / "results" / "report.html").read_text() == page


def test_what_was_not_measured_says_so(table: Table, tmp_path: Path) -> None:
    write_report(table, [summarize(table, row, tmp_path) for row in table.rows], tmp_path)
    assert (tmp_path / "table.md").read_text().count("not measured") == 2
    page = (tmp_path / "report.html").read_text()
    assert "<th class=words>protocol</th>" in page
    assert "<th>ours %</th>" in page


def test_how_methods_depart_stands_below_the_table(tmp_path: Path) -> None:
    rows = [Row(title=t, protocol="random", method=HogSvm()) for t in ("a", "b")]
    own = Table(name="t", title="t", dataset="drawn", rows=rows)
    write_report(own, [summarize(own, row, tmp_path) for row in rows], tmp_path)
    line = f"a; b: {HogSvm.info.deviations}."
    assert (tmp_path / "table.md").read_text().endswith(f"|\n\n{line}\n")
    assert f"<p>{line}</p>" in (tmp_path / "report.html").read_text()
    assert HogSvm.info.deviations not in (tmp_path / "table.csv").read_text()


def result(
    accuracies: tuple[float, ...],
    published: float | None = None,
    *,
    title: str = "m",
    against: str = "",
) -> RowResult:
    row = Row(title=title, protocol="random", method=HogSvm(), published=published, against=against)
    confusion = np.array([[60, 10], [15, 15]])
    return RowResult(row, dict(enumerate(accuracies)), (), confusion, 100, ("a", "b"), "", "", "")


def test_intervals() -> None:
    several = result((0.7, 0.8, 0.9), published=75.0)
    assert several.mean == pytest.approx(0.8)
    assert several.deviation == pytest.approx(0.1)
    assert several.gap == pytest.approx(5)
    low, high = several.interval or (0, 0)
    assert high == 1
    assert low == pytest.approx(0.8 - 4.303 * 0.1 / np.sqrt(3), rel=1e-3)  # Student's t
    low, high = result((0.75, 0.75)).interval or (0, 0)
    assert high - low > 0.1  # equal results over two seeds are not certainty
    low, high = result((0.75,)).interval or (0, 0)
    assert low == pytest.approx(0.657, abs=0.002)  # Wilson, 75 of 100
    assert high == pytest.approx(0.825, abs=0.002)
    assert result(()).interval is None


def test_differences_are_told_seed_by_seed(tmp_path: Path) -> None:
    plain = result((0.70, 0.90, 0.80))
    better = result((0.72, 0.91, 0.83, 0.2), title="b", against="m")  # one seed more than m
    mean, low, high = difference(better, plain) or (0, 0, 0)
    assert mean == pytest.approx(0.02)
    assert high - mean == pytest.approx(mean - low)
    assert high - mean == pytest.approx(4.303 * 0.01 / np.sqrt(3), rel=1e-3)
    assert difference(result((0.7,)), plain) is None
    own = Table(name="t", title="t", dataset="drawn", rows=[plain.row, better.row])
    write_report(own, [plain, better], tmp_path)
    first, second = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    assert (first["difference"], first["from"]) == ("", "")
    assert (second["difference"], second["from"]) == ("+2.00 (-0.48 to +4.48)", "m")


def test_intervals_over_groups() -> None:
    """Eight characters, all right or all wrong: images alone would promise far too much."""
    groups = {str(i): (10.0 * (i < 4), 10) for i in range(8)}
    one = replace(result((0.5,)), independent=80, groups=groups)
    low, high = one.interval or (0, 0)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(2.365 * 0.5 / np.sqrt(7), rel=1e-3)
    even = replace(one, groups=dict.fromkeys(groups, (5.0, 10)))
    assert even.interval == metrics.wilson(40, 80)
    assert difference(one, replace(one, groups={})) is None
    assert difference(one, one) == (0, 0, 0)
    gain, low, high = difference(one, even) or (0, 0, 0)
    assert gain == 0
    assert high == pytest.approx(2.365 * 0.5 / np.sqrt(7), rel=1e-3)


def test_right_answers_are_counted_per_character(tmp_path: Path) -> None:
    row = Row(title="m", protocol="by-style", method=Pixels1nn())
    own = Table(name="t", title="t", dataset="comic", rows=[row])
    for cell in own.cells(row):
        run_cell(own, cell, root=None, results=tmp_path)
    found = summarize(own, row, tmp_path)
    assert found.groups["aavatar"][1] == 3 * 270
    assert found.groups["aavatar"][0] / 810 == pytest.approx(found.mean or 0)
    assert found.independent == 30  # one character: its drawings tell


def test_sequences_get_one_answer_where_their_frames_show_one_expression(tmp_path: Path) -> None:
    make_ckplus_peaks(tmp_path, subjects=12)
    for protocol, expected in (("six-subject-10fold", True), ("seven-subject-10fold", False)):
        row = Row(title="m", protocol=protocol, method=Pixels1nn())
        own = Table(name="t", title="t", dataset="ckplus_peaks", rows=[row])
        run_cell(own, Cell(row, 0, 0), root=tmp_path, results=tmp_path)
        found = json.loads((Cell(row, 0, 0).folder(tmp_path) / "metrics.json").read_text())
        assert ("sequence accuracy" in found["figures"]) == expected
        assert found["counts"]["sequences"] == 2  # of two subjects


def test_folds_are_cells() -> None:
    row = Row(title="m", protocol="subject-10fold", method=HogSvm(), seeds=2)
    own = Table(name="t", title="t", dataset="ckplus", rows=[row])
    assert len(own.cells(row)) == 20


def test_bad_tables(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="drawn"):
        load_table("cifar")
    for change, expected in (
        (("seeds = 2", "seeds = 0"), "methods.0.on.random.seeds"),
        (('"pixels-1nn"', '"network"'), "options.recipe"),
        (("on.random = {}", ""), "methods.1.on"),
        (("published", "publsihed"), "publsihed"),
        (("seeds = 2", 'against = "big"'), "no row 'big' on random"),
        (("on.random = {}", "on.random = { options.c = 1 }"), "floor on random: pixels-1nn has 1"),
    ):
        (tmp_path / "bad.toml").write_text(TABLE.replace(*change))
        with pytest.raises(RecipeError, match=expected):
            load_table(str(tmp_path / "bad.toml"))
    with pytest.raises(RecipeError, match="cannot read"):
        load_table("nowhere.toml")
