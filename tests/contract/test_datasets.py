"""What every data set in the table must do, on small copies made here."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from conftest import Run
from deepfer.data import dataset_class, list_datasets, open_dataset
from deepfer.data.base import ImageSet, check
from deepfer.data.drawing import CHARACTERS, draw_face
from deepfer.data.fer2013 import majority_labels
from deepfer.data.splits import hold_out, load_training_sets
from deepfer.errors import DataError, UnknownNameError
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from small_copies import (
    MAKERS,
    USAGES,
    fer_rows,
    make_affectnet,
    make_affectnet_csv,
    make_ckplus,
    make_expw,
    make_fer2013,
    make_fer2013_images,
    make_ferg,
    make_folder,
    make_jaffe,
    make_kdef,
    make_manifest,
    make_rafdb,
    make_sfew,
    pixel_text,
    save_gray,
    write_votes,
)

COMPLETE = ("drawn", "comic")  # come with the package; small copies of the others lack images


def test_every_data_set_has_a_small_copy() -> None:
    assert set(MAKERS) == set(list_datasets())


@pytest.mark.parametrize("name", list_datasets())
class TestEveryDataset:
    def test_images_labels_and_ids_fit(self, name: str, tmp_path: Path) -> None:
        MAKERS[name](tmp_path)
        dataset = open_dataset(name, tmp_path)
        for split in dataset.splits:
            images = dataset.load(split)
            assert len(images) == len(images.images) == len(images.ids) > 0
            assert len(set(images.ids)) == len(images)
            assert images.labels.dtype == np.int64
            assert 0 <= images.labels.min() <= images.labels.max() < len(images.expressions)
            assert all(isinstance(e, Expression) for e in images.expressions)
            assert all(x.dtype == np.uint8 for x in images.images)
            assert images.fingerprint() == open_dataset(name, tmp_path).load(split).fingerprint()

    def test_facts_are_complete(self, name: str, tmp_path: Path) -> None:
        info = dataset_class(name).info
        assert info.name == name
        for fact in (info.title, info.source, info.licence, info.citation, *info.layout):
            assert fact
        assert info.labels

    def test_check_reads_everything(self, name: str, tmp_path: Path) -> None:
        MAKERS[name](tmp_path)
        findings = check(open_dataset(name, tmp_path))
        assert any(f.what.startswith("images in") for f in findings)
        incomplete = bool(dataset_class(name).info.counts) and name not in COMPLETE
        assert any(not f.ok for f in findings) == incomplete

    def test_unknown_split(self, name: str, tmp_path: Path) -> None:
        MAKERS[name](tmp_path)
        with pytest.raises(DataError, match="no split 'dev'"):
            open_dataset(name, tmp_path).load("dev")

    def test_missing_data_says_what_to_do(self, name: str, tmp_path: Path) -> None:
        if not dataset_class(name).needs_root:
            return
        with pytest.raises(DataError, match=rf"{name}: .*(not found|--root).*"):
            open_dataset(name, tmp_path / "nowhere")
        with pytest.raises(DataError, match="--root"):
            open_dataset(name, None)


class TestFer2013:
    def test_later_variant_is_the_same(
        self, tmp_path: Path, write_fer2013: Callable[..., Path]
    ) -> None:
        first = write_fer2013(tmp_path / "a", fer_rows())
        later = write_fer2013(tmp_path / "b", fer_rows(), later=True)
        for split in ("train", "val", "test"):
            one, other = (open_dataset("fer2013", p).load(split) for p in (first, later))
            assert one.fingerprint() == other.fingerprint()
        assert len(open_dataset("fer2013", later).load("train")) == 10

    def test_votes_are_joined_by_row(self, tmp_path: Path) -> None:
        make_fer2013(tmp_path)
        val = open_dataset("fer2013", tmp_path).load("val")
        assert val.votes is not None
        assert val.votes[:, 0].tolist() == [10 % 3, 11 % 3, 12 % 3]
        assert val.ids == ("row 10", "row 11", "row 12")

    def test_votes_of_another_order_are_refused(self, tmp_path: Path) -> None:
        make_fer2013(tmp_path)
        write_votes(tmp_path / "ferplus" / "fer2013new.csv", USAGES[::-1])
        with pytest.raises(DataError, match=r"line 2: .*same row order"):
            open_dataset("fer2013", tmp_path).load("train")

    def test_faults_are_found_and_can_be_excluded(
        self, tmp_path: Path, write_fer2013: Callable[..., Path]
    ) -> None:
        rows = fer_rows()
        blank = " ".join(["0"] * 2304)
        rows[0] = (0, blank, "Training")
        rows[2] = (5, rows[1][1], "Training")  # a copy with another label
        rows[10] = (rows[4][0], rows[4][1], "PublicTest")  # stands in train
        rows[13] = (rows[5][0], rows[5][1], "PrivateTest")
        path = write_fer2013(tmp_path, rows)
        found = {f.what: f.found for f in open_dataset("fer2013", path).faults()}
        assert found["blank images"] == "1"
        assert found["val images that stand in train"] == "1"
        assert found["test images that stand in train"] == "1"
        assert found["groups of copies with different labels"] == "1"
        clean = open_dataset("fer2013", path, exclude_faults=True)
        assert clean.load("train").ids == ("row 3", "row 6", "row 7", "row 8", "row 9")
        assert len(clean.load("val")) == 3

    def test_faults_of_the_folder_copy_can_be_excluded(self, tmp_path: Path) -> None:
        make_fer2013_images(tmp_path)
        copy = (tmp_path / "train" / "happy" / "a3.png").read_bytes()
        (tmp_path / "test" / "happy" / "copy.png").write_bytes(copy)
        assert len(open_dataset("fer2013_images", tmp_path).load("train")) == 7
        clean = open_dataset("fer2013_images", tmp_path, exclude_faults=True)
        assert "train/happy/a3.png" not in clean.load("train").ids
        assert len(clean.load("train")) == 6
        assert len(clean.load("test")) == 8

    def test_majority_labels(self) -> None:
        votes = np.zeros((5, 10), dtype=np.float32)
        votes[0, [0, 1]] = 6, 4  # neutral by more than half
        votes[1, [0, 1]] = 5, 5  # tied
        votes[2, [4, 5, 6, 7]] = 3, 1, 1, 1  # angry once single votes are dropped
        votes[3, 9] = 10  # not a face
        votes[4, 7] = 8  # contempt
        expected = [Expression.NEUTRAL, None, Expression.ANGRY, None, Expression.CONTEMPT]
        found = [None if i < 0 else list(Expression)[i] for i in majority_labels(votes)]
        assert found == expected

    def test_majority_needs_votes(self, tmp_path: Path) -> None:
        make_fer2013(tmp_path)
        majority = open_dataset("fer2013", tmp_path, majority=True).load("train")
        assert majority.expressions == tuple(Expression)
        (tmp_path / "ferplus" / "fer2013new.csv").unlink()
        with pytest.raises(DataError, match=r"fer2013new\.csv not found"):
            open_dataset("fer2013", tmp_path, majority=True)

    def test_excluded_faults_and_leaks_fit_together(self, tmp_path: Path) -> None:
        make_fer2013(tmp_path)
        dataset = open_dataset("fer2013", tmp_path, exclude_faults=True)
        leaked = dataset.leaked("test")
        assert leaked is not None
        assert len(leaked) == len(dataset.load("test"))

    def test_spreadsheet_habits_are_forgiven(
        self, tmp_path: Path, write_fer2013: Callable[..., Path]
    ) -> None:
        path = write_fer2013(tmp_path, fer_rows())
        path.write_text("\ufeff" + path.read_text() + "\n\n", encoding="utf-8")
        assert len(open_dataset("fer2013", path).load("train")) == 10

    @pytest.mark.parametrize("content", [b"\x1f\x8b\x08\x00\xff\xfe", b""])
    def test_no_text(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "fer2013.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"line 1: (expected the columns|not UTF-8 text)"):
            open_dataset("fer2013", tmp_path).load("train")

    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ((0, "1 2 3", "Training"), "line 4: 3 pixels instead of 2304"),
            ((0, "x " + pixel_text(0)[4:], "Training"), "line 4: "),
            ((0, "256 " * 2304, "Training"), "line 4: pixel value 256 outside"),
            ((9, pixel_text(0), "Training"), "line 4: emotion '9'"),
            ((0, pixel_text(0), "Test"), "line 4: Usage 'Test'"),
        ],
    )
    def test_bad_row_is_named_by_its_line(
        self,
        tmp_path: Path,
        write_fer2013: Callable[..., Path],
        row: tuple[object, str, str],
        expected: str,
    ) -> None:
        rows = fer_rows()
        rows[2] = row
        path = write_fer2013(tmp_path, rows)
        with pytest.raises(DataError) as error:
            open_dataset("fer2013", path).load("train")
        assert expected in str(error.value)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"emotion,pixels,Usage\n0,1,Training\n0,\xe4,Training\n", "line 3: not UTF-8 text"),
            (b"emotion,pixels,Usage,emotion\n", "line 1: names 'emotion' twice"),
            (b"emotion,pixels,Usage\n0," + b"1" * 200_000 + b",Training\n", "line 2: not CSV"),
        ],
    )
    def test_bad_lines(self, tmp_path: Path, content: bytes, expected: str) -> None:
        (tmp_path / "fer2013.csv").write_bytes(content)
        with pytest.raises(DataError, match=expected):
            open_dataset("fer2013", tmp_path).load("train")

    def test_missing_columns(self, tmp_path: Path) -> None:
        (tmp_path / "fer2013.csv").write_text("a,b\n1,2\n")
        with pytest.raises(DataError, match="line 1: expected the columns"):
            open_dataset("fer2013", tmp_path).load("train")


class TestNames:
    def test_subjects(self, tmp_path: Path) -> None:
        make_ckplus(tmp_path)
        make_jaffe(tmp_path)
        make_ferg(tmp_path)
        ckplus, jaffe, ferg = (
            open_dataset(name, tmp_path).load("all") for name in ("ckplus", "jaffe", "ferg")
        )
        assert set(ckplus.subjects or ()) == {"S000", "S001", "S002", "S003"}
        assert set(jaffe.subjects or ()) == {"KA", "KL"}
        assert ckplus.sequences is not None
        assert len(set(ckplus.sequences)) == 4
        assert jaffe.counts() == dict.fromkeys(BASIC_EXPRESSIONS, 2)
        assert len(set(ferg.subjects or ())) == 6
        assert ferg.counts()[Expression.HAPPY] == 6

    def test_misnamed_files_are_named(self, tmp_path: Path) -> None:
        make_jaffe(tmp_path)
        save_gray(tmp_path / "jaffe" / "KA.XX1.99.tiff", 0)
        with pytest.raises(DataError, match=r"KA\.XX1\.99\.tiff is not named"):
            open_dataset("jaffe", tmp_path).load("all")
        make_ckplus(tmp_path)
        save_gray(tmp_path / "CK+48" / "happy" / "me.png", 0)
        with pytest.raises(DataError, match=r"me\.png is not named"):
            open_dataset("ckplus", tmp_path).load("all")

    def test_damaged_image_is_named(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        (tmp_path / "train" / "Happy" / "a.png").write_bytes(b"no picture")
        with pytest.raises(DataError, match=r"Happy/a\.png: not an image"):
            open_dataset("folder", tmp_path).load("train")

    def test_unknown_class_folder(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        save_gray(tmp_path / "train" / "bored" / "a.png", 0)
        with pytest.raises(DataError, match=r"bored is not named after an expression"):
            open_dataset("folder", tmp_path).load("train")

    def test_split_folders_have_several_names(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        before = open_dataset("folder", tmp_path).load("train").ids
        (tmp_path / "train").rename(tmp_path / "Training")
        images = open_dataset("folder", tmp_path).load("train")
        assert images.ids == tuple(name.replace("train", "Training") for name in before)
        save_gray(tmp_path / "valid" / "happy" / "a.png", 0)
        assert len(open_dataset("folder", tmp_path).load("val")) == 1

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("train/Happy/s1/a.png", r"Happy/s1 is a folder inside Happy; move"),
            ("train/sad/a.svg", r"train/sad holds no images, but a\.svg"),
            ("dev/sad/a.png", r"dev stands beside test, train but .*rename it"),
            ("Training/sad/a.png", r"are both train; join them"),
        ],
    )
    def test_nothing_is_passed_over_in_silence(
        self, tmp_path: Path, name: str, expected: str
    ) -> None:
        make_folder(tmp_path)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"anything")
        with pytest.raises(DataError, match=expected):
            open_dataset("folder", tmp_path).load("train")

    def test_files_that_are_no_images_are_counted(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        (tmp_path / "train" / "Happy" / "a.svg").touch()
        (finding,) = open_dataset("folder", tmp_path).faults()
        assert finding.found == "1, such as train/Happy/a.svg"

    def test_a_split_without_images_is_named(self, tmp_path: Path) -> None:
        make_folder(tmp_path)
        (tmp_path / "val" / "happy").mkdir(parents=True)
        with pytest.raises(DataError, match=r"no images below .*/val;"):
            open_dataset("folder", tmp_path).load("val")

    def test_lines_without_content_are_passed_over(self, tmp_path: Path) -> None:
        make_manifest(tmp_path)
        before = open_dataset("manifest", tmp_path).load("train").ids
        with (tmp_path / "manifest.csv").open("a") as file:
            file.write("  \n,,,\n")
        assert open_dataset("manifest", tmp_path).load("train").ids == before

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ([], "lists no images"),
            (["x/a.png,sad,p,train", "x/b.png,sad,p,"], "1 of 2 lines have no split"),
            (["x/a.png,sad,p,train", "x/b.png,sad,,train"], "1 of 2 lines have no subject"),
        ],
    )
    def test_incomplete_manifests(self, tmp_path: Path, lines: list[str], expected: str) -> None:
        make_manifest(tmp_path)
        header = "path,expression,subject,split"
        (tmp_path / "manifest.csv").write_text("\n".join([header, *lines]) + "\n")
        with pytest.raises(DataError, match=expected):
            open_dataset("manifest", tmp_path)

    def test_manifest_with_paths_elsewhere(self, tmp_path: Path) -> None:
        picture = save_gray(tmp_path / "pictures" / "a.png", 1)
        (tmp_path / "lists").mkdir()
        rows = ["path,expression", f"{picture},happy", "../pictures/a.png,happy"]
        (tmp_path / "lists" / "manifest.csv").write_text("\n".join(rows))
        images = open_dataset("manifest", tmp_path / "lists").load("all")
        assert images.ids == ("../pictures/a.png", "../pictures/a.png")

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("x/a.png,bored,p,train", "unknown expression 'bored'"),
            ("x/none.png,sad,p,train", "is no file"),
            ("a" * 999 + ",sad,p,train", "is no file"),
            ("x/a.png,sad,p,dev", "unknown split 'dev'"),
        ],
    )
    def test_manifest_lines_are_named(self, tmp_path: Path, line: str, expected: str) -> None:
        make_manifest(tmp_path)
        with (tmp_path / "manifest.csv").open("a") as file:
            file.write(line + "\n")
        with pytest.raises(DataError, match=f"line 4: .*{expected}"):
            open_dataset("manifest", tmp_path)

    def test_unknown_data_set_and_option(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="fer2013"):
            open_dataset("oulu", tmp_path)
        make_jaffe(tmp_path)
        with pytest.raises(DataError, match="no option 'votes'"):
            open_dataset("jaffe", tmp_path, votes=True)
        with pytest.raises(DataError, match="per_class takes int, got 'many'"):
            open_dataset("drawn", None, per_class="many")
        with pytest.raises(DataError, match="per_class 0"):
            open_dataset("drawn", None, per_class=0)


class TestFromTheWeb:
    """RAF-DB, AffectNet and ExpW: lists, label files and boxes."""

    def test_lists_decide_split_and_label(self, tmp_path: Path) -> None:
        make_rafdb(tmp_path)
        rafdb = open_dataset("rafdb", tmp_path)
        train, test = rafdb.load("train"), rafdb.load("test")
        assert (len(train), len(test)) == (7, 3)
        assert train.expressions[train.labels[0]] is Expression.SURPRISE
        assert test.ids[0] == "Image/aligned/test_00007_aligned.jpg"

    @pytest.mark.parametrize(
        ("name", "file", "line", "expected"),
        [
            ("rafdb", "basic/EmoLabel/list_patition_label.txt", "train_00001.jpg", "line 11: exp"),
            ("rafdb", "basic/EmoLabel/list_patition_label.txt", "val_1.jpg 3", "line 11: exp"),
            ("rafdb", "basic/EmoLabel/list_patition_label.txt", "train_1.jpg 8", "line 11: exp"),
            ("rafdb", "basic/EmoLabel/list_patition_label.txt", "train_9.jpg 7", "not found"),
            ("expw", "label/label.lst", "face1.jpg 0 5 70 60 10 90 3", "line 8: expected a box"),
            ("expw", "label/label.lst", "face1.jpg 0 5 10 60 70 90 7", "line 8: expected a box"),
            ("expw", "label/label.lst", "none.jpg 0 5 10 60 70 90 6", r"none\.jpg: no such file"),
            ("affectnet_csv", "{0}/training.csv", "0/a.jpg,1,1,9,9,,11,0,0", "line 13: '11' is no"),
            ("affectnet_csv", "{0}/training.csv", "0/a.jpg,1,1,0,9,,1,0,0", "is no face box"),
        ],
    )
    def test_bad_lines_are_named(
        self, tmp_path: Path, name: str, file: str, line: str, expected: str
    ) -> None:
        MAKERS[name](tmp_path)
        path = tmp_path / file.format("Manually_Annotated_file_lists")
        path.write_text(path.read_text() + line + "\n")
        dataset = open_dataset(name, tmp_path)
        with pytest.raises(DataError, match=f"{name}: .*{expected}"):
            dataset.load(dataset.splits[0])

    def test_boxes_become_squares(self, tmp_path: Path) -> None:
        make_expw(tmp_path)
        photo = np.zeros((90, 90), dtype=np.uint8)
        photo[10:60, 20:70] = 200
        PillowImage.fromarray(photo).save(tmp_path / "image" / "origin" / "face0.jpg", quality=100)
        # the box of line 1 has rows 5 to 70 and columns 10 to 60, its square columns 2 to 67
        faces = open_dataset("expw", tmp_path, size=65).load("all")
        assert isinstance(faces.images, np.ndarray)
        assert faces.images.shape == (7, 65, 65)
        bright = np.argwhere(faces.images[0] > 100)
        assert bright.min(axis=0).tolist() == [10 - 5, 20 - 2]
        assert bright.max(axis=0).tolist() == [59 - 5, 66 - 2]
        assert faces.ids[:2] == ("face0.jpg line 1", "face0.jpg line 2")
        assert faces.sequences is not None
        assert faces.sequences[:3] == ("face0.jpg", "face0.jpg", "face1.jpg")

    def test_both_forms_of_affectnet(self, tmp_path: Path) -> None:
        make_affectnet(tmp_path / "folders")
        make_affectnet_csv(tmp_path / "lists")
        folders = open_dataset("affectnet", tmp_path / "folders", size=32).load("val")
        lists = open_dataset("affectnet_csv", tmp_path / "lists", size=32)
        listed = lists.load("val")
        for images in (folders, listed):
            assert isinstance(images.images, np.ndarray)
            assert images.images.shape == (8, 32, 32)
            assert [str(images.expressions[k]) for k in images.labels] == [
                *("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
            ]
        assert listed.columns["arousal"] == ("-2",) * 8
        assert [f.found for f in lists.faults()] == ["none 1, uncertain 1, no face 1"] * 2

    def test_label_files_of_affectnet(self, tmp_path: Path) -> None:
        make_affectnet(tmp_path)
        label = tmp_path / "train_set" / "annotations" / "3_exp.npy"
        for content in (np.array(9), np.array([1, 2])):
            np.save(label, content)
            with pytest.raises(DataError, match=r"3_exp\.npy: expected a label from 0 to 7"):
                open_dataset("affectnet", tmp_path).load("train")
        label.write_bytes(b"")
        with pytest.raises(DataError, match="found 'no label'"):
            open_dataset("affectnet", tmp_path).load("train")
        label.unlink()
        with pytest.raises(DataError, match=r"3_exp\.npy not found"):
            open_dataset("affectnet", tmp_path).load("train")
        with pytest.raises(DataError, match="affectnet: size 8: expected 16"):
            open_dataset("affectnet", tmp_path, size=8)


class TestKdef:
    def test_names_tell_everything(self, tmp_path: Path) -> None:
        make_kdef(tmp_path)
        faces = open_dataset("kdef", tmp_path).load("all")
        assert len(faces) == 42
        assert set(faces.subjects or ()) == {"F01", "M31"}
        assert faces.ids[0] == "AF01/AF01AFFL.JPG"
        assert faces.expressions[faces.labels[0]] is Expression.FEAR
        assert {name: column[0] for name, column in faces.columns.items()} == {
            "angle": "full left",
            "sex": "female",
            "session": "A",
        }
        assert all(image.shape == (32, 32) for image in faces.images)
        straight = open_dataset("kdef", tmp_path, straight=True).load("all")
        assert len(straight) == 21
        assert set(straight.columns["angle"]) == {"straight"}

    def test_faults(self, tmp_path: Path) -> None:
        make_kdef(tmp_path)
        black = np.zeros((96, 64), dtype=np.uint8)  # of another size than the rest
        PillowImage.fromarray(black).save(tmp_path / "KDEF" / "AF01" / "AF01ANFR.JPG")
        found = {f.what: f.found for f in open_dataset("kdef", tmp_path).faults()}
        assert found["misnamed files, left out"] == "1"
        assert found["black pictures"] == "1, such as AF01/AF01ANFR.JPG"
        save_gray(tmp_path / "KDEF" / "AF01" / "AF01XXS.JPG", 0)
        with pytest.raises(DataError, match=r"AF01XXS\.JPG is not named"):
            open_dataset("kdef", tmp_path).load("all")


def test_scenes_of_films_are_sequences(tmp_path: Path) -> None:
    make_sfew(tmp_path)
    val = tmp_path / "Val" / "Val_Aligned_Faces"
    val.rename(tmp_path / "Val" / "Val_Aligned_Faces_new")
    faces = open_dataset("sfew", tmp_path).load("val")
    assert faces.ids[0] == "Val/Val_Aligned_Faces_new/Angry/Airheads_000519240_00000005.png"
    assert faces.sequences is not None
    assert faces.sequences[0] == "Airheads_000519240"


class TestOfOtherPackages:
    CODE = (
        "from deepfer.data.base import Dataset, DatasetInfo\n"
        "class Theirs(Dataset):\n"
        "    info = DatasetInfo(name='theirs', title='Their faces', source='-', licence='-',\n"
        "        citation='-', layout=('-',), labels={})\n"
        "    def __init__(self, root): pass\n"
        "    def load(self, split): raise NotImplementedError\n"
        "class Other: pass\n"
    )

    @pytest.fixture
    def site(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        about = tmp_path / "site" / "their_faces-2.1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-faces\nVersion: 2.1\n")
        (about / "entry_points.txt").write_text(
            "[deepfer.datasets]\ntheirs = their_faces:Theirs\n"
            "renamed = their_faces:Theirs\nno_reader = their_faces:Other\n"
        )
        (tmp_path / "site" / "their_faces.py").write_text(self.CODE)
        before = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", f"{about.parent}{os.pathsep}{before}")
        return about.parent

    def test_they_are_listed_and_broken_ones_named(self, deepfer: Run, site: Path) -> None:
        done = deepfer("data", "list")
        assert done.returncode == 0
        assert done.stdout.splitlines()[-1].split() == (
            ["theirs", "-", "Their", "faces,", "added", "by", "their-faces", "2.1"]
        )
        no_reader, renamed = done.stderr.splitlines()
        assert no_reader.startswith("warning: data set 'no_reader' of their-faces 2.1 ")
        assert "is no subclass of deepfer.data.base.Dataset" in no_reader
        assert "its info.name is 'theirs'" in renamed
        assert "reader       their-faces 2.1" in deepfer("data", "info", "theirs").stdout
        done = deepfer("data", "info", "renamed")
        assert done.returncode == 1
        assert done.stderr.startswith("error: data set 'renamed' of their-faces 2.1 ")
        done = deepfer("data", "protocols")
        assert done.returncode == 0
        assert "fer2013 full" in done.stdout


class TestDrawn:
    def test_masks_cover_part_of_the_face(self) -> None:
        for expression in BASIC_EXPRESSIONS:
            for character in CHARACTERS:
                face = draw_face(expression, character, size=64, seed=5)
                assert face.image.shape == (64, 64, 3)
                assert 0.03 < face.mask.mean() < 0.4

    def test_the_seed_decides_everything_else(self) -> None:
        one, same, other = (draw_face(BASIC_EXPRESSIONS[0], "ada", seed=s) for s in (1, 1, 2))
        assert (one.image == same.image).all()
        assert (one.image != other.image).any()

    def test_the_difference_between_expressions_lies_in_the_masks(self) -> None:
        """With all else equal, two expressions differ mostly where the masks say so."""
        happy, surprise = (
            draw_face(e, "cem", size=96, seed=3) for e in (Expression.HAPPY, Expression.SURPRISE)
        )
        difference = np.abs(happy.image.astype(int) - surprise.image.astype(int)).sum(axis=2)
        inside = happy.mask | surprise.mask
        assert difference[inside].mean() > 4 * difference[~inside].mean()

    def test_splits_share_no_picture(self) -> None:
        drawn = open_dataset("drawn", None, per_class=3)
        seen = [x.tobytes() for split in drawn.splits for x in drawn.load(split).images]
        assert len(seen) == len(set(seen))


class TestHoldOut:
    def images(self, subjects: tuple[str, ...] | None) -> ImageSet:
        n = 70
        return ImageSet(
            images=np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2),
            labels=np.arange(n) % 7,
            expressions=BASIC_EXPRESSIONS,
            ids=tuple(map(str, range(n))),
            subjects=subjects,
        )

    def test_stratified(self) -> None:
        rest, held = hold_out(self.images(None), 0.2, seed=1)
        assert set(held.counts().values()) == {2}
        assert set(rest.ids).isdisjoint(held.ids)
        assert len(rest) + len(held) == 70

    def test_nobody_stands_on_both_sides(self) -> None:
        subjects = tuple(f"s{i % 10}" for i in range(70))
        rest, held = hold_out(self.images(subjects), 0.2, seed=1)
        assert len(set(held.subjects or ())) == 2
        assert set(rest.subjects or ()).isdisjoint(held.subjects or ())

    def test_training_sets_of_data_without_validation(self, tmp_path: Path) -> None:
        make_jaffe(tmp_path)
        train, val = load_training_sets("jaffe", tmp_path, {}, validation=0.5)
        assert set(train.subjects or ()).isdisjoint(val.subjects or ())

    def test_impossible(self) -> None:
        with pytest.raises(DataError, match="cannot hold out"):
            hold_out(self.images(("one",) * 70), 0.1, seed=0)
