"""Which faces are found: turned, filling the frame, noisy, far away; and what is taken for one.

`python benchmarks/finding.py --root DIR --photos DIR [--every N]`; DIR holds jaffe/ and
ckplus_peaks/. Faces are those of JAFFE and CK+ on plain canvases and the photos given. Writes
benchmarks/finding/finding.json and curve.png.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from deepfer import Recognizer
from deepfer.data import open_dataset
from deepfer.types import Prediction

Canvas = tuple[np.ndarray, complex]  # pixels, and where the middle of the face lies

OUT = Path(__file__).parent / "finding" / "finding.json"
SIZES = (640, 480), (1600, 1200), (4000, 3000), (8000, 6000)
WIDTHS = (12, 16, 20, 24, 36, 60, 100)


def portraits(root: Path, every: int) -> list[tuple[np.ndarray, str]]:
    """Return gray portraits of CK+ and JAFFE with what they show."""
    found = []
    for name in ("ckplus_peaks", "jaffe"):
        images = open_dataset(name, root).load("all")
        labels = [images.expressions[i] for i in images.labels]
        pairs = list(zip(images.images, labels, strict=True))
        found += [(np.asarray(x), str(e)) for x, e in pairs[::every]]
    return found


def on_canvas(
    face: np.ndarray, side: int, width: int, height: int, *, degrees: float = 0
) -> Canvas:
    """Paste a portrait, `side` pixels wide, into the middle of a plain canvas and turn it."""
    small = Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS)
    canvas = Image.new("L", (width, height), 127)
    canvas.paste(small, ((width - side) // 2, (height - side) // 2))
    if degrees:
        canvas = canvas.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=127)
    return np.asarray(canvas), complex(width, height) / 2


def hit(prediction: Prediction, middle: complex, reach: float) -> str | None:
    """Return the expression of the face nearest to a place, if one is near it."""
    for face in prediction.faces:
        x, y, width, height = face.face.box
        if abs(complex(x + width / 2, y + height / 2) - middle) < reach:
            return str(face.expression)
    return None


def share(values: list[bool]) -> float:
    """Return the share that is true, in percent."""
    return round(100 * float(np.mean(values)), 2)


def roll(
    recognizer: Recognizer, faces: list[tuple[np.ndarray, str]]
) -> dict[str, dict[str, float]]:
    """Return found and right per angle, of the faces that are found upright."""
    rows = {}
    upright = None
    for degrees in range(0, 360, 30):
        answers = []
        for face, _ in faces:
            canvas, middle = on_canvas(face, 200, 400, 400, degrees=degrees)
            answers.append(hit(recognizer.recognize(canvas), middle, 60))
        if upright is None:
            upright = [a is not None for a in answers]
        kept = [(a, t) for a, (_, t), u in zip(answers, faces, upright, strict=True) if u]
        rows[str(degrees)] = {
            "found": share([a is not None for a, _ in kept]),
            "right": share([a == t for a, t in kept]),
        }
    return rows


def tight(recognizer: Recognizer, faces: list[tuple[np.ndarray, str]]) -> dict[str, float]:
    """Return found per size when the detector's own box is all there is."""
    crops = []
    for face, _ in faces:
        canvas, _middle = on_canvas(face, 200, 400, 400)
        if found := recognizer.recognize(canvas).faces:
            x, y, width, height = found[0].face.box
            crops.append(Image.fromarray(canvas[y : y + height, x : x + width]))
    rows = {}
    for size in (100, 300, 1000, 3000):
        hits = []
        for crop in crops:
            large = crop.resize((size, round(size * crop.height / crop.width)))
            middle = complex(*large.size) / 2
            hits.append(hit(recognizer.recognize(np.asarray(large)), middle, size / 3) is not None)
        rows[str(size)] = share(hits)
    return rows


def noisy(recognizer: Recognizer, faces: list[tuple[np.ndarray, str]]) -> float:
    """Return found at noise of sigma 25 gray levels."""
    rng = np.random.default_rng(0)
    hits = []
    for face, _ in faces:
        canvas, middle = on_canvas(face, 200, 400, 400)
        grain = canvas + 25 * rng.standard_normal(canvas.shape)
        pixels = np.clip(grain, 0, 255).astype(np.uint8)
        hits.append(hit(recognizer.recognize(pixels), middle, 60) is not None)
    return share(hits)


def canvases(
    faces: list[tuple[np.ndarray, str]], width: int, size: tuple[int, int]
) -> Iterator[tuple[bytes, list[complex]]]:
    """Yield JPEG files of one size with four portraits each, their faces so many pixels wide."""
    side = round(width * 1.8)  # the portraits' faces take about 1 / 1.8 of their width
    for start in range(0, len(faces) - 3, 4):
        canvas = Image.new("L", size, 127)
        middles = []
        for i, (face, _) in enumerate(faces[start : start + 4]):
            left, top = round(size[0] * (0.12 + 0.22 * i)), round(size[1] * (0.13 + 0.2 * i))
            canvas.paste(Image.fromarray(face).resize((side, side)), (left, top))
            middles.append(complex(left + side / 2, top + side / 2))
        file = io.BytesIO()
        canvas.save(file, "JPEG", quality=90)
        yield file.getvalue(), middles


def found_far(
    recognizer: Recognizer, files: list[tuple[bytes, list[complex]]], width: int
) -> dict[str, float]:
    """Return found and median seconds of such files."""
    hits, seconds = [], []
    for data, middles in files:
        began = time.perf_counter()
        prediction = recognizer.recognize(data)
        seconds.append(time.perf_counter() - began)
        hits += [hit(prediction, middle, width) is not None for middle in middles]
    return {"found": share(hits), "seconds": round(float(np.median(seconds)), 4)}


def far(recognizer: Recognizer, faces: list[tuple[np.ndarray, str]]) -> dict[str, dict[str, float]]:
    """Return found and seconds per width of the face in JPEG files of 4000x3000."""
    widths = (60, 36, 24)
    return {
        str(w): found_far(recognizer, list(canvases(faces, w, (4000, 3000))), w) for w in widths
    }


def curve(faces: list[tuple[np.ndarray, str]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return found and seconds by size of the photo and width of its faces, and draw them."""
    searches = {"default": Recognizer(), "detect_size=640": Recognizer(detect_size=640)}
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for size in SIZES:
        for width in WIDTHS:
            files = list(canvases(faces[:12], width, size))
            for name, recognizer in searches.items():
                key = f"{name}, {size[0]}x{size[1]}"
                rows.setdefault(key, {})[str(width)] = found_far(recognizer, files, width)
    draw(rows)
    return rows


def draw(rows: dict[str, dict[str, dict[str, float]]]) -> None:
    """Draw recall and time against the width of the face."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for i, (name, cells) in enumerate(rows.items()):
        style = {"color": f"C{i // 2}", "linestyle": "--" if "640" in name.split(",")[0] else "-"}
        label = name.replace(f"{name.split(', ')[1]}", _megapixels(name.split(", ")[1]))
        for axis, what, factor in zip(axes, ("found", "seconds"), (1, 1000), strict=True):
            axis.plot(WIDTHS, [factor * c[what] for c in cells.values()], label=label, **style)
    for axis, title in zip(axes, ("faces found (%)", "milliseconds per JPEG file"), strict=True):
        axis.set(xscale="log", xlabel="width of the face (pixels)", title=title)
        axis.set_xticks(WIDTHS, [str(w) for w in WIDTHS], minor=False)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[1].set_yscale("log")
    axes[0].legend(fontsize=7)
    figure.savefig(OUT.with_name("curve.png"), dpi=110)


def _megapixels(size: str) -> str:
    width, height = map(int, size.split("x"))
    return f"{width * height / 1e6:.2g} megapixels"


def large_photos(recognizer: Recognizer, photos: Path) -> dict[str, float]:
    """Return faces found in a panorama of two and in a group of 29 within a larger picture."""
    portrait = Image.open(photos / "astronaut.png").convert("RGB")
    face = recognizer.recognize(portrait).faces[0].face.box
    zoom = 91 / face[2]
    portrait = portrait.resize((round(portrait.width * zoom), round(portrait.height * zoom)))
    panorama = Image.new("RGB", (12000, 800), (120, 130, 140))
    for left in (1500, 9000):
        panorama.paste(portrait, (left, 200))
    group = Image.open(photos / "group_1927.jpg").convert("RGB")
    canvas = Image.new("RGB", (6000, 4000), (120, 120, 120))
    canvas.paste(group, ((6000 - group.width) // 2, (4000 - group.height) // 2))
    rows = {}
    for name, picture in (("panorama", panorama), ("group", group), ("group in 6000x4000", canvas)):
        found = recognizer.recognize(np.asarray(picture))
        rows[name] = len(found.faces)
    return rows


def nothing(photos: Path) -> Iterator[np.ndarray]:
    """Yield pictures without faces: noise, gradients, shapes, textures, a street sign."""
    rng = np.random.default_rng(0)
    for i in range(300):
        side = int(rng.integers(64, 700))
        grain = rng.integers(0, 256, (side // (1 + i % 16) + 1,) * 2, dtype=np.uint8)
        yield np.asarray(Image.fromarray(grain).resize((side, side)))
    for _ in range(100):
        x, y = np.mgrid[0:300, 0:400] * rng.uniform(-0.1, 0.1, 2)[:, None, None]
        yield np.uint8(127 + 100 * np.sin(x + y + rng.uniform(0, 6)))
    import skimage.data

    sources = [getattr(skimage.data, n)() for n in ("brick", "grass", "gravel", "text")]
    sources.append(np.asarray(Image.open(photos / "street_sign_no_face.jpg").convert("RGB")))
    for i in range(600):
        source = sources[i % len(sources)]
        side = int(rng.integers(60, min(source.shape[:2])))
        top, left = (int(rng.integers(0, n - side + 1)) for n in source.shape[:2])
        yield np.ascontiguousarray(source[top : top + side, left : left + side])


def false_faces(recognizer: Recognizer, photos: Path) -> dict[str, float]:
    """Return how many pictures without faces give one, and how many a sure answer."""
    results = [recognizer.recognize(picture) for picture in nothing(photos)]
    sure = [any(f.probability > 0.9 for f in r.faces) for r in results]
    return {
        "pictures": len(results),
        "with a face": sum(bool(r.faces) for r in results),
        "answered above 0.9": sum(sure),
    }


def main() -> None:
    """Measure everything and write it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every Nth portrait")
    parser.add_argument("--only", default="", help="one part")
    options = parser.parse_args()
    recognizer = Recognizer()
    faces = portraits(options.root, options.every)
    parts: dict[str, Callable[[], object]] = {
        "roll": lambda: roll(recognizer, faces),
        "tight": lambda: tight(recognizer, faces),
        "noise sigma 25": lambda: noisy(recognizer, faces),
        "far": lambda: far(recognizer, faces),
        "curve": lambda: curve(faces),
        "large photos": lambda: large_photos(recognizer, options.photos),
        "no faces": lambda: false_faces(recognizer, options.photos),
    }
    report: dict[str, object] = {"portraits": len(faces), "model": recognizer.model}
    for name, measure in parts.items():
        if options.only in name:
            report[name] = measure()
            sys.stdout.write(f"{name} {json.dumps(report[name])}\n")
    if not options.only:
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
