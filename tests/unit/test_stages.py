"""Detection, alignment, preprocessing, drawing and reports, each on its own."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageDraw

from deepfer import report
from deepfer.align import TEMPLATE, align, similarity
from deepfer.detect import FaceDetector, whole_picture
from deepfer.errors import InputError
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from deepfer.media import read_photo
from deepfer.modelfile import InputSpec
from deepfer.preprocess import normalize, to_pixels
from deepfer.render import annotate, encode
from deepfer.types import Face, FaceExpression, Pose, Prediction, Quality

SPEC = InputSpec(height=48, width=48)


class TestDetect:
    def test_astronaut(self, astronaut: Path) -> None:
        (face,) = FaceDetector()(read_photo(astronaut))
        x, y, width, height = face.box
        assert 170 < x < 190
        assert 50 < y < 80
        assert 80 < width < 110
        assert 100 < height < 130
        assert face.landmarks is not None
        right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_eye[1] < nose[1] < right_mouth[1]
        assert right_mouth[0] < left_mouth[0]

    @pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 4.0])
    def test_boxes_are_in_pixels_of_the_photo(self, astronaut: Path, factor: float) -> None:
        detector, picture = FaceDetector(), PillowImage.open(astronaut).convert("RGB")
        (whole,) = detector(np.asarray(picture))
        side = round(512 * factor)
        (scaled,) = detector(np.asarray(picture.resize((side, side))))
        np.testing.assert_allclose(
            np.array(scaled.box) / factor, whole.box, atol=max(6, 2 / factor)
        )

    def test_gray_and_odd_sizes(self, astronaut: Path) -> None:
        gray = np.asarray(PillowImage.open(astronaut).convert("L"))
        assert len(FaceDetector()(gray[:301, 101:412])) == 1

    def test_face_cut_by_the_border_stays_inside(self, astronaut: Path) -> None:
        photo = read_photo(astronaut)[:, 215:]
        for face in FaceDetector(min_score=0.3)(photo):
            x, y, width, height = face.box
            assert x >= 0
            assert y >= 0
            assert x + width <= photo.shape[1]
            assert y + height <= photo.shape[0]

    @pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 3, 3), (700, 2, 3)])
    def test_tiny_pictures_have_no_face(self, shape: tuple[int, ...]) -> None:
        assert FaceDetector()(np.zeros(shape, dtype=np.uint8)) == []

    def test_whole_picture(self) -> None:
        (face,) = whole_picture(np.zeros((30, 20), dtype=np.uint8))
        assert face.box == (0, 0, 20, 30)


class TestAlign:
    @given(
        scale=st.floats(0.3, 20),
        angle=st.floats(-3, 3),
        x=st.floats(-500, 500),
        y=st.floats(-500, 500),
    )
    def test_similarity_recovers_the_map(
        self, scale: float, angle: float, x: float, y: float
    ) -> None:
        turn, shift = scale * complex(np.cos(angle), np.sin(angle)), complex(x, y)
        moved = (TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]) * turn + shift
        target = np.stack([moved.real, moved.imag], axis=1)
        found_turn, found_shift = similarity(TEMPLATE, target)
        assert found_turn == pytest.approx(turn, abs=1e-4)
        assert found_shift == pytest.approx(shift, abs=1e-2)

    @pytest.mark.parametrize("factor", [0.5, 1, 2, 3.7, 9])
    def test_a_face_in_template_position_comes_back(self, factor: float) -> None:
        # smooth, so that resampling loses nothing
        ramp = np.arange(48) * 4.0
        face = np.add.outer(ramp, ramp / 3).clip(0, 255).astype(np.uint8)
        side = round(48 * factor)
        photo = np.asarray(PillowImage.fromarray(face).resize((side, side)))
        result = align(photo, TEMPLATE * factor, 48)
        assert result.shape == (48, 48)
        inner = np.s_[4:-4, 4:-4]
        difference = np.abs(result[inner].astype(int) - face[inner])
        assert difference.max() <= 5

    @pytest.mark.parametrize("angle", [-90, -25, 25, 180])
    def test_rotated_faces_are_turned_upright(self, astronaut: Path, angle: int) -> None:
        picture = PillowImage.open(astronaut).convert("L")
        (face,) = FaceDetector()(np.asarray(picture))
        assert face.landmarks is not None
        upright = align(np.asarray(picture), face.landmarks, 48)
        # Pillow rotates counter-clockwise around the centre, with y pointing down
        turn = np.exp(-1j * np.deg2rad(angle))
        moved = ((face.landmarks @ [1, 1j]) - 256 * (1 + 1j)) * turn + 256 * (1 + 1j)
        turned = np.asarray(picture.rotate(angle, PillowImage.Resampling.BICUBIC))
        again = align(turned, np.stack([moved.real, moved.imag], axis=1), 48)
        assert np.corrcoef(upright.ravel(), again.ravel())[0, 1] > 0.99

    @pytest.mark.parametrize("angle", [-10, 10])
    def test_detected_landmarks_turn_with_the_face(self, astronaut: Path, angle: int) -> None:
        picture, detector = PillowImage.open(astronaut).convert("L"), FaceDetector()
        crops = []
        for turned in (picture, picture.rotate(angle, PillowImage.Resampling.BICUBIC)):
            landmarks = detector(np.asarray(turned))[0].landmarks
            assert landmarks is not None
            crops.append(align(np.asarray(turned), landmarks, 48).ravel())
        assert np.corrcoef(*crops)[0, 1] > 0.8

    def test_beyond_the_photo_the_border_is_repeated(self) -> None:
        photo = np.full((48, 48, 3), 90, dtype=np.uint8)
        assert (align(photo, TEMPLATE + 30, 48) == 90).all()


class TestPreprocess:
    def test_sizes_and_colors_are_mixed(self) -> None:
        crops = [np.full(shape, 255, dtype=np.uint8) for shape in ((48, 48), (9, 7, 3), (200, 90))]
        pixels = to_pixels(crops, SPEC)
        assert pixels.shape == (3, 48, 48)
        assert (pixels == 255).all()

    def test_normalization(self) -> None:
        spec = InputSpec(height=1, width=2, mean=0.5, std=0.25)
        batch = normalize(np.array([[[0, 255]]], dtype=np.uint8), spec)
        np.testing.assert_allclose(batch, [[[[-2.0, 2.0]]]], atol=1e-6)
        assert batch.dtype == np.float32

    def test_shrinking_does_not_alias(self) -> None:
        stripes = np.zeros((480, 480), dtype=np.uint8)
        stripes[:, ::2] = 255
        assert np.ptp(to_pixels([stripes], SPEC)) <= 8  # aliasing would give up to 255

    def test_no_crops(self) -> None:
        assert to_pixels([], SPEC).shape == (0, 48, 48)

    def test_bad_crop_is_named(self) -> None:
        good = np.zeros((4, 4), dtype=np.uint8)
        with pytest.raises(InputError, match="crop 1"):
            to_pixels([good, good.astype(float)], SPEC)  # type: ignore[list-item]


def prediction(faces: int = 2, certain: bool = True) -> Prediction:
    share = 1 / 7
    probabilities = dict.fromkeys(BASIC_EXPRESSIONS, share)
    probabilities[BASIC_EXPRESSIONS[3]] = share + 0.01
    boxes = [(10 + 40 * i, 2, 30, 36) for i in range(faces)]
    return Prediction(
        source="a, b.jpg",
        width=200,
        height=100,
        model="m@1",
        prior="photos",
        labels=BASIC_EXPRESSIONS,
        faces=tuple(
            FaceExpression(
                Face(box, None, 0.9),
                dict(probabilities),
                certain=certain,
                possible=(Expression.HAPPY, Expression.SAD),
                quality=Quality(90, 0.5, 0.25, Pose(-31.25, 4, 0), ("turned away", "dark")),
            )
            for box in boxes
        ),
    )


class TestReport:
    def test_json_schema(self) -> None:
        content = json.loads(report.to_json_line(prediction(1)))
        assert list(content) == ["schema", "source", "width", "height", "model", "prior", "faces"]
        (face,) = content["faces"]
        assert face["box"] == [10, 2, 30, 36]
        assert face["expression"] == "happy"
        assert list(face["probabilities"]) == [str(e) for e in BASIC_EXPRESSIONS]
        assert face["probability"] == max(face["probabilities"].values())

    def test_no_face_is_an_answer(self) -> None:
        assert json.loads(report.to_json_line(prediction(0)))["faces"] == []
        row = report.csv_rows(prediction(0))
        assert row.startswith('"a, b.jpg",200,100,m@1,photos,0,,')
        assert row.count(",") == report.csv_header(BASIC_EXPRESSIONS).count(",") + 1
        assert "no face" in report.table_rows(prediction(0))

    def test_csv_is_readable(self) -> None:
        text = report.csv_header(BASIC_EXPRESSIONS) + "\n" + report.csv_rows(prediction(2))
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["face"] for row in rows] == ["1", "2"]
        assert rows[0]["source"] == "a, b.jpg"
        assert float(rows[0]["p_happy"]) == pytest.approx(1 / 7 + 0.01, abs=1e-6)

    def test_columns_do_not_depend_on_the_models_label_order(self) -> None:
        result = prediction(1)
        shuffled = dict(reversed(result.faces[0].probabilities.items()))
        other = replace(result, faces=(replace(result.faces[0], probabilities=shuffled),))
        assert report.csv_rows(other) == report.csv_rows(result)

    def test_json_and_tables_tell_the_same(self) -> None:
        (face,) = prediction(1).faces
        record = report.face_record(face)
        row = dict(zip(report.face_columns(BASIC_EXPRESSIONS), report.face_row(face), strict=True))
        assert record["pose"] == {"yaw": -31.2, "pitch": 4, "roll": 0}
        assert (row["yaw"], row["light"], row["size"]) == (-31.2, 0.25, 90)
        assert (record["possible"], row["possible"]) == (["happy", "sad"], "happy|sad")
        assert (record["notes"], row["notes"]) == (["turned away", "dark"], "turned away|dark")
        for name, kind in report.face_columns(BASIC_EXPRESSIONS).items():
            assert isinstance(row[name], (int, float) if kind is float else kind)

    def test_a_face_without_landmarks_has_no_pose(self) -> None:
        (face,) = prediction(1).faces
        plain = replace(face, quality=replace(face.quality, pose=None))
        assert report.face_record(plain)["pose"] is None
        columns = report.face_columns(BASIC_EXPRESSIONS)
        assert dict(zip(columns, report.face_row(plain), strict=True))["roll"] is None

    def test_uncertain_is_an_answer(self) -> None:
        text = report.table_rows(prediction(1, certain=False))
        assert "  happy  " in text
        assert text.endswith("uncertain: happy or sad, turned away, dark")
        assert "uncertain" not in report.table_rows(prediction(1))


class TestRender:
    def test_copy_has_the_photos_size_and_the_photo_is_untouched(self) -> None:
        photo = np.full((100, 200), 90, dtype=np.uint8)
        picture = annotate(photo, prediction(3))
        assert picture.size == (200, 100)
        assert (photo == 90).all()
        assert (np.asarray(picture) != 90).any()

    def test_labels_say_what_is_uncertain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[str] = []
        draw = ImageDraw.ImageDraw.text
        monkeypatch.setattr(
            ImageDraw.ImageDraw, "text", lambda *a, **k: (written.append(a[2]), draw(*a, **k))
        )
        photo = np.full((100, 200), 90, dtype=np.uint8)
        annotate(photo, prediction(1))
        annotate(photo, prediction(1, certain=False))
        (face,) = prediction(1, certain=False).faces
        many = replace(face, possible=BASIC_EXPRESSIONS[:4])
        annotate(photo, replace(prediction(1), faces=(many,)), ["7:"])
        assert written == ["happy 15%", "uncertain: happy or sad", "7: uncertain"]

    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    def test_encoded_pictures_can_be_read(self, suffix: str) -> None:
        photo = np.zeros((20, 30, 3), dtype=np.uint8)
        assert read_photo(encode(annotate(photo, prediction(0)), suffix)).shape == (20, 30, 3)

    def test_tiny_photo(self) -> None:
        annotate(np.zeros((1, 1), dtype=np.uint8), prediction(1))
