"""Crops of the faces of data sets that are distributed as whole pictures."""

from dataclasses import replace

import numpy as np
from PIL import Image as PillowImage

from deepfer.align import align, cut
from deepfer.data.base import ImageSet
from deepfer.data.images import stack
from deepfer.detect import FaceDetector
from deepfer.errors import DataError
from deepfer.preprocess import to_gray
from deepfer.types import Image

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


def aligned(images: ImageSet, size: int, *, name: str, width: float = 1.0) -> ImageSet:
    """Return a data set's images, cropped as every other path into the networks frames faces.

    Args:
        images: N images of one face each.
        size: Height and width of the crops in pixels.
        name: The data set's name, for messages.
        width: What the crops show, over what the others do.

    Raises:
        DataError: No face is found on an image; names it.
    """
    detector = FaceDetector()
    crops = []
    for file, image in zip(images.ids, images.images, strict=True):
        faces = detector(image)
        if not faces or faces[0].landmarks is None:
            raise DataError(f"{name}: no face found on {file}; restore the publishers' image")
        points = faces[0].landmarks
        apart = points + (width - 1) * (points - points.mean(axis=0))
        # not `cut_face`, whose rounding would change the fingerprints of committed results
        crops.append(align(image, apart, size))
    return replace(images, images=stack(crops))


def square(photo: Image, box: Box | None, size: int) -> Image:
    """Return the smallest square around a box, beyond the photo its border, as gray pixels.

    Args:
        photo: uint8 (H, W) or (H, W, 3).
        box: Where the face is; None for the whole photo.
        size: Height and width of the result.

    Returns:
        uint8 (size, size). Shrinking averages, enlarging is bilinear, as `preprocess` does.
    """
    left, top, right, bottom = box or (0, 0, photo.shape[1], photo.shape[0])
    side = max(right - left, bottom - top)
    x, y = (left + right - side) // 2, (top + bottom - side) // 2
    gray = PillowImage.fromarray(to_gray(cut(photo, x, y, x + side, y + side)))
    return np.asarray(gray.resize((size, size), PillowImage.Resampling.BILINEAR))


def check_size(name: str, size: int) -> int:
    """Return the size of a data set's faces, or fail with `DataError` where it is out of range."""
    if not 16 <= size <= 1024:
        raise DataError(f"{name}: size {str(size)[:20]}: expected 16 to 1,024 pixels")
    return size
