"""`deepfer evaluate --conditions` and `--groups`: figures, files and mistakes."""

import csv
import html.parser
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import Run
from deepfer.bench.conditions import write_conditions
from deepfer.bench.groups import write_groups
from deepfer.data.base import ImageSet
from deepfer.errors import InputError
from deepfer.evaluation.conditions import CONDITIONS
from deepfer.evaluation.groups import EMPTY, by_groups, group_names
from deepfer.evaluation.run import measured
from deepfer.labels import BASIC_EXPRESSIONS

pytestmark = pytest.mark.usefixtures("drawn_once")


class Links(html.parser.HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = [v for k, v in attrs if k in {"src", "href"} and v]
        self.found += [v for v in named if not v.startswith("data:")]


def assert_self_contained(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert links.found == []
    assert "url(" not in text
    return text


def people(count: int, each: int, *, right: dict[str, float]) -> tuple[ImageSet, np.ndarray]:  # type: ignore[type-arg]
    """Return images of `count` subjects per group, and a model's probabilities of them."""
    groups = [group for group in right for _ in range(count * each)]
    size = len(groups)
    random = np.random.default_rng(0)
    labels = np.arange(size, dtype=np.int64) % 7
    hits = random.random(size) < np.array([right[group] for group in groups])
    answers = np.where(hits, labels, (labels + 1) % 7)
    rows = np.full((size, 7), 0.2 / 6, dtype=np.float32)
    rows[np.arange(size), answers] = 0.8
    images = ImageSet(
        images=np.zeros((size, 4, 4), dtype=np.uint8),
        labels=labels,
        expressions=BASIC_EXPRESSIONS,
        ids=tuple(map(str, range(size))),
        subjects=tuple(f"s{i // each}" for i in range(size)),
        columns={"site": tuple(groups), "age": tuple(str(20 + i % 50) for i in range(size))},
    )
    return images, rows


def grouped(images: ImageSet, rows: np.ndarray, column: str):  # type: ignore[no-untyped-def, type-arg]
    return by_groups(measured("m", BASIC_EXPRESSIONS, rows, images, "data", {}), images, column)


def test_groups_and_their_gap() -> None:
    images, rows = people(10, 14, right={"a": 0.9, "b": 0.6, "c": 0.9})
    result = grouped(images, rows, "site")
    assert [(g.name, g.images, g.subjects) for g in result.groups] == [
        (name, 140, 10) for name in "abc"
    ]
    for group, expected in zip(result.groups, (0.9, 0.6, 0.9), strict=True):
        assert group.accuracy == pytest.approx(expected, abs=0.08)
        assert group.interval[0] < group.accuracy < group.interval[1]
        assert group.uar_interval[0] < group.uar < group.uar_interval[1]
        assert group.confusion.sum() == 140
        assert group.overconfidence == pytest.approx(0.8 - group.accuracy, abs=1e-6)
    gap = result.gap
    assert gap is not None
    assert gap.worst == "b"
    assert 0 < gap.interval[0] < gap.size < gap.interval[1]
    assert gap.chance is not None
    assert gap.size > gap.chance
    # without a difference, chance explains what is found
    even = grouped(*people(10, 14, right={"a": 0.8, "b": 0.8, "c": 0.8}), "site").gap
    assert even is not None
    assert even.size < even.chance
    assert grouped(images, rows, "site").to_json() == result.to_json()


def test_subjects_are_drawn_together() -> None:
    images, rows = people(10, 14, right={"a": 0.8, "b": 0.8})
    number = np.arange(len(images)) // 14  # a person is right always or never
    answers = np.where(number % 3 > 0, images.labels, (images.labels + 1) % 7)
    rows = np.full_like(rows, 0.2 / 6)
    rows[np.arange(len(rows)), answers] = 0.8
    together = grouped(images, rows, "site").groups[0].interval
    apart = grouped(replace(images, subjects=None), rows, "site").groups[0].interval
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_small_groups_and_empty_cells_are_told() -> None:
    images, rows = people(10, 14, right={"a": 0.8, "b": 0.8})
    site = ("", "", "x", *images.columns["site"][3:])
    images = replace(images, columns={**images.columns, "site": site})
    result = grouped(images, rows, "site")
    assert [g.name for g in result.groups] == ["a", "b", "x", EMPTY]
    assert result.groups[-1].images == 2
    assert any("(empty): only 2 images" in note for note in result.notes)
    assert any("x: only 1 subjects" in note for note in result.notes)
    assert result.gap is not None
    assert {result.gap.best, result.gap.worst} == {"a", "b"}
    mixed = grouped(images, rows, "age=40")  # people of several ages
    assert mixed.gap is not None
    assert mixed.gap.chance is None
    one = grouped(images.take(np.arange(150, 280)), rows[150:280], "site")
    assert one.gap is None


def test_numbers_are_binned() -> None:
    images, _ = people(10, 14, right={"a": 0.8})
    with pytest.raises(InputError, match=r"50 different numbers; bin them, as in --groups age=30"):
        group_names(images, "age")
    name, groups = group_names(images, "age=30,45.5")
    assert name == "age"
    ages = dict(zip(images.columns["age"], groups, strict=True))
    assert ages["29"] == "under 30"
    assert ages["30"] == ages["45"] == "30 to under 45.5"
    assert ages["46"] == "45.5 and over"
    for wrong in ("age=x", "age=40,30", "age=30,", "site=3", "sex", "expression"):
        with pytest.raises(InputError):
            group_names(images, wrong)
    with pytest.raises(InputError, match="its columns: site, age, subject"):
        group_names(images, "sex")
    with pytest.raises(InputError, match="none to group by"):
        group_names(replace(images, columns={}, subjects=None), "sex")


def test_groups_are_written(tmp_path: Path) -> None:
    images, rows = people(10, 14, right={"a": 0.9, "<b>": 0.6})
    table = write_groups(grouped(images, rows, "site"), tmp_path)
    assert "largest gap in accuracy" in table
    page = assert_self_contained(tmp_path / "report.html")
    assert page.count("data:image/png;base64,") == 3
    assert "<b>" not in page
    lines = list(csv.DictReader((tmp_path / "groups.csv").read_text().splitlines()))
    assert [line["group"] for line in lines] == ["<b>", "a"]
    content = json.loads((tmp_path / "groups.json").read_text())
    assert np.sum(content["groups"][0]["confusion"]) == 140


def test_evaluate_by_groups_of_a_manifest(deepfer: Run, tmp_path: Path) -> None:
    deepfer("data", "draw", "--out", "drawn", "--per-class", "2")
    path = tmp_path / "drawn" / "manifest.csv"
    head, *lines = path.read_text().splitlines()
    column = [f"{line},{'f' if i % 2 else 'm'}" for i, line in enumerate(lines)]
    path.write_text("\n".join([f"{head},sex", *column]) + "\n")
    options = ("evaluate", "--data", "manifest", "--root", "drawn", "--split", "all")
    done = deepfer(*options, "--groups", "sex", "--out", "result")
    assert done.returncode == 0, done.stderr
    assert "largest gap" in done.stdout
    assert_self_contained(tmp_path / "result" / "report.html")
    done = deepfer(*options, "--groups", "site")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "its columns: sex, subject" in done.stderr
    assert deepfer(*options, "--limit", "3").returncode == 2
    assert deepfer(*options, "--conditions", "--detected").returncode == 2


def test_evaluate_under_conditions(deepfer: Run, tmp_path: Path) -> None:
    options = ("evaluate", "--data", "drawn", "--conditions", "--limit", 8)
    done = deepfer(*options, "--out", "one")
    assert done.returncode == 0, done.stderr
    assert "8 of 224 images" in done.stdout
    assert all(name in done.stdout for name in CONDITIONS)
    page = assert_self_contained(tmp_path / "one" / "report.html")
    assert page.count("data:image/png;base64,") == 2
    rows = list(csv.DictReader((tmp_path / "one" / "conditions.csv").read_text().splitlines()))
    assert len(rows) == 1 + 5 * len(CONDITIONS)
    assert sum(float(v) for k, v in rows[0].items() if k.startswith("answers_")) == pytest.approx(1)
    content = json.loads((tmp_path / "one" / "conditions.json").read_text())[0]
    assert set(content["conditions"]) == set(CONDITIONS)
    again = deepfer(*options)
    assert again.stdout == done.stdout


def test_several_subjects_stand_side_by_side(tmp_path: Path) -> None:
    from deepfer import Recognizer
    from deepfer.data import open_dataset
    from deepfer.evaluation.robustness import ModelSubject, measure, sample

    subject = ModelSubject(Recognizer())
    images = sample(open_dataset("drawn", None).load("test"), subject.labels, 6, 0)
    result = measure(subject, images, data="drawn", names=("light", "JPEG"))
    table = write_conditions([result, replace(result, subject="other")], tmp_path)
    assert "other: accuracy %" in table
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert len((tmp_path / "conditions.csv").read_text().splitlines()) == 1 + 2 * 11
