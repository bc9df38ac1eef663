import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from deepfer import Recognizer
from deepfer.errors import InputError
from deepfer.media import read_photo


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def jpeg(portrait: PillowImage.Image, width: int, height: int, place: tuple[int, int]) -> bytes:
    photo = PillowImage.new("RGB", (width, height), "gray")
    photo.paste(portrait, place)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_a_large_jpeg_gives_what_all_its_pixels_give(
    recognizer: Recognizer, astronaut: Path
) -> None:
    portrait = PillowImage.open(astronaut).convert("RGB").resize((2048, 2048))
    data = jpeg(portrait, 2801, 2101, (400, 50))
    fast, whole = recognizer.recognize(data), recognizer.recognize(read_photo(data))
    assert (fast.width, fast.height) == (2801, 2101)
    (a,), (b,) = fast.faces, whole.faces
    np.testing.assert_allclose(a.face.box, b.face.box, atol=8)
    assert a.face.landmarks is not None
    assert b.face.landmarks is not None
    np.testing.assert_allclose(a.face.landmarks, b.face.landmarks, atol=8)
    np.testing.assert_allclose(
        list(a.probabilities.values()), list(b.probabilities.values()), atol=0.02
    )


def test_small_faces_of_a_large_jpeg_are_read_with_all_their_pixels(
    recognizer: Recognizer, astronaut: Path
) -> None:
    portrait = PillowImage.open(astronaut).convert("RGB")  # its face is 100 pixels wide
    data = jpeg(portrait, 2800, 2100, (900, 700))
    fast, whole = recognizer.recognize(data), recognizer.recognize(read_photo(data))
    assert len(fast.faces) == 1
    assert fast.faces == whole.faces


def test_all_faces_are_looked_for_unless_one_quick_search_is_asked_for(astronaut: Path) -> None:
    portrait = PillowImage.open(astronaut).convert("RGB")
    far = jpeg(portrait.resize((150, 150)), 4000, 3000, (2500, 2000))  # its face is 27 pixels wide
    lying = np.rot90(np.asarray(portrait)).copy()
    assert len(Recognizer().recognize(far).faces) == 1
    assert not Recognizer(detect_size=640).recognize(far).faces
    (face,) = Recognizer().recognize(lying).faces
    assert face.expression == "happy"
    assert face.quality.pose is not None
    assert face.quality.pose.roll == pytest.approx(-90, abs=15)


def test_a_reduced_crop_has_the_box_of_the_whole_photo(astronaut: Path) -> None:
    data = jpeg(PillowImage.open(astronaut).convert("RGB"), 1301, 1303, (0, 0))
    (face,) = Recognizer(detect=False).recognize(data).faces
    assert face.face.box == (0, 0, 1301, 1303)


def test_faces_below_the_least_width_are_left_out_whatever_the_scale(astronaut: Path) -> None:
    portrait = PillowImage.open(astronaut).convert("RGB").resize((2048, 2048))
    data = jpeg(portrait, 2800, 2100, (400, 50))
    (found,) = Recognizer().recognize(data).faces
    width = found.face.box[2]
    assert len(Recognizer(min_face=width - 8).recognize(data).faces) == 1
    assert not Recognizer(min_face=width + 8).recognize(data).faces


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(
    "options", [{"min_score": 2}, {"min_score": float("nan")}, {"detect_size": 0}]
)
def test_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected 0 to 1"):
        Recognizer(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, 3, bytearray(b"x"), ["a.png"]])
def test_what_is_no_photo_is_named(recognizer: Recognizer, source: object) -> None:
    with pytest.raises(InputError, match=f"got {type(source).__name__}"):
        recognizer.recognize(source)  # type: ignore[arg-type]


def test_a_pipe_is_read_once(recognizer: Recognizer, astronaut: Path, tmp_path: Path) -> None:
    data = jpeg(PillowImage.open(astronaut).convert("RGB"), 2800, 2100, (900, 700))
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,), daemon=True)
    writer.start()
    found = recognizer.recognize(pipe)
    writer.join(timeout=10)
    assert found.source == str(pipe)
    assert found.faces == recognizer.recognize(data).faces
