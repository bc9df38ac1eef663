"""The protocols: sizes as published, no subject on both sides where none may be, audited."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import Run
from deepfer.data import DATASETS, open_dataset
from deepfer.data.audit import audit
from deepfer.data.base import ImageSet
from deepfer.data.copies import CHANGES, add_copies, original_id
from deepfer.data.divide import by_chance, only
from deepfer.data.protocols import Split, find_protocol, list_protocols
from deepfer.errors import DataError, UnknownNameError
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from small_copies import (
    make_ckplus,
    make_ckplus_peaks,
    make_ckplus_sequences,
    make_fer2013,
    make_jaffe,
    save_gray,
)

pytestmark = pytest.mark.usefixtures("drawn_once")

SIZES = {
    "fer2013 full": (28709, 3589, 3589),
    "fer2013 balanced-2800": (2800, 210, 700),
    "fer2013 balanced-augmented": (15221, 1359, 1400),
    "ckplus random-frames": (691, 99, 191),
    "jaffe augmented-random": (935, 140, 260),
    "jaffe random-120-23-70": (120, 23, 70),
    "jaffe random-10fold": (169, 22, 22),
    "jaffe six-random-10fold": (145, 19, 19),
    "ckplus_peaks six-subject-10fold": (238, 37, 33),
    "ckplus_peaks seven-subject-10fold": (506, 57, 54),
    "ckplus_sequences sequence-subject-10fold": (892, 140, 132),
    "ferg random": (36500, 6647, 12620),
    "ferg random-6300": (4410, 655, 1235),
}


def images(n: int, *, seed: int = 0, subjects: tuple[str, ...] | None = None) -> ImageSet:
    random = np.random.default_rng(seed)
    return ImageSet(
        images=random.integers(0, 256, (n, 24, 24), dtype=np.uint8),
        labels=np.arange(n) % 7,
        expressions=BASIC_EXPRESSIONS,
        ids=tuple(f"{seed}-{i}" for i in range(n)),
        subjects=subjects,
    )


def found(sides: dict[str, ImageSet], kind: str) -> int | None:
    (overlap,) = [o for o in audit(sides) if o.kind.startswith(kind)]
    return overlap.images


def shared(split: Split, kind: str) -> set[int | None]:
    return {o.images for o in audit(split.sides) if o.kind.startswith(kind)}


class TestAudit:
    def test_strangers_share_nothing(self) -> None:
        sides = {"train": images(30), "test": images(10, seed=1)}
        assert [o.images for o in audit(sides)] == [0, 0, 0, None, None]

    def test_exact_and_near_copies_are_told_apart(self) -> None:
        train, test = images(30), images(10, seed=1)
        assert isinstance(test.images, np.ndarray)
        assert isinstance(train.images, np.ndarray)
        test.images[3] = train.images[7]
        test.images[4] = np.clip(train.images[8] * 0.9 + 5, 0, 255)  # darker
        test.images[5] = train.images[9][:, ::-1]  # mirrored
        sides = {"train": train, "test": test}
        assert found(sides, "exact") == 1
        assert found(sides, "near") == 2

    def test_flat_images_are_like_nothing(self) -> None:
        train, test = images(5), images(5, seed=1)
        assert isinstance(test.images, np.ndarray)
        assert isinstance(train.images, np.ndarray)
        train.images[0], test.images[0] = 10, 20
        assert found({"train": train, "test": test}, "near") == 0

    def test_copies_and_subjects(self) -> None:
        people = tuple("abcde")
        base = images(5, subjects=people)
        every = add_copies(base, [(i, "dark") for i in range(5)])
        sides = {"train": base, "test": every.take(np.array([5, 6]))}
        assert found(sides, "copies") == 2
        assert found(sides, "same subject") == 2
        (overlap,) = [o for o in audit(sides) if o.kind.startswith("copies")]
        assert overlap.share == 1
        assert overlap.example == ("0-0#dark-0", "0-0")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3)])
def test_changes_keep_shape_and_change_pixels(change: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    result = CHANGES[change](image)
    assert result.shape == image.shape
    assert result.dtype == np.uint8
    assert (result != image).any()


def test_names_are_unique_and_known() -> None:
    names = [(p.dataset, p.name) for p in list_protocols()]
    assert len(set(names)) == len(names)
    assert {f"{d} {n}" for d, n in names} >= set(SIZES)
    with pytest.raises(UnknownNameError, match="random-frames"):
        find_protocol("ckplus", "loso")


def test_every_protocol_is_found_by_its_data_set() -> None:
    for name in DATASETS.working():
        own = DATASETS.load(name).protocols
        assert [p.name for p in list_protocols(name)] == [p.name for p in own]
        assert all(p.dataset == name for p in list_protocols(name))
        assert all(p.folds == 10 or not p.name.endswith("10fold") for p in own)
    assert list_protocols("none") == ()


def test_folds_by_chance_are_even() -> None:
    every = images(103)
    folds = [by_chance(every, 10, 0, fold) for fold in range(10)]
    tested = [name for _, _, test in folds for name in test.ids]
    assert sorted(tested) == sorted(every.ids)
    for train, val, test in folds:
        assert len(train) + len(val) + len(test) == 103
        assert {len(val), len(test)} <= {10, 11}
        counts = np.array(list(test.counts().values()))
        assert counts.max() - counts.min() <= 1
    assert folds[3][1].ids == folds[4][2].ids
    assert by_chance(every, 10, 1, 0)[2].ids != folds[0][2].ids


def test_only_some_expressions() -> None:
    every = images(14)
    few = only(every, {Expression.HAPPY, Expression.ANGRY})
    assert few.expressions == (Expression.ANGRY, Expression.HAPPY)
    assert few.labels.tolist() == [0, 1, 0, 1]
    assert few.ids == ("0-0", "0-3", "0-7", "0-10")


def test_peaks_leave_the_neutral_frames_out(tmp_path: Path) -> None:
    make_ckplus_peaks(tmp_path, subjects=30)
    six, seven = (
        find_protocol("ckplus_peaks", f"{name}-subject-10fold").split(tmp_path)
        for name in ("six", "seven")
    )
    assert sum(map(len, six.sides.values())) == 30
    assert sum(map(len, seven.sides.values())) == 60
    assert Expression.NEUTRAL not in six.sides["test"].expressions
    for split in (six, seven):
        assert shared(split, "same subject") == {0}
        assert shared(split, "same sequence") == {0}


def test_sequences_stay_together_and_in_order(tmp_path: Path, astronaut: Path) -> None:
    make_ckplus_sequences(tmp_path, astronaut, subjects=12)
    split = find_protocol("ckplus_sequences", "sequence-subject-10fold").split(tmp_path)
    assert [len(side) for side in split.sides.values()] == [32, 8, 8]
    for side in split.sides.values():
        assert isinstance(side.images, np.ndarray)
        assert side.images.shape[1:] == (48, 48)
        assert side.columns["frame"] == ("neutral", "peak-2", "peak-1", "peak") * (len(side) // 4)
        sequences = np.array(side.sequences).reshape(-1, 4)
        assert (sequences == sequences[:, :1]).all()
        assert (side.labels.reshape(-1, 4) == side.labels[::4, None]).all()
    assert shared(split, "same subject") == {0}


def test_sequences_without_a_peak_are_left_out(tmp_path: Path) -> None:
    make_ckplus_sequences(tmp_path)
    frames = open_dataset("ckplus_sequences", tmp_path).load("all")
    assert sorted(set(frames.sequences or ())) == ["S000_002", "S001_002", "S002_002"]
    assert frames.ids[:4] == (
        "ckplus_peaks/S000_002_00000001.png",
        "CK+48/anger/S000_002_00000007.png",
        "CK+48/anger/S000_002_00000008.png",
        "ckplus_peaks/S000_002_00000009.png",
    )
    with pytest.raises(DataError, match=r"ckplus_sequences: no face found on .*restore"):
        find_protocol("ckplus_sequences", "sequence-subject-10fold").split(tmp_path)


def test_drawn_characters_stay_on_one_side() -> None:
    split = find_protocol("drawn", "by-character").split(None)
    train, test = (set(split.sides[s].subjects or ()) for s in ("train", "test"))
    assert train.isdisjoint(test)
    assert test == {"gus", "hana"}


def test_same_seed_same_split() -> None:
    random = find_protocol("drawn", "random")
    one, same, other = (random.split(None, seed=s) for s in (0, 0, 1))
    assert one.to_json() == same.to_json()
    assert one.to_json() != other.to_json()
    ids = [name for side in one.sides.values() for name in side.ids]
    assert len(set(ids)) == len(ids)


def test_bad_fold_and_too_little_data(tmp_path: Path) -> None:
    make_ckplus(tmp_path)
    with pytest.raises(DataError, match="folds run from 0 to 9"):
        find_protocol("ckplus", "subject-10fold").split(tmp_path, fold=10)
    with pytest.raises(DataError, match="needs 981 images"):
        find_protocol("ckplus", "random-frames").split(tmp_path)


def test_audit_command(deepfer_here: Run, tmp_path: Path) -> None:
    done = deepfer_here("data", "audit", "drawn", "--protocol", "by-character", "--write", "s.json")
    assert done.returncode == 0, done.stderr
    assert "test against train: same subject" in done.stdout
    stored = json.loads((tmp_path / "s.json").read_text())
    assert stored["protocol"] == "by-character"
    assert len(stored["test"]["ids"]) == 280
    make_fer2013(tmp_path)
    assert deepfer_here("data", "audit", "fer2013", "--root", ".").returncode == 0
    make_jaffe(tmp_path)
    done = deepfer_here("data", "audit", "fer2013", "--root", ".", "--write", "s.json")
    assert done.returncode == 2
    assert "need --protocol" in done.stderr
    done = deepfer_here("data", "audit", "jaffe", "--root", ".")
    assert done.returncode == 1
    assert "--protocol" in done.stderr
    for side, seed in (("train", 1), ("test", 1)):
        save_gray(tmp_path / "own" / side / "happy" / f"{side}.png", seed)
    done = deepfer_here("data", "audit", "folder", "--root", "own")
    assert "exact copies" in done.stdout
    assert "100.0%" in done.stdout


def test_only_our_endings_make_a_name_a_copy() -> None:
    assert original_id("a.png#turn+8-12") == "a.png"
    assert original_id("shot#1.png") == "shot#1.png"


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", [f"{p.dataset} {p.name}" for p in list_protocols()])
def test_published_sizes_and_promises(data_root: Path, name: str) -> None:
    dataset, _, protocol = name.partition(" ")
    if dataset == "ferg" and not (data_root / "FERG_DB_256").is_dir():
        pytest.skip("FERG is not among the research data")
    chosen = find_protocol(dataset, protocol)
    for fold in range(chosen.folds):
        split = chosen.split(data_root, fold=fold)
        if name in SIZES and fold == 0:
            assert tuple(len(s) for s in split.sides.values()) == SIZES[name]
        if chosen.leaks is None:
            train, val, test = split.sides.values()
            for side in (val, test):
                originals = {original_id(i) for i in train.ids}
                assert originals.isdisjoint(map(original_id, side.ids))
            if train.subjects is not None:
                assert set(train.subjects).isdisjoint(test.subjects or ())
