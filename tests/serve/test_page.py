"""The page in a real browser: drop, video, camera, keyboard, narrow screen, dark."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pages import running

Open = Callable[..., Any]

_DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
}"""


def _drop(page: Any, name: str, kind: str, data: bytes) -> None:
    page.evaluate(_DROP, [name, kind, base64.b64encode(data).decode()])


def _ready(page: Any) -> Any:
    page.wait_for_selector("body[data-ready]")
    return page


def test_a_dropped_photo(service: str, browser: Open, astronaut: Path, tmp_path: Path) -> None:
    page = _ready(browser(service))
    _drop(page, "portrait.png", "image/png", astronaut.read_bytes())
    page.wait_for_selector(".face")
    assert page.text_content("#count") == "1 face"
    assert "happy" in page.text_content(".face .name")
    assert page.locator(".bars dt").count() == 7
    assert "face 1 happy" in page.get_attribute("#picture", "aria-label")
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "result.json")
    content = json.loads((tmp_path / "result.json").read_text())
    assert (content["schema"], content["source"]) == (2, "portrait.png")
    assert content["faces"][0]["expression"] == "happy"
    page.mouse.click(*_face_centre(page, content["faces"][0]["box"]))  # a click explains
    page.wait_for_selector("#explanation:not([hidden])")
    assert page.text_content("#explained") == "Why happy?"
    assert "mouth" in page.text_content("#regions")


def test_another_prior_answers_again(service: str, browser: Open, astronaut: Path) -> None:
    page = _ready(browser(service))
    page.set_input_files("#file", astronaut)
    page.wait_for_selector(".face")
    before = page.text_content(".bars")
    with page.expect_response("**/v1/recognize*") as response:
        page.select_option("#prior", "balanced")
    assert "prior=balanced" in response.value.url
    page.wait_for_function("b => document.querySelector('.bars').textContent !== b", arg=before)
    with page.expect_download() as download:
        page.click("#download")
    assert json.loads(Path(download.value.path()).read_text())["prior"] == "balanced"


def test_uncertain_is_shown(browser: Open, astronaut: Path) -> None:
    with running("serve", "--min-certainty", 1, "--prior", "balanced") as address:
        page = _ready(browser(address))
        assert page.input_value("#prior") == "balanced"
        page.set_input_files("#file", astronaut)
        page.wait_for_selector(".face")
        assert "1: uncertain: happy" in page.text_content(".face .name")
        assert "face 1 uncertain: happy" in page.get_attribute("#picture", "aria-label")


def _face_centre(page: Any, box: list[int]) -> tuple[float, float]:
    page.locator("#picture").scroll_into_view_if_needed()
    at = page.locator("#picture").bounding_box()
    ratio = at["width"] / 512
    return at["x"] + (box[0] + box[2] / 2) * ratio, at["y"] + (box[1] + box[3] / 2) * ratio


def test_what_cannot_be_read_is_told(service: str, browser: Open, astronaut: Path) -> None:
    page = _ready(browser(service))
    _drop(page, "notes.txt", "text/plain", b"words")
    page.wait_for_selector("#status.error")
    assert "notes.txt: not an image" in page.text_content("#status")
    _drop(page, "portrait.png", "image/png", astronaut.read_bytes())
    page.wait_for_selector(".face")
    assert page.locator("#status.error").count() == 0


def test_keyboard_alone(service: str, browser: Open, astronaut: Path) -> None:
    page = _ready(browser(service))
    # from the start: switching it on just before the key press would be a race
    page.on("filechooser", lambda chooser: chooser.set_files(astronaut))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.keyboard.press("Enter")
    page.wait_for_selector(".face")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "why":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#explanation:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "explained"
    assert page.get_attribute(".why", "aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "why"
    assert page.locator("#explanation").is_hidden()
    assert page.get_attribute(".name", "aria-pressed") == "true"


def test_a_video(service: str, browser: Open, clip: Path) -> None:
    page = _ready(browser(service))
    page.set_input_files("#file", clip)
    page.wait_for_selector(".face")
    page.locator("#rate", has_text="a second").wait_for()
    shot = Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")
    yellow = (np.abs(np.asarray(shot).astype(int) - (0xF0, 0xE4, 0x42)).sum(axis=2) < 40).sum()
    assert yellow > 50  # the box is above the video, not below
    page.click(".why")  # stops at the frame and explains it
    page.wait_for_selector("#explanation:not([hidden])")
    assert page.locator("#video").is_hidden()
    with page.expect_download() as download:
        page.click("#download")
    frames = json.loads(Path(download.value.path()).read_text())
    assert {"time", "faces"} <= set(frames[0])


def test_the_camera(service: str, browser: Open, astronaut: Path, tmp_path: Path) -> None:
    camera = tmp_path / "camera.y4m"
    _write_y4m(camera, Image.open(astronaut).convert("RGB").resize((320, 320)))
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    )
    page = _ready(browser(service, flags=flags))
    page.click("#camera")
    page.wait_for_selector(".face", timeout=60_000)
    assert "happy" in page.text_content(".face .name")
    page.click("#stop")
    page.locator("#status", has_text="Stopped.").wait_for()
    assert page.locator("#stop").is_hidden()
    assert page.locator(".face").count() == 1  # the last picture stays
    with page.expect_download() as download:
        page.click("#download")
    frame = json.loads(Path(download.value.path()).read_text())[-1]
    x, _, w, _ = frame["faces"][0]["box"]
    assert x + w / 2 > frame["width"] / 2  # as in a mirror: left of the middle without
    shown = Image.open(io.BytesIO(page.locator("#picture").screenshot())).resize((320, 320))
    there = np.asarray(Image.open(astronaut).convert("L").resize((320, 320)), float)
    likeness = [
        np.corrcoef(there[:, ::turn].ravel(), np.asarray(shown.convert("L")).ravel())[0, 1]
        for turn in (1, -1)
    ]
    assert likeness[1] > 0.9 > likeness[0]


def _write_y4m(path: Path, picture: Image.Image, frames: int = 10) -> None:
    luma, blue, red = picture.convert("YCbCr").split()
    half = (picture.width // 2, picture.height // 2)
    planes = [luma, blue.resize(half), red.resize(half)]
    frame = b"FRAME\n" + b"".join(np.asarray(plane).tobytes() for plane in planes)
    head = f"YUV4MPEG2 W{picture.width} H{picture.height} F10:1 Ip A1:1 C420jpeg\n"
    path.write_bytes(head.encode() + frame * frames)


def test_a_refused_camera(service: str, browser: Open) -> None:
    page = _ready(browser(service))
    page.click("#camera")
    page.wait_for_selector("#status.error")
    assert "amera" in page.text_content("#status")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screen(service: str, browser: Open, astronaut: Path, scheme: str) -> None:
    page = _ready(browser(service, viewport={"width": 360, "height": 740}, color_scheme=scheme))
    page.set_input_files("#file", astronaut)
    page.wait_for_selector(".face")
    page.click(".why")
    page.wait_for_selector("#explanation:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.eval_on_selector_all(
        "button", "all => all.filter(b => b.offsetParent && b.offsetHeight < 24).length"
    )
    assert small == 0


def test_the_token_of_the_address(browser: Open, astronaut: Path) -> None:
    with running("serve", environment={"DEEPFER_TOKEN": "secret"}) as address:
        page = browser(address.partition("#")[0])
        page.wait_for_selector("#status.error")
        assert "token" in page.text_content("#status")
        page = _ready(browser(address))
        page.set_input_files("#file", astronaut)
        page.wait_for_selector(".face")
