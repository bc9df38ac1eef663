"""The page's JavaScript computes pixels and faces as the package does with Pillow and NumPy."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from deepfer import align as align_module
from deepfer import detect as detect_module
from deepfer import find as find_module
from deepfer.align import TEMPLATE, align, cut, similarity
from deepfer.detect import FaceDetector, suppress
from deepfer.explain.regions import face_regions, region_shares
from deepfer.find import quarter_of, stretch
from deepfer.types import Face

Pixels = NDArray[np.uint8]
Call = Callable[..., list[Any]]

STATIC = Path(str(resources.files("deepfer"))) / "serve" / "static"
BILINEAR = PillowImage.Resampling.BILINEAR


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Call functions of the page's modules: each call is (module, function, *arguments)."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node not found: install Node.js 20 or newer to test the page's JavaScript")
    folder = tmp_path_factory.mktemp("modules")
    for module in STATIC.glob("*.js"):
        shutil.copy(module, folder)
    (folder / "package.json").write_text('{"type": "module"}')  # browsers need no such file

    def run(*calls: tuple[object, ...]) -> list[Any]:
        done = subprocess.run(
            [node, Path(__file__).with_name("call.mjs"), folder],
            input=json.dumps(calls).encode(),
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    return run


def random_pixels(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def plane(pixels: Pixels) -> dict[str, object]:
    height, width = pixels.shape
    return {"width": width, "height": height, "base64": base64.b64encode(pixels.tobytes()).decode()}


def planes(photo: Pixels) -> list[dict[str, object]]:
    return [plane(photo if photo.ndim == 2 else photo[:, :, c]) for c in range(3)]


def floats(values: NDArray[np.float32]) -> dict[str, str]:
    return {"float32": base64.b64encode(values.astype(np.float32).tobytes()).decode()}


def face_json(face: Face) -> dict[str, object]:
    assert face.landmarks is not None
    points = [{"x": x, "y": y} for x, y in face.landmarks.tolist()]
    return {"box": face.box, "landmarks": points, "score": face.detector_score}


def assert_same_faces(found: list[Any], expected: list[Face]) -> None:
    assert [face["box"] for face in found] == [list(face.box) for face in expected]
    for face, same in zip(found, expected, strict=True):
        assert face["score"] == pytest.approx(same.detector_score, abs=1e-6)
        points = [[p["x"], p["y"]] for p in face["landmarks"]]
        np.testing.assert_allclose(points, same.landmarks, atol=1e-3)


def random_faces(count: int, seed: int = 0) -> list[Face]:
    """Faces in a photo of 400x400 pixels, about as many upright as not."""
    random = np.random.default_rng(seed)
    faces = []
    for _ in range(count):
        width, roll = random.uniform(10, 130), random.normal(0, 0.3)
        left, top = random.integers(0, 250, 2).tolist()
        turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        points = (TEMPLATE * (width / 48)) @ turn + [left, top] + random.normal(0, 0.02 * width)
        score = float(np.float32(random.uniform(0.75, 1)))
        faces.append(Face((left, top, int(width), int(1.2 * width)), np.float32(points), score))
    return faces


def unpack(result: dict[str, Any]) -> Pixels:
    data = np.frombuffer(base64.b64decode(result["base64"]), dtype=np.uint8)
    return data.reshape(result["height"], result["width"])


def test_round_even(call: Call) -> None:
    values = [0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6, 7.0]
    assert call(*(("pixels.js", "roundEven", v) for v in values)) == [round(v) for v in values]


def test_transparent_parts_become_white(call: Call) -> None:
    values, alpha = (a.astype(np.uint8) for a in np.meshgrid(np.arange(256), np.arange(256)))
    rgba = np.stack([values, values.T, 255 - values, alpha], axis=-1)
    white = PillowImage.new("RGBA", (256, 256), "white")
    expected = np.asarray(PillowImage.alpha_composite(white, PillowImage.fromarray(rgba)))
    (found,) = call(("pixels.js", "split", rgba.ravel().tolist(), 256, 256))
    for channel, result in enumerate(found):
        np.testing.assert_array_equal(unpack(result), expected[:, :, channel])


def test_luma(call: Call) -> None:
    photo = random_pixels(64, 64, 3)
    gray = random_pixels(64, 64)
    found = call(("pixels.js", "luma", planes(photo)), ("pixels.js", "luma", planes(gray)))
    np.testing.assert_array_equal(unpack(found[0]), PillowImage.fromarray(photo).convert("L"))
    np.testing.assert_array_equal(unpack(found[1]), gray)


def test_reduce(call: Call) -> None:
    pixels = random_pixels(61, 83)
    factors = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (7, 7), (2, 5), (1, 3), (90, 90)]
    found = call(*(("pixels.js", "reduce", plane(pixels), *f) for f in factors))
    for factor, result in zip(factors, found, strict=True):
        expected = PillowImage.fromarray(pixels).reduce(factor)
        np.testing.assert_array_equal(unpack(result), expected, err_msg=str(factor))


def test_resize(call: Call) -> None:
    cases = [
        ((37, 53), (37, 53), None),
        ((37, 53), (100, 61), None),
        ((37, 53), (37, 20), None),
        ((301, 203), (48, 48), None),
        ((301, 203), (48, 48), 2.0),
        ((1279, 853), (640, 427), 2.0),  # too little to average blocks first
        ((1283, 963), (213, 160), 2.0),  # blocks of 3, the last ones smaller
        ((1400, 90), (200, 80), 2.0),  # blocks in one direction only
        ((301, 900), (214, 640), 2.0),  # so tall that Pillow starts with the rows
    ]
    calls, expected = [], []
    for seed, ((width, height), size, gap) in enumerate(cases):
        pixels = random_pixels(height, width, seed=seed)
        calls.append(("pixels.js", "resize", plane(pixels), *size, *([gap] if gap else [])))
        expected.append(PillowImage.fromarray(pixels).resize(size, BILINEAR, reducing_gap=gap))
    for case, result, picture in zip(cases, call(*calls), expected, strict=True):
        np.testing.assert_array_equal(unpack(result), picture, err_msg=str(case))


def test_affine(call: Call) -> None:
    pixels = random_pixels(60, 80)
    random = np.random.default_rng(1)
    matrices = [
        [1, 0, 0, 0, 1, 0],
        [0.5, 0, 0.25, 0, 0.5, 0.25],
        [1.7, -0.4, -9, 0.4, 1.7, 3],  # reads beyond the borders
        *random.uniform([-2, -2, 20, -2, -2, 20], [2, 2, 60, 2, 2, 60], (5, 6)).tolist(),
    ]
    found = call(*(("pixels.js", "affine", plane(pixels), 50, 40, m) for m in matrices))
    for matrix, result in zip(matrices, found, strict=True):
        expected = PillowImage.fromarray(pixels).transform(
            (50, 40), PillowImage.Transform.AFFINE, matrix, BILINEAR
        )
        np.testing.assert_array_equal(unpack(result), expected, err_msg=str(matrix))


def test_cut_repeats_the_border(call: Call) -> None:
    pixels = random_pixels(20, 30)
    boxes = [(3, 4, 20, 15), (-5, -7, 12, 9), (25, 15, 40, 33), (-3, -3, 33, 23)]
    found = call(*(("pixels.js", "cut", plane(pixels), *box) for box in boxes))
    for box, result in zip(boxes, found, strict=True):
        np.testing.assert_array_equal(unpack(result), cut(pixels, *box))


def test_turn_left(call: Call) -> None:
    pixels = random_pixels(20, 30)
    found = call(*(("pixels.js", "turnLeft", plane(pixels), quarter) for quarter in range(4)))
    for quarter, result in enumerate(found):
        np.testing.assert_array_equal(unpack(result), np.rot90(pixels, quarter))


def test_constants() -> None:
    known = {**vars(align_module), **vars(detect_module), **vars(find_module)}
    lines = "".join((STATIC / name).read_text() for name in ("faces.js", "find.js"))
    one = re.findall(r"^const ([A-Z_]+) = ([\d.e/ ]+);", lines, re.MULTILINE)
    several = re.findall(r"^const \[([A-Z_, ]+)\] = \[([\d.e, ]+)\];", lines, re.MULTILINE)
    found = {
        name: float(Fraction(value.replace(" ", "")))
        for names, values in one + several
        for name, value in zip(names.split(", "), values.split(", "), strict=True)
    }
    assert len(found) > 15
    assert found == {name: known.get(f"_{name}", known.get(name)) for name in found}


def test_detector_input(call: Call) -> None:
    detector = FaceDetector()
    cases = [
        (random_pixels(40, 30, 3), 640),  # enlarged three times
        (random_pixels(351, 401), 640),  # gray, enlarged to 480
        (random_pixels(500, 333, 3), 640),  # as it is
        (random_pixels(700, 1501, 3), 640),  # shrunk
        (random_pixels(100, 80), 256),
        (random_pixels(200, 2500, 3), 2500),  # in tiles
        (random_pixels(1320, 1500), 1441),
    ]
    for photo, long_side in cases:
        given = planes(photo) if photo.ndim == 3 else [plane(photo)]
        (result,) = call(("faces.js", "detectorInput", given, long_side))
        small, zoom = detector._small(photo, long_side)
        assert result["zoom"] == pytest.approx(zoom.tolist())
        tiles = list(detect_module._tiles(small))
        assert [(tile["x"], tile["y"]) for tile in result["tiles"]] == [t[1:] for t in tiles]
        for tile, (pixels, _, _) in zip(result["tiles"], tiles, strict=True):
            blob = detect_module._blob(pixels)
            assert tile["dims"] == list(blob.shape)
            data = np.frombuffer(base64.b64decode(tile["data"]["float32"]), dtype=np.float32)
            np.testing.assert_array_equal(data, blob.ravel())


def test_faces_of_the_detectors_answer(call: Call, astronaut: Path) -> None:
    photo = np.asarray(PillowImage.open(astronaut).convert("RGB").crop((100, 0, 420, 300)))
    photo = np.concatenate([photo, photo[:, ::-1]], axis=1)  # two faces
    detector = FaceDetector()
    small, zoom = detector._small(photo, detector.long_side)
    blob = detect_module._blob(small)
    answers = detector._session.run(detector._outputs, {"input": blob})
    outputs = {n: {"data": floats(v)} for n, v in zip(detector._outputs, answers, strict=True)}
    places = ({"dims": blob.shape, "x": x, "y": y} for x, y in ((0, 0), (70, 30)))
    here, there = call(*(("faces.js", "decode", outputs, place, 0.75) for place in places))
    (found,) = call(("faces.js", "facesOf", here, zoom.tolist(), *photo.shape[1::-1]))
    expected = detector(photo)
    assert len(expected) == 2
    assert_same_faces(found, expected)
    rows = detector._search(small, 70, 30)
    assert len(there) == len(rows) > 2
    for face, row in zip(there, rows.tolist(), strict=True):
        points = [v for p in face["landmarks"] for v in (p["x"], p["y"])]
        assert [face["score"], *face["box"], *points] == pytest.approx(row, abs=1e-3)


def test_suppress(call: Call) -> None:
    faces = random_faces(40)
    (found,) = call(("faces.js", "suppress", [face_json(face) for face in faces]))
    expected = suppress(faces)
    assert 5 < len(expected) < 35
    assert_same_faces(found, expected)


def test_stretch(call: Call) -> None:
    cases = [random_pixels(40, 60) // 3 + 50, random_pixels(7, 9), np.full((5, 5), 9, np.uint8)]
    found = call(*(("find.js", "stretch", plane(pixels)) for pixels in cases))
    for pixels, result in zip(cases, found, strict=True):
        np.testing.assert_array_equal(unpack(result), stretch(pixels))


def test_square(call: Call) -> None:
    photo = np.asarray(  # smooth, as photos are
        PillowImage.fromarray(random_pixels(30, 40)).resize((400, 300), BILINEAR)
    )
    cases = [
        (200 + 150j, 640.0, 0, 400),  # with a border
        (200 + 150j, 400.0, 90, 400),
        (200 + 150j, 480.0, 225, 400),
        (31.5 + 280j, 97.3, 0, 384),
        (192 + 192.5j, 256.0, 33.4, 256),
    ]
    calls = ((plane(photo), {"x": c.real, "y": c.imag}, *others) for c, *others in cases)
    found = call(*(("find.js", "square", *arguments) for arguments in calls))
    for case, result in zip(cases, found, strict=True):
        view, turn, shift = find_module._square(photo, *case)
        assert complex(result["turn"]["x"], result["turn"]["y"]) == pytest.approx(turn)
        assert complex(result["shift"]["x"], result["shift"]["y"]) == pytest.approx(shift)
        off = np.abs(unpack(result["view"]).astype(int) - view)
        # what falls on a whole number or just below it depends on the last digit
        assert off.max() <= 1
        assert (off > 0).mean() < 0.01


def test_four_sides(call: Call) -> None:
    view = random_pixels(256, 256)
    (found,) = call(("find.js", "fourSides", plane(view)))
    views = [np.rot90(view, quarter) for quarter in range(4)]
    np.testing.assert_array_equal(unpack(found), np.block([views[:2], views[2:]]))


def test_quarter_turn(call: Call) -> None:
    size = {"width": 401, "height": 256}
    found = call(*(("find.js", "quarterTurn", quarter, size) for quarter in range(4)))
    for quarter, result in enumerate(found):
        turn, shift = find_module._quarter_turn(quarter, (256, 401))
        assert result == {
            "turn": {"x": turn.real, "y": turn.imag},
            "shift": {"x": shift.real, "y": shift.imag},
        }


def test_quarter_of(call: Call) -> None:
    photo = np.zeros((400, 400), np.uint8)
    turns = [1, -1, 1j, -1j, 1 + 1.1j, 1 - 0.9j, -1 + 1.1j]
    cases = zip(random_faces(70), 10 * turns, strict=True)
    faces = [find_module._back(face, complex(turn), 0, photo) for face, turn in cases]
    found = call(*(("find.js", "quarterOf", face_json(face)) for face in faces))
    assert found == [quarter_of(face) for face in faces]
    assert set(found) == {0, 1, 2, 3}


def test_is_upright(call: Call) -> None:
    faces = random_faces(200)
    ratios = np.random.default_rng(1).uniform(0.3, 2, 200).tolist()
    cases = list(zip(faces, ratios, strict=True))
    found = call(*(("find.js", "isUpright", face_json(face), ratio) for face, ratio in cases))
    assert found == [find_module._is_upright(face, ratio) for face, ratio in cases]
    assert 20 < sum(found) < 180


def test_back(call: Call) -> None:
    photo = np.zeros((300, 400), np.uint8)
    cases = list(zip(random_faces(6), [1, 1j, -1, -2j, 0.5, 1.3 + 1.4j], strict=True))
    shift = 200 + 90.5j
    calls = (
        (face_json(face), *({"x": n.real, "y": n.imag} for n in (complex(turn), shift)))
        for face, turn in cases
    )
    found = call(*(("find.js", "back", *arguments, plane(photo)) for arguments in calls))
    assert_same_faces(found, [find_module._back(f, complex(t), shift, photo) for f, t in cases])


def test_align(call: Call) -> None:
    photo = np.asarray(  # smooth, as photos are
        PillowImage.fromarray(random_pixels(30, 40, 3)).resize((400, 300), BILINEAR)
    )
    usual = np.array([[15, 18], [33, 18], [24, 27], [16, 36], [32, 36]], dtype=np.float32)
    cases = [usual * 4 + [90, 50], usual * 0.7 + [5, 200], (usual @ [[1.5, 2], [-2, 1.5]]) + 150]
    points = [[{"x": x, "y": y} for x, y in case.tolist()] for case in cases]
    found = call(*(("faces.js", "align", planes(photo), p, 48) for p in points))
    for case, result in zip(cases, found, strict=True):
        expected = align(photo, case.astype(np.float32), 48).astype(int)
        off = np.abs(np.stack([unpack(r) for r in result], axis=-1) - expected)
        # what falls on a whole number or just below it depends on the last digit
        assert off.max() <= 1
        assert (off > 0).mean() < 0.01


def test_similarity(call: Call) -> None:
    source, target = np.random.default_rng(2).uniform(0, 99, (2, 5, 2))
    points = [[{"x": x, "y": y} for x, y in p.tolist()] for p in (source, target)]
    (found,) = call(("faces.js", "similarity", *points))
    turn, shift = similarity(source, target)
    assert complex(found["turn"]["x"], found["turn"]["y"]) == pytest.approx(turn)
    assert complex(found["shift"]["x"], found["shift"]["y"]) == pytest.approx(shift)


def test_region_shares(call: Call) -> None:
    values = np.random.default_rng(3).normal(size=(48, 48)).astype(np.float32)
    (found,) = call(("occlusion.js", "regionShares", floats(values), 48))
    expected = region_shares(values, face_regions(48, 48))
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-5)
