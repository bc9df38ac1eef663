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


def make_ckplus_peaks(root: Path, subjects: int = 3) -> None:
    rows = []
    for s in range(subjects):
        peak = ("happy", "fear", "sadness")[s % 3]
        for frame, label in ((1, "neutral"), (9, peak)):
            name = f"S{s:03}_001_{frame:08}.png"
            save_gray(root / "ckplus_peaks" / name, 10 * s + frame, 128)
            rows.append(f"{name},S{s:03},001,{frame},{label}")
    header = "file,subject,sequence,frame,expression"
    (root / "ckplus_peaks" / "labels.csv").write_text("\n".join([header, *rows]) + "\n")


def make_ckplus_sequences(root: Path, photo: Path | None = None, subjects: int = 3) -> None:
    """Make four frames per subject, of noise, or of a photo shifted a little.

    With them comes a sequence without a peak, which is to be left out.
    """
    rows = ["file,subject,sequence,frame,expression"]
    for s in range(subjects + 1):
        folder = ("anger", "surprise", "happy")[s % 3]
        names = [f"S{s:03}_002_{frame:08}.png" for frame in (1, 7, 8, 9)]
        for i, name in enumerate(names):
            if i > 0:
                _picture(root / "CK+48" / folder / name, 10 * s + i, 48, photo)
            if i == 0 or (i == 3 and s < subjects):
                _picture(root / "ckplus_peaks" / name, 10 * s + i, 128, photo)
                label = folder if i else "neutral"
                rows.append(f"{name},S{s:03},002,{(1, 7, 8, 9)[i]},{label}")
    (root / "ckplus_peaks" / "labels.csv").write_text("\n".join(rows) + "\n")


def _picture(path: Path, seed: int, size: int, photo: Path | None) -> None:
    if photo is None:
        save_gray(path, seed, size)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with PillowImage.open(photo) as whole:
        left, top = 140 + seed % 7, 15 + seed % 5
        crop = whole.convert("L").crop((left, top, left + 170, top + 170))
    crop.resize((size, size), PillowImage.Resampling.BOX).save(path)


def make_jaffe(root: Path) -> None:
    for subject in ("KA", "KL"):
        for i, label in enumerate(("AN", "DI", "FE", "HA", "SA", "SU", "NE")):
            save_gray(root / "jaffe" / f"{subject}.{label}1.{i}.tiff", i, 256)


def make_ferg(root: Path) -> None:
    for character in ("aia", "bonnie", "jules", "malcolm", "mery", "ray"):
        for i, label in enumerate(("anger", "disgust", "fear", "joy", "sadness", "surprise")):
            folder = root / "FERG_DB_256" / character / f"{character}_{label}"
            save_gray(folder / f"{character}_{label}_{i}.png", i, 256)


def make_rafdb(root: Path) -> None:
    lines = []
    for i in range(10):
        name = f"{'train' if i < 7 else 'test'}_{i:05}"
        save_gray(root / "basic" / "Image" / "aligned" / f"{name}_aligned.jpg", i, 100)
        lines.append(f"{name}.jpg {i % 7 + 1}")
    path = root / "basic" / "EmoLabel" / "list_patition_label.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")


def make_affectnet(root: Path) -> None:
    for split in ("train_set", "val_set"):
        (root / split / "annotations").mkdir(parents=True)
        for i in range(8):
            save_gray(root / split / "images" / f"{i}.jpg", i, 224)
            np.save(root / split / "annotations" / f"{i}_exp.npy", np.array(str(i)))


AFFECTNET_COLUMNS = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
    "expression,valence,arousal"
)


def make_affectnet_csv(root: Path) -> None:
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir(parents=True)
    for name in ("training", "validation"):
        lines = [AFFECTNET_COLUMNS]
        for i in range(11):
            file = f"{i}/{name}{i}.jpg"
            save_gray(root / "Manually_Annotated_Images" / file, i, 120)
            box = "10,20,80,60" if i < 10 else "NULL,NULL,NULL,NULL"
            lines.append(f"{file},{box},1.5;2.5,{i},0.1,-2")
        (lists / f"{name}.csv").write_text("\n".join(lines) + "\n")


def make_kdef(root: Path) -> None:
    for person in ("AF01", "BF01", "AM31"):
        for i, expression in enumerate(("AF", "AN", "DI", "HA", "NE", "SA", "SU")):
            for angle in ("S", "FL"):
                save_gray(root / "KDEF" / person / f"{person}{expression}{angle}.JPG", i, 64)
    save_gray(root / "KDEF" / "AM31" / "AM31H.JPG", 1, 64)


def make_sfew(root: Path) -> None:
    for i, label in enumerate(("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")):
        for split in ("Train", "Val"):
            folder = root / split / f"{split}_Aligned_Faces" / label
            save_gray(folder / f"Airheads_00051924{i}_00000005.png", i, 143)


def make_expw(root: Path) -> None:
    lines = []
    for i in range(7):
        save_gray(root / "image" / "origin" / f"face{i // 2}.jpg", i, 90)
        lines.append(f"face{i // 2}.jpg {i % 2} 5 {10 + 20 * (i % 2)} 60 70 90.1 {i}")
    (root / "label").mkdir(parents=True)
    (root / "label" / "label.lst").write_text("\n".join(lines) + "\n")


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
