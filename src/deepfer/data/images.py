"""Reading image files, shared by every data set that is distributed as such."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import ImageSet
from deepfer.errors import DataError, InputError
from deepfer.labels import Expression
from deepfer.media import IMAGE_SUFFIXES, read_photo
from deepfer.types import Image


def read_image(path: Path, name: str) -> Image:
    """Return a data set's image as `media.read_photo` decodes it.

    Raises:
        DataError: The file is not an image or is damaged; names it.
    """
    try:
        return read_photo(path)
    except InputError as error:
        remedy = ", or delete it" if path.is_file() else ""
        raise DataError(f"{name}: {error}{remedy}") from None


def stack(images: Sequence[Image]) -> Sequence[Image] | NDArray[np.uint8]:
    """Return one array where all images have one shape, else the list."""
    return np.stack(images) if len({i.shape for i in images}) == 1 else images


def _filled(images: Iterator[Image], count: int) -> Sequence[Image] | NDArray[np.uint8]:
    """Return what `stack` does, without the images being in memory twice."""
    whole: NDArray[np.uint8] | None = None
    for i, image in enumerate(images):
        if whole is None:
            whole = np.empty((count, *image.shape), dtype=np.uint8)
        if image.shape != whole.shape[1:]:
            return [*whole[:i], image, *images]
        whole[i] = image
    return [] if whole is None else whole


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted by name."""
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "."
    )


def read_set(
    files: Sequence[tuple[Path, Expression]],
    *,
    root: Path,
    name: str,
    expressions: tuple[Expression, ...],
    subjects: Sequence[str] | None = None,
    sequences: Sequence[str] | None = None,
    columns: Mapping[str, tuple[str, ...]] | None = None,
    prepare: Callable[[Image, int], Image] | None = None,
) -> ImageSet:
    """Read labelled image files.

    Args:
        files: Paths with their expressions, in the order of the result.
        root: Ids are paths below it.
        name: The data set's name, for messages.
        expressions: The expressions that labels count in.
        subjects: One per file, where known.
        sequences: One per file, where known.
        columns: What else is known of each file, by the name of its column.
        prepare: Makes what is kept of a file, from its image and its place in `files`, so that
            not all of a large data set is in memory.

    Raises:
        DataError: There are no files, or one is damaged.
    """
    if not files:
        raise DataError(f"{name}: no images below {root}; see `deepfer data info {name}`")
    read = lru_cache(maxsize=1)(read_image)  # one photo may hold several faces in turn
    return ImageSet(
        images=stack([read_image(path, name) for path, _ in files])
        if prepare is None
        else _filled(
            (prepare(read(path, name), i) for i, (path, _) in enumerate(files)), len(files)
        ),
        labels=np.array([expressions.index(e) for _, e in files], dtype=np.int64),
        expressions=expressions,
        ids=tuple(Path(os.path.relpath(path, root)).as_posix() for path, _ in files),
        subjects=None if subjects is None else tuple(subjects),
        sequences=None if sequences is None else tuple(sequences),
        columns=columns or {},
    )


def class_files(
    root: Path, labels: Mapping[str, Expression], name: str
) -> list[tuple[Path, Expression]]:
    """List ``root/<label>/*``, sorted; folder names are matched without regard to case.

    Raises:
        DataError: A folder's name is no label of the data set, or it holds folders, or files
            but no images.
    """
    folded = {label.casefold(): expression for label, expression in labels.items()}
    files: list[tuple[Path, Expression]] = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in "._"):
        if folder.name.casefold() not in folded:
            raise DataError(
                f"{name}: {folder} is not named after an expression; "
                f"rename it to one of {', '.join(labels)}"
            )
        images = image_files(folder)
        for other in folder.iterdir():
            if other.is_dir() and other.name[0] not in "._":
                raise DataError(
                    f"{name}: {other} is a folder inside {folder.name}; move its images up, or "
                    "list them in a manifest"
                )
            if not images and other.name[0] != ".":
                raise DataError(
                    f"{name}: {folder} holds no images, but {other.name}; "
                    f"images end in {' '.join(sorted(IMAGE_SUFFIXES))}"
                )
        files += [(path, folded[folder.name.casefold()]) for path in images]
    return files


def in_order(expressions: Iterable[Expression]) -> tuple[Expression, ...]:
    """Return the expressions that occur, in canonical order."""
    present = set(expressions)
    return tuple(e for e in Expression if e in present)
