"""``deepfer predict`` as a user meets it: exit codes, stdout, stderr."""

import contextlib
import json
import os
import pty
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image as PillowImage

from children import child
from conftest import Run
from deepfer.classify import model_path
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.modelfile import ModelInfo


def one_line_error(done: object, *expected: str) -> None:
    """An expected failure: nothing on stdout, one line on stderr, no traceback."""
    stderr = done.stderr  # type: ignore[attr-defined]
    assert done.stdout == ""  # type: ignore[attr-defined]
    assert "Traceback" not in stderr
    assert len(stderr.strip().splitlines()) == 1, stderr
    assert stderr.startswith("error: ")
    for part in expected:
        assert part in stderr


def bomb(path: Path) -> Path:
    """Write a PNG of 30,000 x 30,000 black RGB pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * 30_000)
    body = b"".join(packer.compress(row) for _ in range(300)) + packer.flush()
    signature = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(
        signature + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    return path


class TestAnswers:
    def test_table(self, deepfer: Run, astronaut: Path) -> None:
        done = deepfer("predict", astronaut)
        assert done.returncode == 0
        assert done.stderr == ""
        assert "(512x512): 1 face" in done.stdout
        assert "happy" in done.stdout

    def test_json(self, deepfer: Run, astronaut: Path) -> None:
        done = deepfer("predict", astronaut, "--json")
        (line,) = done.stdout.splitlines()
        content = json.loads(line)
        assert content["schema"] == 2
        assert content["source"] == str(astronaut)
        (face,) = content["faces"]
        assert face["expression"] == "happy"
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)

    def test_csv(self, deepfer: Run, astronaut: Path) -> None:
        lines = deepfer("predict", astronaut, "--csv").stdout.splitlines()
        assert lines[0].startswith("source,width,height,model,prior,face,x,y,")
        assert len(lines) == 2

    def test_standard_input(self, deepfer: Run, astronaut: Path) -> None:
        done = deepfer("predict", "-", "--json", stdin=astronaut.read_bytes())
        assert json.loads(done.stdout)["source"] == "-"
        assert len(json.loads(done.stdout)["faces"]) == 1

    def test_folder_in_order_with_copies(
        self, deepfer: Run, astronaut: Path, tmp_path: Path
    ) -> None:
        photos = tmp_path / "photos"
        (photos / "sub").mkdir(parents=True)
        picture = PillowImage.open(astronaut).convert("RGB")
        for name in ("b.jpg", "a.png", "sub/a.png", "a.gif"):
            picture.save(photos / name)
        done = deepfer("predict", photos, "--json", "--out", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        sources = [json.loads(line)["source"] for line in done.stdout.splitlines()]
        assert sources == [str(photos / n) for n in ("a.gif", "a.png", "b.jpg", "sub/a.png")]
        written = sorted(
            p.relative_to(tmp_path / "out").as_posix()
            for p in (tmp_path / "out").rglob("*")
            if p.is_file()
        )
        assert written == ["a-2.png", "a.png", "b.jpg", "sub/a.png"]

    def test_no_face_is_an_answer(self, deepfer: Run, tmp_path: Path) -> None:
        PillowImage.new("RGB", (300, 200), "gray").save(tmp_path / "wall.png")
        done = deepfer("predict", "wall.png", "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["faces"] == []

    def test_no_detect_takes_the_picture_as_the_face(
        self, deepfer: Run, astronaut: Path, tmp_path: Path
    ) -> None:
        PillowImage.open(astronaut).crop((170, 60, 280, 180)).save(tmp_path / "face.png")
        content = json.loads(deepfer("predict", "face.png", "--no-detect", "--json").stdout)
        assert content["faces"][0]["box"] == [0, 0, 110, 120]
        assert content["faces"][0]["expression"] == "happy"

    def test_one_pixel(self, deepfer: Run, tmp_path: Path) -> None:
        PillowImage.new("RGB", (1, 1)).save(tmp_path / "dot.png")
        assert json.loads(deepfer("predict", "dot.png", "--json").stdout)["faces"] == []

    def test_min_face(self, deepfer: Run, astronaut: Path) -> None:
        done = deepfer("predict", astronaut, "--json", "--min-face", 200)
        assert json.loads(done.stdout)["faces"] == []

    def test_answers_go_to_stdout_while_a_bar_is_shown(
        self, astronaut: Path, tmp_path: Path
    ) -> None:
        """With a terminal on stderr the bar must not swallow or wrap the rows."""
        main, side = pty.openpty()
        command = [sys.executable, "-m", "deepfer", "predict", "--json", *[astronaut] * 3]
        with (
            (tmp_path / "rows").open("wb") as rows,
            child(command, stdout=rows, stderr=side) as process,
        ):
            os.close(side)
            with contextlib.suppress(OSError):  # a terminal whose program has ended gives EIO
                while os.read(main, 4096):
                    pass
            os.close(main)
            assert process.wait(timeout=60) == 0
        lines = (tmp_path / "rows").read_text().splitlines()
        assert [len(json.loads(line)["faces"]) for line in lines] == [1, 1, 1]


class TestPriorAndCertainty:
    def test_they_are_said(self, deepfer: Run, astronaut: Path) -> None:
        options = ("--model", "fer2013", "--prior", "balanced", "--min-certainty", 0.99)
        done = deepfer("predict", astronaut, "--json", *options)
        content = json.loads(done.stdout)
        assert content["model"] == "deepfer_fast-fer2013@3-int8"
        assert content["prior"] == "balanced"
        (face,) = content["faces"]
        assert face["probability"] < 0.99
        assert face["certain"] is False
        assert "uncertain: happy" in deepfer("predict", astronaut, *options).stdout

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (("--prior", "even"), "prior 'even': expected photos, balanced, or shares"),
            (("--prior", "happy=1"), "expected one share for each of angry, disgust"),
            (("--model", "ferplu"), "unknown model 'ferplu'; known: ferplus, fer2013"),
        ],
    )
    def test_mistakes(
        self, deepfer: Run, astronaut: Path, options: tuple[str, str], expected: str
    ) -> None:
        done = deepfer("predict", astronaut, *options)
        assert done.returncode == 1
        one_line_error(done, expected)

    def test_a_model_that_does_not_know_its_shares(
        self, deepfer: Run, astronaut: Path, tmp_path: Path
    ) -> None:
        model = onnx.load(model_path())
        info = ModelInfo.from_metadata({p.key: p.value for p in model.metadata_props}, "")
        onnx.helper.set_model_props(model, replace(info, prior=()).to_metadata())
        onnx.save(model, str(tmp_path / "old.onnx"))
        done = deepfer("predict", astronaut, "--model", "old.onnx", "--prior", "balanced")
        assert done.returncode == 1
        one_line_error(done, "does not say which shares it learnt")
        assert deepfer("predict", astronaut, "--model", "old.onnx").returncode == 0


class TestBadInput:
    def test_missing_file(self, deepfer: Run) -> None:
        done = deepfer("predict", "none.jpg")
        assert done.returncode == 1
        assert done.stdout == ""
        one_line_error(done, "none.jpg", "no such file")

    @pytest.mark.parametrize(
        ("content", "expected"), [(b"", "empty"), (b"just text\n", "not an image")]
    )
    def test_no_image(self, deepfer: Run, tmp_path: Path, content: bytes, expected: str) -> None:
        (tmp_path / "photo.jpg").write_bytes(content)
        done = deepfer("predict", "photo.jpg")
        assert done.returncode == 1
        one_line_error(done, "photo.jpg", expected)

    def test_truncated_jpeg(self, deepfer: Run, tmp_path: Path, astronaut: Path) -> None:
        PillowImage.open(astronaut).convert("RGB").save(tmp_path / "whole.jpg")
        whole = (tmp_path / "whole.jpg").read_bytes()
        (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 3])
        done = deepfer("predict", "cut.jpg")
        assert done.returncode == 1
        one_line_error(done, "cut.jpg", "cut short")

    def test_bomb(self, deepfer: Run, tmp_path: Path) -> None:
        bomb(tmp_path / "bomb.png")
        done = deepfer("predict", "bomb.png")
        assert done.returncode == 1
        one_line_error(done, "bomb.png", "pixels")

    def test_damaged_tiffs_are_told_in_our_lines_only(
        self, deepfer: Run, cases: Path, tmp_path: Path
    ) -> None:
        files = sorted((cases / "images").glob("*.tif"))
        odd = tmp_path / "samples.tif"  # which Pillow tells its log
        PillowImage.new("RGB", (8, 8)).save(odd)
        whole = odd.read_bytes()
        odd.write_bytes(
            whole.replace(
                b"\x15\x01\x03\x00\x01\x00\x00\x00\x03", b"\x15\x01\x03\x00\x01\x00\x00\x00\x63"
            )
        )
        assert odd.read_bytes() != whole
        files.append(odd)
        done = deepfer("predict", "--no-detect", "--json", *files)
        errors = done.stderr.splitlines()
        assert errors
        assert len(errors) + len(done.stdout.splitlines()) == len(files)
        for line in errors:
            assert re.fullmatch(
                r"error: \S+\.tif: (damaged or cut short \(.*\); copy|not an image that can) .*",
                line,
            )

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts kilobytes as Linux")
    @pytest.mark.parametrize("name", ["p1t_7070.png", "rgb_7070.webp"])
    def test_memory_is_bounded(self, tmp_path: Path, cases: Path, name: str) -> None:
        code = (
            "import resource, subprocess, sys;"
            "subprocess.run([sys.executable, '-m', 'deepfer', 'predict', sys.argv[1]]);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, str(cases / "images" / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert int(done.stdout.splitlines()[-1]) < 300 * 1024

    def test_the_rest_is_done(self, deepfer: Run, tmp_path: Path, astronaut: Path) -> None:
        (tmp_path / "bad.jpg").write_bytes(b"")
        done = deepfer("predict", "none.png", astronaut, "bad.jpg", "--json")
        assert done.returncode == 3
        assert len(done.stdout.splitlines()) == 1
        errors = done.stderr.splitlines()
        assert len(errors) == 2
        assert "none.png" in errors[0]
        assert "bad.jpg" in errors[1]

    def test_folder_without_images(self, deepfer: Run, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        done = deepfer("predict", "empty")
        assert done.returncode == 1
        one_line_error(done, "empty", "holds no images")

    def test_an_empty_folder_among_others(
        self, deepfer: Run, tmp_path: Path, astronaut: Path
    ) -> None:
        (tmp_path / "empty").mkdir()
        done = deepfer("predict", "empty", astronaut, "--json")
        assert done.returncode == 3
        assert len(done.stdout.splitlines()) == 1
        assert "holds no images" in done.stderr

    def test_unknown_option_is_wrong_usage(self, deepfer: Run, astronaut: Path) -> None:
        done = deepfer("predict", astronaut, "--emotions")
        assert done.returncode == 2
        assert done.stdout == ""
        assert "No such option" in done.stderr
        assert "Traceback" not in done.stderr

    def test_json_and_csv_together(self, deepfer: Run, astronaut: Path) -> None:
        assert deepfer("predict", astronaut, "--json", "--csv").returncode == 2

    def test_originals_are_not_overwritten(
        self, deepfer: Run, astronaut: Path, tmp_path: Path
    ) -> None:
        photo = tmp_path / "photo.png"
        photo.write_bytes(astronaut.read_bytes())
        done = deepfer("predict", "photo.png", "--out", ".")
        assert done.returncode == 1
        assert "would overwrite" in done.stderr
        assert photo.read_bytes() == astronaut.read_bytes()

    def test_nor_are_other_originals(self, deepfer: Run, astronaut: Path, tmp_path: Path) -> None:
        PillowImage.open(astronaut).save(tmp_path / "photo.gif")
        (tmp_path / "photo.png").write_bytes(astronaut.read_bytes())
        done = deepfer("predict", "photo.gif", "photo.png", "--out", ".")
        assert done.returncode == 1
        one_line_error(done, "would overwrite")
        assert (tmp_path / "photo.png").read_bytes() == astronaut.read_bytes()

    def test_name_too_long(self, deepfer: Run) -> None:
        done = deepfer("predict", "x" * 300 + ".jpg")
        assert done.returncode == 1
        one_line_error(done, "name too long")

    def test_names_in_no_encoding(self, deepfer: Run, astronaut: Path, tmp_path: Path) -> None:
        odd = os.fsencode(tmp_path) + b"/\xff.png"
        with open(odd, "wb") as file:  # noqa: PTH123
            file.write(astronaut.read_bytes())
        done = deepfer("predict", tmp_path, "--json")
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["faces"]) == 1

    def test_out_is_a_file(self, deepfer: Run, astronaut: Path, tmp_path: Path) -> None:
        (tmp_path / "out").touch()
        done = deepfer("predict", astronaut, "--out", "out")
        assert done.returncode == 1
        one_line_error(done, "cannot be written")


class TestModelFiles:
    def test_missing(self, deepfer: Run, astronaut: Path) -> None:
        done = deepfer("predict", astronaut, "--model", "none.onnx")
        assert done.returncode == 1
        one_line_error(done, "none.onnx", "no such model file")

    @pytest.mark.parametrize("content", [b"", b"not a model"])
    def test_damaged(self, deepfer: Run, astronaut: Path, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "m.onnx").write_bytes(content)
        done = deepfer("predict", astronaut, "--model", "m.onnx")
        assert done.returncode == 1
        one_line_error(done, "m.onnx", "not a readable ONNX model")

    def test_foreign(self, deepfer: Run, astronaut: Path) -> None:
        detector = model_path().with_name("yunet_2023mar_dynamic.onnx")
        done = deepfer("predict", astronaut, "--model", detector)
        assert done.returncode == 1
        one_line_error(done, "not a deepfer model file")

    def test_another_label_order_gives_the_same_answer(
        self, deepfer: Run, astronaut: Path, tmp_path: Path
    ) -> None:
        model = onnx.load(model_path(exact=True))
        metadata = {p.key: p.value for p in model.metadata_props}
        info = ModelInfo.from_metadata(metadata, "")
        weight, bias = _classifier(model)
        order = np.random.default_rng(0).permutation(len(info.labels))
        for tensor in (weight, bias):
            values = onnx.numpy_helper.to_array(tensor)
            axis = list(values.shape).index(len(info.labels))
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(values.take(order, axis=axis).copy(), tensor.name)
            )
        changed = ModelInfo(
            **{
                **{f: getattr(info, f) for f in ("name", "input", "temperature")},
                "labels": tuple(info.labels[i] for i in order),
            }
        )
        onnx.helper.set_model_props(model, changed.to_metadata())
        onnx.save(model, str(tmp_path / "other.onnx"))
        own = deepfer("predict", astronaut, "--json", "--model", model_path(exact=True))
        other = deepfer("predict", astronaut, "--json", "--model", "other.onnx")
        ours, theirs = (json.loads(d.stdout)["faces"][0]["probabilities"] for d in (own, other))
        assert list(theirs) == [str(e) for e in BASIC_EXPRESSIONS]
        assert theirs == pytest.approx(ours, abs=1e-5)

    def test_labels_that_do_not_fit(self, deepfer: Run, astronaut: Path, tmp_path: Path) -> None:
        model = onnx.load(model_path())
        info = ModelInfo.from_metadata({p.key: p.value for p in model.metadata_props}, "")
        short = ModelInfo(name="m", labels=info.labels[:3], input=info.input)
        onnx.helper.set_model_props(model, short.to_metadata())
        onnx.save(model, str(tmp_path / "m.onnx"))
        done = deepfer("predict", astronaut, "--model", "m.onnx")
        assert done.returncode == 1
        one_line_error(done, "of shape ['n', 7] but labels")


def _classifier(model: onnx.ModelProto) -> tuple[onnx.TensorProto, onnx.TensorProto]:
    """Return the last dense layer's weight and bias."""
    last = next(n for n in model.graph.node if "logits" in n.output)
    stored = {t.name: t for t in model.graph.initializer}
    weight, bias = (stored[name] for name in last.input if name in stored)
    return weight, bias


def test_version(deepfer: Run) -> None:
    import deepfer as package

    assert deepfer("--version").stdout.strip() == package.__version__


def test_sigterm_ends_it_as_ctrl_c_does(astronaut: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deepfer", "predict", "--json", *[str(astronaut)] * 400]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.terminate()
        process.stdout.close()
        assert process.stderr.read() == "interrupted\n"
        assert process.wait(20) == 130


def test_leftovers_of_killed_runs_are_swept(deepfer: Run, astronaut: Path, tmp_path: Path) -> None:
    for folder in ("photos/more", "out/more"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "photos" / "more" / "a.png").write_bytes(astronaut.read_bytes())
    for name in (".gone.png.partial-99999999", "more/.a.png.partial-99999999"):
        (tmp_path / "out" / name).touch()
    assert deepfer("predict", "photos", "--out", "out").returncode == 0
    assert {p.name for p in (tmp_path / "out").rglob("*")} == {"more", "a.png"}
