"""Make the pictures of the `comic` data set from the npm package comicgen.

    npm pack comicgen@1.9.9 && pip install resvg_py==0.5.0
    python tools/make_comic.py comicgen-1.9.9.tgz

Writes comic.png (tiles of gray and cover), comic.txt (their names) and LICENSE-COMIC.txt beside the
reader. The same bytes each time with the versions in constraints.txt; the reader's tests hold the
pixels' fingerprint.
"""

import hashlib
import io
import math
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from deepfer.data.comic import FACE, LABELS, TILE, WIDE

PUBLISHED = "bc6bfea613aab0a66f1dd4d3c5703bacbe3c3541"
TARGET = Path(__file__).parents[1] / "src/deepfer/data"
FINER = 4  # pixels per pixel, averaged
COLUMNS = 15

# Where both eyes and the mouth are, x and y: heads hardly move with the expression. In units of
# which a picture is 500 wide, whatever its own are.
FRAMES = {
    "aavatar": (234.0, 119.0, 264.6, 119.0, 249.0, 146.0),
    "aryan": (245.7, 112.0, 270.0, 112.0, 257.7, 136.0),
    "bill": (234.0, 120.6, 272.3, 120.6, 253.0, 157.4),
    "dee/side": (243.8, 133.0, 274.7, 133.0, 262.0, 173.0),
    "dee/straight": (234.8, 169.0, 264.1, 169.0, 250.0, 200.0),
    "dey/side": (222.8, 109.6, 247.8, 109.6, 230.0, 136.8),
    "dey/straight": (238.0, 126.3, 267.8, 126.3, 251.0, 155.5),
    "ethan/side": (157.2, 91.0, 180.2, 91.0, 169.0, 117.7),
    "ethan/straight": (229.7, 87.2, 253.7, 87.2, 240.0, 116.4),
    "priya": (246.8, 178.0, 272.0, 178.0, 258.0, 201.4),
    "ringo": (240.8, 158.0, 261.7, 158.0, 252.0, 187.3),
    "sophie": (240.7, 86.0, 268.6, 86.0, 254.0, 116.0),
}
MOVED = {
    "dee/side/happy": (256.4, 119.3, 285.3, 131.1, 262.4, 162.2),
    "dey/side/excited": (221.4, 102.5, 246.7, 101.8, 235.2, 134.6),
    "dey/side/shocked": (217.3, 112.0, 239.0, 106.8, 231.9, 137.5),
    "dey/side/surprised": (217.3, 112.0, 239.0, 106.8, 231.3, 136.8),
    "priya/laugh": (237.2, 182.8, 260.1, 171.9, 256.1, 200.3),
}
HEAD = """The faces in comic.png are drawings of comicgen 1.9.9 (Gramener,
https://github.com/gramener/comicgen) by Ramya Mylavarapu, Devarani B, Swetha Mylavarapu, Renel
McCullum and Shawf Designs, dedicated to the public domain (CC0 1.0): the characters Aavatar, Aryan,
Bill, Dee, Dey, Ethan, Priya, Ringo and Sophie. They were cut to the faces, made gray and scaled.

The package's own list of its characters, their authors and licences; those not named above are not
in comic.png:

"""


def main(package: Path) -> None:
    """Write the tiles, their names and the credits."""
    content = package.read_bytes()
    if hashlib.sha1(content).hexdigest() != PUBLISHED:  # noqa: S324, as npm publishes it
        sys.exit(f"{package} is not the published file")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        texts = {
            m.name.removeprefix("package/"): tar.extractfile(m).read().decode()
            for m in tar
            if m.name.endswith((".svg", "README.md"))
        }
    tiles = {
        name: tile(text, MOVED.get(name) or FRAMES[folder])
        for folder in FRAMES
        for name, text in drawings(texts, folder).items()
    }
    names = sorted(tiles)
    sheet = Image.new("LA", (COLUMNS * TILE, -(-len(names) // COLUMNS) * TILE))
    for i, name in enumerate(names):
        sheet.paste(tiles[name], (i % COLUMNS * TILE, i // COLUMNS * TILE))
    sheet.save(TARGET / "comic.png", optimize=True)
    (TARGET / "comic.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    _, _, credit = texts["README.md"].partition("### Character credits\n\n")
    credit = re.sub(r" <\S+@\S+>", "", credit.partition("\n\n")[0])
    (TARGET / "LICENSE-COMIC.txt").write_text(f"{HEAD}{credit}\n", encoding="utf-8")


def drawings(texts: dict[str, str], folder: str) -> dict[str, str]:
    """Return the drawings of a folder of `FRAMES` by the names that the tiles get."""
    # ringo and priya sit, too, with the faces that they have standing
    angle = "straight/" if f"svg/{folder}/straight/emotion/angry.svg" in texts else ""
    found = {}
    for name in (*LABELS, *WIDE):
        for style in ("sketchy/", "strokes/", "thinlines/", ""):
            part = f"expression/{style}" if style else f"{angle}emotion/"
            if text := texts.get(f"svg/{folder}/{part}{name}.svg"):
                found[f"{folder}/{style}{name}"] = text
    for path, text in texts.items():
        if path.startswith(f"svg/{folder}/gender/"):
            found[f"{folder}/head/{Path(path).stem}"] = text
    return found


def tile(text: str, frame: tuple[float, ...]) -> Image.Image:
    """Render a drawing so that eyes and mouth meet those of `align.TEMPLATE`."""
    x1, y1, x2, y2, mouth_x, mouth_y = frame
    eyes = complex(x1 + x2, y1 + y2) / 2
    across = complex(x2 - x1, y2 - y1)
    upright = across.conjugate() / abs(across)
    down = (complex(mouth_x, mouth_y) - eyes) * upright
    scale = (abs(across) / 18 + down.imag / 17.4) / 2  # units per pixel of a face of 48
    middle = eyes * upright + down / 2  # stands at 24, 26.8
    pixel = scale * 48 / FACE
    margin = (TILE - FACE) / 2 * pixel
    left, top = middle.real - 24 * scale - margin, middle.imag - 26.8 * scale - margin
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', text).groups())
    inner = text[text.index("<svg ") :].replace(
        "<svg ", f'<svg width="500" height="{500 * height / width}" ', 1
    )
    turned = f'<g transform="rotate({math.degrees(math.atan2(upright.imag, upright.real))})">'
    png = resvg_py.svg_to_bytes(
        svg_string='<svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{TILE * FINER}" height="{TILE * FINER}" '
        f'viewBox="{left} {top} {TILE * pixel} {TILE * pixel}">{turned}{inner}</g></svg>',
        skip_system_fonts=True,
    )
    red, green, blue, cover = np.asarray(Image.open(io.BytesIO(png)), np.float64).transpose(2, 0, 1)
    light = (0.299 * red + 0.587 * green + 0.114 * blue) * cover
    light, cover = (
        part.reshape(TILE, FINER, TILE, FINER).mean(axis=(1, 3)) for part in (light, cover)
    )
    gray = light / np.maximum(cover, 1e-9)
    return Image.fromarray(np.rint(np.stack([gray, cover], axis=2)).astype(np.uint8))  # LA


if __name__ == "__main__":
    main(Path(sys.argv[1]))
