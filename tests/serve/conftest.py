"""A running service, and a real browser where there is one."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pages import running

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """The address of `deepfer serve`, with small limits."""
    with running("serve", "--max-megabytes", 2, "--max-megapixels", 2, "--timeout", 5) as address:
        yield address


@pytest.fixture
def browser() -> Iterator[Callable[..., Any]]:
    """Open a page in headless Chromium; a message of its console or an error fails the test."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("no chromium found: install Debian's package chromium or Google Chrome")
    with sync_api.sync_playwright() as driver:
        opened: list[Any] = []
        troubles: list[str] = []

        def page(address: str, *, flags: tuple[str, ...] = (), **options: Any) -> Any:
            chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*_QUIET, *flags])
            opened.append(chromium)
            found = chromium.new_context(**options).new_page()
            found.on("pageerror", lambda error: troubles.append(str(error)))
            # refusals of the service are logged too, and are what some tests are about
            found.on(
                "console",
                lambda told: (
                    troubles.append(told.text)
                    if told.type == "error" and "Failed to load resource" not in told.text
                    else None
                ),
            )
            found.goto(address)
            return found

        yield page
        for chromium in opened:
            chromium.close()
        assert not troubles


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """Two seconds of the portrait, moving a little, as MP4."""
    av = pytest.importorskip("av")
    import numpy as np
    from PIL import Image

    photo = np.asarray(Image.open(astronaut).convert("RGB").resize((320, 320)))
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(photo[i : 240 + i]), "rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path
