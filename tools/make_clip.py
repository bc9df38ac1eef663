"""Make the test clip: two portraits that move, turn, and once are hidden for a second.

    python tools/make_clip.py LEFT.png RIGHT.jpg clip.mp4 --seconds 60

Frames are 1280x720 at 30 per second, or at changing intervals with --variable. The portraits
move on their own paths; the right one turns to and fro by 12 degrees; from one third of the clip
on, the left one is behind a gray board for a second.
"""

import argparse
import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT, RATE = 1280, 720, 30


def main() -> None:
    """Write the clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("portraits", nargs=2, type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--variable", action="store_true")
    options = parser.parse_args()
    left, right = (load(path) for path in options.portraits)
    with av.open(str(options.out), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90_000)
        time = 0.0
        for i in range(round(options.seconds * RATE)):
            frame = av.VideoFrame.from_image(picture(left, right, time, options.seconds))
            frame.pts, frame.time_base = round(time * 90_000), Fraction(1, 90_000)
            file.mux(stream.encode(frame))
            time += (1.6 if options.variable and i % 3 == 0 else 1.0) / RATE
        file.mux(stream.encode(None))


def load(path: Path) -> Image.Image:
    """Return a portrait 420 pixels high."""
    portrait = Image.open(path).convert("RGB")
    return portrait.resize((round(420 * portrait.width / portrait.height), 420))


def picture(left: Image.Image, right: Image.Image, time: float, length: float) -> Image.Image:
    """Return the frame at a time."""
    shade = np.linspace(70, 120, HEIGHT, dtype=np.uint8)[:, None].repeat(WIDTH, axis=1)
    frame = Image.fromarray(shade).convert("RGB")
    x = round(60 + 60 * math.sin(time * 0.9))
    y = round(150 + 50 * math.sin(time * 0.7))
    frame.paste(left, (x, y))
    if length / 3 <= time < length / 3 + 1:
        frame.paste((128, 128, 128), (x, y, x + left.width, y + left.height))
    turned = right.rotate(12 * math.sin(time * 1.1), Image.Resampling.BILINEAR, expand=True)
    mask = Image.new("L", right.size, 255).rotate(12 * math.sin(time * 1.1), expand=True)
    frame.paste(
        turned,
        (round(760 + 50 * math.sin(time * 0.6 + 1)), round(130 + 40 * math.sin(time))),
        mask,
    )
    return frame


if __name__ == "__main__":
    main()
