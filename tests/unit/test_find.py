"""Faces that the first look misses or sees the wrong way up."""

import numpy as np
import pytest
from PIL import Image

from deepfer.find import FaceFinder, quarter_of

FIND = FaceFinder()


@pytest.fixture(scope="module")
def portrait(astronaut) -> Image.Image:
    return Image.open(astronaut).convert("RGB").crop((100, 0, 340, 240))


@pytest.mark.parametrize("degrees", [0, 45, 90, 180, 270])
def test_eyes_stand_where_they_are(portrait, degrees):
    canvas = Image.new("RGB", (480, 480), (127, 127, 127))
    canvas.paste(portrait, (120, 120))
    faces = FIND(np.asarray(canvas.rotate(degrees, fillcolor=(127, 127, 127))))
    assert len(faces) == 1
    eyes, mouth = faces[0].landmarks[:2].mean(axis=0), faces[0].landmarks[3:].mean(axis=0)
    down = complex(*(mouth - eyes))
    found = np.degrees(np.angle(down / 1j))  # clockwise, y runs down
    assert abs((found + degrees + 180) % 360 - 180) < 20


def test_far_and_tight_faces(portrait):
    far = Image.new("RGB", (3000, 2000), (127, 127, 127))
    far.paste(portrait.resize((80, 80)), (2000, 1500))
    (face,) = FIND(np.asarray(far))
    assert 2000 < face.box[0] < 2080
    assert 1500 < face.box[1] < 1580
    tight = portrait.crop((78, 62, 169, 177)).resize((910, 1150))
    assert len(FIND(np.asarray(tight))) == 1


def test_no_face_in_noise():
    grain = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    assert FIND(grain) == []
    assert FIND(np.full((50, 60, 3), 127, np.uint8)) == []
    assert FIND(np.zeros((1, 1), np.uint8)) == []


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_groups_that_lie_or_stand_on_their_heads(portrait, quarter):
    canvas = Image.new("RGB", (1000, 600), (127, 127, 127))
    for i in range(8):
        canvas.paste(portrait.resize((120, 120)), (20 + 240 * (i % 4), 60 + 280 * (i // 4)))
    faces = FIND(np.ascontiguousarray(np.rot90(np.asarray(canvas), quarter)))
    assert len(faces) == 8
    assert {quarter_of(face) for face in faces} == {4 - quarter}
