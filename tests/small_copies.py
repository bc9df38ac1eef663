"""Small copies of every data set in its publishers' layout, made of noise."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from deepfer.data.fer2013 import VOTE_NAMES
from deepfer.labels import BASIC_EXPRESSIONS


def pixel_text(seed: int) -> str:
    """Return 2304 pixel values as FER2013 writes them."""
    values = np.random.default_rng(seed).integers(0, 256, 48 * 48)
    return " ".join(map(str, values.tolist()))


def save_gray(path: Path, seed: int, size: int = 48) -> Path:
    """Write a gray picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    PillowImage.fromarray(pixels).save(path)
    return path


USAGES = ["Training"] * 10 + ["PublicTest"] * 3 + ["PrivateTest"] * 3


def fer_rows(usages: list[str] = USAGES) -> list[tuple[object, str, str]]:
    return [(i % 7, pixel_text(i), usage) for i, usage in enumerate(usages)]


def write_votes(path: Path, usages: list[str] = USAGES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Usage", "Image name", *VOTE_NAMES])
        for i, usage in enumerate(usages):
            writer.writerow([usage, f"fer{i:07}.png", *[i % 3 + j for j in range(10)]])


def make_fer2013(root: Path) -> None:
    (root / "fer2013").mkdir(parents=True)
    lines = ["emotion,pixels,Usage", *(f"{e},{p},{u}" for e, p, u in fer_rows())]
    (root / "fer2013" / "fer2013.csv").write_text("\n".join(lines) + "\n")
    write_votes(root / "ferplus" / "fer2013new.csv")


def make_fer2013_images(root: Path) -> None:
    for i, expression in enumerate(BASIC_EXPRESSIONS):
        save_gray(root / "train" / expression / f"a{i}.png", i)
        save_gray(root / "test" / expression / f"b{i}.jpg", 50 + i)


def make_ckplus(root: Path) -> None:
    for s, folder in enumerate(("anger", "contempt", "happy", "surprise")):
        for frame in range(3):
            save_gray(root / "CK+48" / folder / f"S{s:03}_001_{frame:08}.png", 10 * s + frame)


def make_ckplus_peaks(root: Path) -> None:
    rows = []
    for s, label in enumerate(("neutral", "happy", "contempt")):
        name = save_gray(root / "ckplus_peaks" / f"S{s:03}_001_00000001.png", s, 128).name
        rows.append(f"{name},S{s:03},001,1,{label}")
    header = "file,subject,sequence,frame,expression"
    (root / "ckplus_peaks" / "labels.csv").write_text("\n".join([header, *rows]) + "\n")


def make_jaffe(root: Path) -> None:
    for subject in ("KA", "KL"):
        for i, label in enumerate(("AN", "DI", "FE", "HA", "SA", "SU", "NE")):
            save_gray(root / "jaffe" / f"{subject}.{label}1.{i}.tiff", i, 256)


def make_ferg(root: Path) -> None:
    for character in ("aia", "bonnie", "jules", "malcolm", "mery", "ray"):
        for i, label in enumerate(("anger", "disgust", "fear", "joy", "sadness", "surprise")):
            folder = root / "FERG_DB_256" / character / f"{character}_{label}"
            save_gray(folder / f"{character}_{label}_{i}.png", i, 256)


def make_drawn(root: Path) -> None:
    pass


def make_comic(root: Path) -> None:
    pass


def make_folder(root: Path) -> None:
    for split in ("train", "test"):
        save_gray(root / split / "Happy" / "a.png", 1, 30)
        save_gray(root / split / "sadness" / "b.png", 2, 60)


def make_manifest(root: Path) -> None:
    save_gray(root / "x" / "a.png", 1)
    save_gray(root / "x" / "b.png", 2)
    rows = ["path,expression,subject,split", "x/a.png,Happy,p1,train", "x/b.png,sad,p2,test"]
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")


MAKERS: dict[str, Callable[[Path], None]] = {
    name.removeprefix("make_"): maker
    for name, maker in list(globals().items())
    if name.startswith("make_")
}
