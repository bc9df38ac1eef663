"""Tables that other packages add to."""

from pathlib import Path

import pytest

from deepfer.errors import PackageError, UnknownNameError
from deepfer.registry import OURS, Registry

GROUP = "deepfer.colours"
OUR_TABLE = {"path": "pathlib:Path", "missing": "deepfer.no_such_module:Thing"}


def add_package(site: Path, package: str, entries: dict[str, str], code: str = "") -> None:
    """Lay out a package as installed: a module and its metadata."""
    about = site / f"{package}-1.2.dist-info"
    about.mkdir(parents=True)
    about.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in entries.items())]
    about.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n")
    (site / f"{package}.py").write_text(code)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_without_other_packages() -> None:
    table = Registry("colour", GROUP, OUR_TABLE)
    assert table.names() == table.working() == ("path", "missing")
    assert table.broken() == ()
    assert table.load("path") is Path
    assert table.origin("path") == OURS
    with pytest.raises(UnknownNameError, match="unknown colour 'blue'; known: path, missing"):
        table.load("blue")
    with pytest.raises(UnknownNameError):
        table.origin("blue")


def test_our_own_mistakes_are_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError):
        Registry("colour", GROUP, OUR_TABLE).load("missing")


def test_packages_add(site: Path) -> None:
    add_package(site, "paint", {"red": "paint:RED", "azure": "paint:AZURE"}, "RED, AZURE = 1, 2")
    table = Registry("colour", GROUP, {"path": "pathlib:Path"})
    assert table.names() == ("path", "azure", "red")
    assert table.load("azure") == 2
    assert table.origin("red") == "paint 1.2"
    assert table.working() == table.names()
    assert table.broken() == ()


def test_broken_ones_are_a_line_each_and_stop_nothing(site: Path) -> None:
    add_package(site, "dried", {"gone": "dried_up:GONE", "none": "dried:NONE"})
    add_package(site, "quits", {"quits": "quits:Q"}, "raise SystemExit('two\\nlines')")
    add_package(site, "sound", {"sound": "sound:S", "odd": "sound:T"}, "S, T = 's', 't'")

    def check(name: str, found: object) -> None:
        if found == "t":
            raise ValueError("no colour")

    table = Registry("colour", GROUP, {}, check)
    assert table.names() == ("gone", "none", "odd", "quits", "sound")
    assert table.working() == ("sound",)
    gone, none, odd, quits = table.broken()
    assert gone.startswith("colour 'gone' of dried 1.2 (dried_up:GONE) cannot be used: ")
    assert "ModuleNotFoundError: No module named 'dried_up'; mend, update" in gone
    assert "AttributeError" in none
    assert "ValueError: no colour" in odd
    assert "SystemExit: two lines" in quits
    with pytest.raises(PackageError, match="colour 'odd'"):
        table.load("odd")


def test_no_package_takes_a_name(site: Path) -> None:
    add_package(site, "second", {"red": "second:R", "path": "second:R"}, "R = 'second'")
    add_package(site, "first", {"red": "first:R"}, "R = 'first'")
    table = Registry("colour", GROUP, {"path": "pathlib:Path"})
    assert table.names() == ("path", "red")
    assert table.load("path") is Path
    assert table.load("red") == "first"
    path, red = table.broken()
    assert path.startswith("colour 'path' of second 1.2 (second:R) is passed over: ")
    assert "the name is that of deepfer;" in path
    assert "the name is that of first 1.2;" in red
