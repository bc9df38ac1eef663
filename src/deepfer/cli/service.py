"""``deepfer serve`` and ``deepfer live``: pages of this machine."""

import os
import re
import sys
import time
import webbrowser
from typing import Annotated, Optional
from urllib.parse import quote

import typer

from deepfer.cli.console import answer, tell
from deepfer.cli.options import MinCertainty, Model, PriorText

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\\s]+")
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")]
Open = Annotated[
    bool, typer.Option("--open/--no-open", help="Open the page in the browser, on a terminal.")
]


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 for other machines as well.")
    ] = "127.0.0.1",
    port: Port = 8000,
    model: Model = None,
    prior: PriorText = "photos",
    min_certainty: MinCertainty = None,
    token: Annotated[
        Optional[str],
        typer.Option(envvar="DEEPFER_TOKEN", help="What programs must send to be answered."),
    ] = None,
    allow_host: Annotated[
        Optional[list[str]],
        typer.Option(help="Name under which others reach this machine; repeatable."),
    ] = None,
    allow_origin: Annotated[
        Optional[list[str]],
        typer.Option(help="Whose pages may use it too: https://example.org; repeatable."),
    ] = None,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Largest request.")] = 32,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Largest picture.")] = 50,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Requests at work or in line; further ones get 503.")
    ] = 2048,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one request.")] = 30,
    open_page: Open = True,
) -> None:
    """Open a page that recognises photos, videos and the camera, with a REST service behind it."""
    from deepfer.pipeline import Recognizer
    from deepfer.serve.app import LOOPBACK, create_app
    from deepfer.serve.limits import Limits
    from deepfer.serve.run import run_app

    limits = Limits(
        max_bytes=max_megabytes * 1_000_000,
        max_pixels=max_megapixels * 1_000_000,
        max_together=max_megapixels * 4_000_000,
        waiting=max_waiting,
        seconds=timeout,
    )
    if wrong := [n for n in allow_host or [] if ":" in n.strip("[]") and not n.startswith("[")]:
        raise typer.BadParameter(f"--allow-host {wrong[0]}: give the name without a port")
    if wrong := [n for n in allow_host or [] if "*" in n.removeprefix("*.") and n != "*"]:
        raise typer.BadParameter(f"--allow-host {wrong[0]}: a star only as *, or *.example.org")
    if wrong := [o for o in allow_origin or [] if o != "*" and not _ORIGIN.fullmatch(o)]:
        raise typer.BadParameter(
            f"--allow-origin {wrong[0]}: give it as https://example.org, without a path"
        )
    names = (*LOOPBACK, f"[{host}]" if ":" in host else host, *(allow_host or []))
    anywhere = host in {"0.0.0.0", "::"} and not allow_host  # noqa: S104 (asked for)
    if host not in LOOPBACK and token is None:
        tell("note: other machines can use this service; set --token to keep strangers out")
    app = create_app(
        Recognizer(model, prior=prior, min_certainty=min_certainty, max_pixels=limits.max_pixels),
        limits=limits,
        token=token,
        hosts=("*",) if anywhere else names,
        origins=tuple(allow_origin or ()),
    )
    run_app(
        app,
        host=host,
        port=port,
        ready=lambda page: _ready(page, open_page, token),
        closing=2 * timeout + 1,  # a body may take as long, and then its answer
    )


def live(
    camera: Annotated[
        str, typer.Option(help="Number of the camera, its device, a stream's address or a file.")
    ] = "0",
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Lines in the terminal instead of a page.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object per frame instead of a page.")
    ] = False,
    every: Annotated[float, typer.Option(min=0, help="Seconds between lines of --terminal.")] = 0.5,
    smoothing: Annotated[
        float, typer.Option(min=0.01, help="Seconds after which a change shows to 63 %.")
    ] = 0.4,
    port: Port = 8000,
    model: Model = None,
    prior: PriorText = "photos",
    min_certainty: MinCertainty = None,
    open_page: Open = True,
) -> None:
    """Show the expressions of the faces before a camera, until it ends or Ctrl-C."""
    from deepfer.pipeline import Recognizer
    from deepfer.serve import live as run
    from deepfer.video.analysis import FrameFaces
    from deepfer.video.frames import Camera

    recognizer = Recognizer(model, prior=prior, min_certainty=min_certainty)
    began = time.monotonic()
    with Camera(camera) as source:
        if terminal or json:
            due = 0.0

            def show(found: FrameFaces) -> None:
                nonlocal due
                if json:
                    answer(run.to_json(found))
                elif found.frame.time >= due:
                    answer(run.line(found))
                    due = found.frame.time + every
                sys.stdout.flush()

            frames = run.watch(source, recognizer, smoothing=smoothing, show=show)
        else:
            page = run.LivePage(source, recognizer, smoothing=smoothing)
            page.run(host="127.0.0.1", port=port, ready=lambda at: _ready(at, open_page))
            frames = page.frames
    if source.damaged:
        tell(source.damaged)
    seconds = time.monotonic() - began
    tell(f"camera {camera}: ended after {seconds:.1f} s, {frames} frames looked at")


def _ready(page: str, open_page: bool, token: str | None = None) -> None:
    address = page + (f"#token={quote(token, safe='')}" if token else "")
    tell(f"deepfer: {address} (Ctrl-C ends it)")
    screen = sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY")
    if open_page and screen and sys.stderr.isatty():
        webbrowser.open(page)  # without the token: others can read a program's command line
