"""The live picture: from a file that plays like a camera."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pages import running


def test_lines_in_the_terminal(deepfer: Any, clip: Path) -> None:
    done = deepfer("live", "--camera", clip, "--terminal", "--every", 0)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines
    assert all(" s  1 happy " in line for line in lines)
    assert "ended after" in done.stderr


def test_json_lines(deepfer: Any, clip: Path) -> None:
    done = deepfer("live", "--camera", clip, "--json")
    frames = [json.loads(line) for line in done.stdout.splitlines()]
    assert {face["id"] for frame in frames for face in frame["faces"]} == {1}
    times = [frame["time"] for frame in frames]
    assert times == sorted(times)


@pytest.mark.parametrize("camera", ["7", "/dev/video99", "nothing.mp4"])
def test_no_such_camera(deepfer: Any, camera: str) -> None:
    done = deepfer("live", "--camera", camera, "--terminal")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: camera {camera}: cannot be opened")
    assert len(done.stderr.splitlines()) == 1


def test_a_camera_that_vanishes(deepfer: Any, clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.ts"
    av = pytest.importorskip("av")
    with av.open(str(clip)) as whole, av.open(str(cut), "w", format="mpegts") as out:
        stream = out.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(whole.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = cut.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    done = deepfer("live", "--camera", cut, "--terminal")
    assert done.returncode == 0
    assert "ended after" in done.stderr


def test_the_page_ends_with_the_camera(
    browser: Callable[..., Any], clip: Path, tmp_path: Path
) -> None:
    camera = tmp_path / "camera.mp4"
    shutil.copy(clip, camera)
    with running("live", "--camera", camera) as address:
        page = browser(address)
        page.wait_for_selector(".face")
        assert "happy" in page.text_content(".face .name")
        assert page.evaluate("document.querySelector('#picture').naturalWidth") == 320
        page.wait_for_function(
            "document.querySelector('#status').textContent === 'The camera has stopped.'"
        )
