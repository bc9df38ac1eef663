"""Augmented copies of images, made before a split as the published protocols make them.

A copy's id is its original's id, ``#`` and the change's name, so that an audit can tell which
copies of one photo stand on different sides. Augmentation while training is another matter and
lives in `training.augment`.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from deepfer.data.base import ImageSet
from deepfer.data.images import stack
from deepfer.types import Image


def _turned(degrees: float) -> Callable[[Image], Image]:
    def change(image: Image) -> Image:
        turned = PillowImage.fromarray(image).rotate(
            degrees,
            PillowImage.Resampling.BILINEAR,
            # corners that turn in get the border's gray
            fillcolor=int(np.median(image[0])) if image.ndim == 2 else None,
        )
        return np.asarray(turned)

    return change


def _lit(factor: float) -> Callable[[Image], Image]:
    def change(image: Image) -> Image:
        lit: Image = np.clip(np.rint(image * factor), 0, 255).astype(np.uint8)
        return lit

    return change


def _zoomed(share: float) -> Callable[[Image], Image]:
    def change(image: Image) -> Image:
        height, width = image.shape[:2]
        top, left = round(height * share / 2), round(width * share / 2)
        inner = PillowImage.fromarray(image[top : height - top, left : width - left])
        return np.asarray(inner.resize((width, height), PillowImage.Resampling.BILINEAR))

    return change


def _mirrored(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


CHANGES: dict[str, Callable[[Image], Image]] = {
    "mirror": _mirrored,
    "turn+8": _turned(8),
    "turn-8": _turned(-8),
    "zoom": _zoomed(0.12),
    "bright": _lit(1.2),
    "dark": _lit(0.8),
    "mirror+turn": lambda image: _turned(8)(_mirrored(image)),
}
"""Seven changes, since the study applies 'seven data augmentation strategies' to JAFFE and names
none of them."""

_COPY = re.compile(rf"#({'|'.join(map(re.escape, CHANGES))})-\d+$")


def original_id(name: str) -> str:
    """Return the id of the image that a copy was made of, or of the image itself."""
    return _COPY.sub("", name)


def add_copies(images: ImageSet, chosen: Sequence[tuple[int, str]]) -> ImageSet:
    """Return the images followed by copies: position of the original and name of the change."""
    copies = [CHANGES[change](images.images[i]) for i, change in chosen]
    repeated = images.take(np.array([i for i, _ in chosen], dtype=np.int64))
    return join(
        images,
        ImageSet(
            images=stack(copies) if copies else images.images[:0],
            labels=repeated.labels,
            expressions=images.expressions,
            ids=tuple(f"{images.ids[i]}#{change}-{k}" for k, (i, change) in enumerate(chosen)),
            subjects=repeated.subjects,
            sequences=repeated.sequences,
        ),
    )


def join(first: ImageSet, second: ImageSet) -> ImageSet:
    """Return the images of two sets that count in the same expressions; votes are left behind."""

    def both(a: tuple[str, ...] | None, b: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if a is None or b is None else a + b

    pixels: Sequence[Image] | NDArray[np.uint8] = stack([*first.images, *second.images])
    return ImageSet(
        images=pixels,
        labels=np.concatenate([first.labels, second.labels]),
        expressions=first.expressions,
        ids=first.ids + second.ids,
        subjects=both(first.subjects, second.subjects),
        sequences=both(first.sequences, second.sequences),
    )
