"""The live picture: from a file that plays like a camera."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from children import child
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
    times = [frame["time_s"] for frame in frames]
    assert times == sorted(times)
    assert len(times) > 5


def test_output_that_ends_early(clip: Path) -> None:
    command = [sys.executable, "-m", "deepfer", "live", "--json", "--camera", str(clip)]
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.stdout.close()
        assert run.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_with_the_page_open(clip: Path, tmp_path: Path, number: signal.Signals) -> None:
    long = tmp_path / "long.mp4"
    av = pytest.importorskip("av")
    with av.open(str(clip)) as short, av.open(str(long), "w") as out:  # a frame in 10 seconds
        stream = out.add_stream_from_template(short.streams.video[0])
        for packet in short.demux(short.streams.video[0]):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts * 20, packet.dts * 20
                packet.stream = stream
                out.mux(packet)
    command = [sys.executable, "-m", "deepfer", "live", "--camera", str(long)]
    with child([*command, "--port", "0", "--no-open"], stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        address = run.stderr.readline().split()[1]
        with httpx.stream("GET", f"{address}events") as events:
            next(events.iter_lines())
            run.send_signal(number)
            began = time.monotonic()
            told = run.stderr.read()
        assert run.wait(20) == 130
        assert time.monotonic() - began < 8
    assert "Traceback" not in told


def test_sigterm_ends_a_service_as_ctrl_c_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deepfer", "serve", "--port", "0", "--no-open"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        run.stderr.readline()
        run.terminate()
        assert run.stderr.read() == "interrupted\n"
        assert run.wait(20) == 130


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
    cut.write_bytes(data[: 9 * len(data) // 10])
    done = deepfer("live", "--camera", cut, "--json")
    assert done.returncode == 0
    assert "ended after" in done.stderr
    times = [json.loads(line)["time_s"] for line in done.stdout.splitlines()]
    assert 0 < times[-1] < 1.93  # the last of two seconds is missing


def test_the_page_ends_with_the_camera(
    browser: Callable[..., Any], clip: Path, tmp_path: Path
) -> None:
    camera = tmp_path / "camera.mp4"
    shutil.copy(clip, camera)
    page = browser("about:blank")  # its start must not last longer than the clip
    with running("live", "--camera", camera) as address:
        page.goto(address)
        page.wait_for_selector(".face")
        assert "happy" in page.text_content(".face .name")
        assert page.evaluate("document.querySelector('#picture').naturalWidth") == 320
        page.locator("#status", has_text="The camera has stopped.").wait_for()
