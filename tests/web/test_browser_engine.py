"""The written page recognises in a browser what the package recognises in Python."""

import base64
import http.server
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from conftest import ROOT
from deepfer import Recognizer
from deepfer.explain import explain
from deepfer.explain.regions import face_regions, region_shares
from deepfer.modelfile import InputSpec
from deepfer.preprocess import normalize
from deepfer.report import to_json
from deepfer.serve import site

pytestmark = pytest.mark.slow

Picture = PillowImage.Image
InPage = Callable[..., Any]

TO_BLOB = """
const toBlob = (data) =>
  new Blob([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))]);
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *message: object) -> None: ...


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A plain web server with the written page."""
    usual = ROOT / "node_modules" / "onnxruntime-web"
    runtime = Path(os.environ.get("DEEPFER_ORT_WEB", usual))
    if not runtime.is_dir():
        pytest.skip(f"{runtime} not found: npm install onnxruntime-web, or set DEEPFER_ORT_WEB")
    folder = tmp_path_factory.mktemp("web")
    site.write_site(folder / "site", runtime)
    handler = partial(Quiet, directory=str(folder / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    """The page in headless Chromium."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright not found: pip install playwright"
    )
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium and no google-chrome found: install one to test the page")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        yield page
        browser.close()


@pytest.fixture(scope="module")
def in_page(page: Any) -> InPage:
    """Run JavaScript in a page with an open `engine`; the body sees `argument` and `toBlob`."""
    page.evaluate(
        "async () => { globalThis.engine = await (await import('./browser.js')).openEngine() }"
    )

    def run(body: str, argument: object = None) -> Any:
        return page.evaluate(f"async (argument) => {{ {TO_BLOB} {body} }}", argument)

    return run


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def encoded(picture: Picture, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def astronaut_png(picture: Picture) -> bytes:
    return encoded(picture)


def gray_png(picture: Picture) -> bytes:
    return encoded(picture.convert("L"))


def half_transparent_png(picture: Picture) -> bytes:
    clear = picture.copy()
    clear.putalpha(PillowImage.linear_gradient("L").rotate(180).resize(picture.size))
    return encoded(clear)


def turned_jpeg(picture: Picture) -> bytes:
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    return encoded(picture.rotate(90).crop((0, 0, 480, 512)), "JPEG", quality=85, exif=exif)


def small_webp(picture: Picture) -> bytes:
    return encoded(picture.crop((130, 20, 330, 220)).resize((90, 90)), "WEBP", lossless=True)


def several_faces(picture: Picture, kind: str = "PNG") -> bytes:
    face = picture.crop((120, 20, 330, 230))
    large = PillowImage.new("RGB", (1500, 1100), "gray")
    large.paste(picture.resize((900, 900)), (0, 100))
    large.paste(face.rotate(20, PillowImage.Resampling.BICUBIC), (1000, 50))
    large.paste(
        face.resize((120, 120)).transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT), (1200, 600)
    )
    return encoded(large, kind)


def turned(degrees: int, picture: Picture) -> bytes:
    canvas = PillowImage.new("RGB", (760, 760), "gray")
    canvas.paste(picture, (124, 124))
    return encoded(canvas.rotate(degrees, PillowImage.Resampling.BICUBIC, fillcolor="gray"))


def lying_group(picture: Picture) -> bytes:
    canvas = PillowImage.new("RGB", (900, 600), "gray")
    for i, degrees in enumerate((90, 90, 0)):
        face = picture.crop((100, 0, 340, 240)).resize((180 - 30 * i, 180 - 30 * i))
        canvas.paste(face.rotate(degrees), (30 + 210 * i, 200))
    return encoded(canvas)


def far_face(picture: Picture) -> bytes:
    canvas = PillowImage.new("RGB", (2400, 1600), "gray")
    canvas.paste(picture.crop((100, 0, 340, 240)).resize((80, 80)), (1700, 1200))
    return encoded(canvas)


def tight_crop(picture: Picture) -> bytes:
    return encoded(picture.crop((178, 62, 269, 177)).resize((910, 1150)))


def plain(picture: Picture) -> bytes:
    return encoded(PillowImage.new("RGB", picture.size, "gray"))


def no_face(picture: Picture) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    return encoded(PillowImage.fromarray(noise))


def both(
    in_page: InPage, recognizer: Recognizer, photo: bytes, prior: str = "photos"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the page tells of a photo, and what Python does."""
    found = in_page(
        "const [data, prior] = argument; return engine.recognize(toBlob(data), '-', prior);",
        [base64.b64encode(photo).decode(), prior],
    )
    classifier = recognizer.classifier.under(prior)
    return found, to_json(Recognizer(classifier).recognize(photo))


@pytest.mark.parametrize("prior", ["photos", "balanced"])
@pytest.mark.parametrize(
    ("make", "faces"),
    [
        (astronaut_png, 1),
        (gray_png, 1),
        (half_transparent_png, 1),
        (turned_jpeg, 1),
        (small_webp, 1),
        (several_faces, 3),
        *(pytest.param(partial(turned, n), 1, id=f"turned_by_{n}") for n in (45, 90, 180)),
        (lying_group, 3),
        (far_face, 1),
        (plain, 0),
        (no_face, 0),
    ],
)
def test_results_are_those_of_python(
    in_page: InPage,
    recognizer: Recognizer,
    astronaut: Path,
    make: Callable[[Picture], bytes],
    faces: int,
    prior: str,
) -> None:
    with PillowImage.open(astronaut) as picture:
        photo = make(picture.convert("RGB"))
    found, expected = both(in_page, recognizer, photo, prior)
    assert len(expected["faces"]) == faces
    assert {**found, "faces": len(found["faces"])} == {**expected, "faces": faces}
    for face, same in zip(found["faces"], expected["faces"], strict=True):
        assert list(face) == list(same)
        assert face["box"] == pytest.approx(same["box"], abs=1)
        assert face["detector_score"] == pytest.approx(same["detector_score"], abs=1e-3)
        for exact in ("expression", "certain", "possible", "sharpness", "light", "notes"):
            assert face[exact] == same[exact]
        assert face["pose"] == pytest.approx(same["pose"], abs=0.1)
        assert face["size"] == min(face["box"][2:])
        assert list(face["probabilities"]) == list(same["probabilities"])
        assert face["probabilities"] == pytest.approx(same["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("make", "faces"),
    [
        # a gray level of an enlarged view depends on the last digits
        (tight_crop, 1),
        # Python decodes it at half its size
        pytest.param(partial(several_faces, kind="JPEG"), 3, id="large_jpeg"),
    ],
)
def test_results_are_nearly_those_of_python(
    in_page: InPage,
    recognizer: Recognizer,
    astronaut: Path,
    make: Callable[[Picture], bytes],
    faces: int,
) -> None:
    with PillowImage.open(astronaut) as picture:
        photo = make(picture.convert("RGB"))
    found, expected = both(in_page, recognizer, photo)
    assert len(found["faces"]) == len(expected["faces"]) == faces
    pairs = (sorted(result["faces"], key=lambda face: face["box"]) for result in (found, expected))
    for face, same in zip(*pairs, strict=True):
        assert face["box"] == pytest.approx(same["box"], abs=3)
        assert face["detector_score"] == pytest.approx(same["detector_score"], abs=0.02)
        assert face["expression"] == same["expression"]
        assert face["probabilities"] == pytest.approx(same["probabilities"], abs=3e-3)


def test_every_kind_of_source_gives_the_same(in_page: InPage, astronaut: Path) -> None:
    data = base64.b64encode(astronaut.read_bytes()).decode()
    file, *others = in_page(
        """
        const file = new File([toBlob(argument)], "a.png");
        const bitmap = await createImageBitmap(file);
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
        const context = canvas.getContext("2d");
        context.drawImage(bitmap, 0, 0);
        const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
        const results = [];
        for (const source of [file, bitmap, canvas, pixels]) {
          results.push(await engine.recognize(source));
        }
        return results;
        """,
        data,
    )
    assert file["source"] == "a.png"
    assert others == [{**file, "source": "-"}] * 3


def test_explanation_is_that_of_python(
    in_page: InPage, recognizer: Recognizer, astronaut: Path
) -> None:
    data = base64.b64encode(astronaut.read_bytes()).decode()
    found, other = in_page(
        """
        const file = toBlob(argument);
        return [await engine.explain(file, 1), await engine.explain(file, 1, "sad")];
        """,
        data,
    )
    pixels = np.array(found["pixels"], dtype=np.uint8)
    (crop,) = recognizer.recognize_crops(astronaut)[1]
    assert np.abs(pixels.astype(int) - crop).max() <= 1
    for explanation, target in ((found, "happy"), (other, "sad")):
        expected = explain(pixels, target=target, model=recognizer.classifier)
        probabilities = {str(e): p for e, p in expected.probabilities.items()}
        shares = region_shares(expected.map, face_regions(48, 48))
        assert explanation["method"] == expected.method
        assert (explanation["schema"], explanation["face"]) == (2, 1)
        assert (explanation["expression"], explanation["target"]) == ("happy", target)
        assert explanation["probabilities"] == pytest.approx(probabilities, abs=1e-3)
        assert explanation["regions"] == pytest.approx(shares, abs=1e-3)
        np.testing.assert_allclose(explanation["map"], expected.map, atol=1e-3)


@pytest.mark.parametrize("standardize", [False, True])
def test_faces_are_normalised_as_in_python(
    in_page: InPage, recognizer: Recognizer, astronaut: Path, standardize: bool
) -> None:
    (crop,) = recognizer.recognize_crops(astronaut)[1]
    crops = np.array([crop, crop // 9 + 3, np.full_like(crop, 200)])
    spec = InputSpec(48, 48, standardize=standardize)
    found = in_page(
        """
        const { normalize } = await import("./faces.js");
        const [crops, spec] = argument;
        const plane = (data) => ({ width: 48, height: 48, data: Uint8Array.from(data) });
        return [...normalize(crops.map(plane), spec)];
        """,
        [crops.reshape(3, -1).tolist(), asdict(spec)],
    )
    assert np.array_equal(np.array(found, np.float32), normalize(crops, spec).ravel())


def test_mistakes_are_told(in_page: InPage, astronaut: Path) -> None:
    messages = in_page(
        """
        const file = toBlob(argument);
        const attempts = [
          () => engine.recognize(new Blob(["no picture"]), "a.txt"),
          () => engine.recognize(new Blob([]), "b.png"),
          () => engine.explain(file, 2),
          () => engine.explain(file, 1, "bored"),
          () => engine.recognize(file, "a.png", "happy=1"),
        ];
        return Promise.all(attempts.map((run) => run().catch((error) => error.message)));
        """,
        base64.b64encode(astronaut.read_bytes()).decode(),
    )
    assert messages[0].startswith("a.txt: not an image that this browser can read")
    assert messages[1].startswith("b.png: the file is empty")
    assert messages[2] == "face 2: the picture has 1"
    assert messages[3].startswith('unknown expression "bored"; known: angry')
    assert "prior happy=1: expected photos, balanced, or a share above 0" in messages[4]


def test_the_page_sends_nothing(page: Any, astronaut: Path) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    assert page.text_content("#privacy").endswith("No picture leaves your device.")
    page.set_input_files("#file", astronaut)
    page.wait_for_selector(".face")
    assert "happy" in page.text_content(".face .name")
    page.click(".why")
    page.wait_for_selector("#explanation:not([hidden])", timeout=60_000)
    assert not [line for line in sent if "blob:" not in line]
