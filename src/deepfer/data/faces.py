"""Crops of the faces of data sets that are distributed as whole pictures."""

from dataclasses import replace

from deepfer.align import align
from deepfer.data.base import ImageSet
from deepfer.data.images import stack
from deepfer.detect import FaceDetector
from deepfer.errors import DataError


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
