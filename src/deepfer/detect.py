"""Find faces: YuNet in ONNX Runtime, with its own decoding.

Source:
    Wu, Peng and Yu, YuNet: A Tiny Millisecond-level Face Detector, 2023; weights of
    opencv_zoo (MIT), ``face_detection_yunet_2023mar.onnx`` with free height and width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from deepfer.runtime import open_session
from deepfer.types import Face, Image

_STRIDES = (8, 16, 32)
_MULTIPLE = 32  # the network halves its input five times
_OVERLAP = 0.3  # boxes that share more than this (IoU) are one face
TILE = 960
"""Larger pictures are searched in squares of so many pixels, which bounds the memory it takes."""
_OVERLAPPING = 160  # pixels; larger faces were found at a coarser scale
_SMALL, _ENLARGE = 480, 3.0  # of FER2013's 48-pixel faces, 64 % are found as they are, 95 % so


class FaceDetector:
    """Finds faces and their five landmarks.

    Args:
        min_score: Faces below this score (0 to 1) are left out.
        long_side: Larger pictures are shrunk to this many pixels for the search, which is what
            the detector was trained for: faces of about 10 to 300 pixels. Raise it to find
            faces that are tiny in a large picture. Pictures under 480 pixels are enlarged up to
            three times.
    """

    def __init__(self, *, min_score: float = 0.75, long_side: int = 640) -> None:
        self.min_score, self.long_side = min_score, long_side
        weights = resources.files("deepfer") / "weights" / "yunet_2023mar_dynamic.onnx"
        self._session = open_session(Path(str(weights)))
        self._outputs = [
            f"{kind}_{stride}" for stride in _STRIDES for kind in ("cls", "obj", "bbox", "kps")
        ]

    def __call__(self, photo: Image, long_side: int | None = None) -> list[Face]:
        """Return the faces of a photo, best score first.

        Args:
            photo: uint8 (H, W) gray or (H, W, 3) RGB.
            long_side: Instead of the detector's own; memory stays bounded, since the photo is
                searched in tiles then.

        Returns:
            Boxes and landmarks in pixels of `photo`; boxes are clipped to it.
        """
        height, width = photo.shape[:2]
        small, zoom = self._small(photo, long_side or self.long_side)
        rows = np.concatenate([self._search(tile, x, y) for tile, x, y in _tiles(small)])
        rows[:, 1:] *= np.tile(zoom, 7)
        kept = _suppress(rows[np.argsort(-rows[:, 0], kind="stable")])
        faces = (_to_face(row, width, height) for row in kept)
        return [face for face in faces if face.box[2] > 0 and face.box[3] > 0]

    def _search(self, tile: Image, x: int, y: int) -> NDArray[np.float32]:
        """Return `_decode`'s rows of a tile whose corner lies at (x, y)."""
        blob = _blob(tile)
        outputs = self._session.run(self._outputs, {"input": blob})
        rows = np.concatenate(
            [
                self._decode(outputs[4 * i : 4 * i + 4], stride, blob.shape[3] // stride)
                for i, stride in enumerate(_STRIDES)
            ]
        )
        rows[:, [1, *range(5, 15, 2)]] += x
        rows[:, [2, *range(6, 15, 2)]] += y
        return rows

    def _small(self, photo: Image, long_side: int) -> tuple[Image, NDArray[np.float32]]:
        """Return the photo as it is searched, and the (x, y) factors back to its own pixels."""
        height, width = photo.shape[:2]
        ratio = search_ratio(max(height, width), long_side)
        small = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        if small != (width, height):
            picture = PillowImage.fromarray(photo)
            picture = picture.resize(small, PillowImage.Resampling.BILINEAR, reducing_gap=2.0)
            photo = np.asarray(picture)
        return photo, np.array([width / small[0], height / small[1]], dtype=np.float32)

    def _decode(
        self, outputs: list[NDArray[np.float32]], stride: int, columns: int
    ) -> NDArray[np.float32]:
        """Return (cells, 15): score, box x, y, width, height, five landmarks, in input pixels."""
        face, there, box, points = (o[0] for o in outputs)
        score = np.sqrt(np.clip(face[:, 0], 0, 1) * np.clip(there[:, 0], 0, 1))
        cells = np.flatnonzero(score >= self.min_score)
        origin = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
        centre = (origin + box[cells, :2]) * stride
        size = np.exp(box[cells, 2:]) * stride
        landmarks = (points[cells] + np.tile(origin, 5)) * stride
        return np.concatenate(
            [score[cells, None], centre - size / 2, size, landmarks], axis=1
        ).astype(np.float32)


def search_ratio(side: int, long_side: int) -> float:
    """Return the factor by which a picture is resized for the search.

    Args:
        side: Its long side in pixels.
        long_side: At which it is searched at most.
    """
    return min(max(1.0, min(_ENLARGE, _SMALL / side)), long_side / side)


def _blob(picture: Image) -> NDArray[np.float32]:
    """Return (1, 3, H, W) network input."""
    height, width = picture.shape[:2]
    rows, columns = (-(-side // _MULTIPLE) * _MULTIPLE for side in (height, width))
    blob = np.zeros((1, 3, rows, columns), dtype=np.float32)
    if picture.ndim == 2:
        blob[0, :, :height, :width] = picture
    else:  # the detector was trained on OpenCV's channel order
        blob[0, :, :height, :width] = picture[:, :, ::-1].transpose(2, 0, 1)
    return blob


def _tiles(picture: Image) -> Iterator[tuple[Image, int, int]]:
    """Yield the parts of a picture with the places of their corners; they overlap."""
    height, width = picture.shape[:2]
    for y in _starts(height):
        for x in _starts(width):
            yield picture[y : y + TILE, x : x + TILE], x, y


def _starts(length: int) -> range:
    return range(0, max(1, length - _OVERLAPPING), TILE - _OVERLAPPING)


def suppress(faces: Sequence[Face]) -> list[Face]:
    """Return faces, best score first, without those that overlap a better one."""
    if len(faces) < 2:
        return list(faces)
    ranked = sorted(faces, key=lambda face: -face.detector_score)
    rows = np.array([(f.detector_score, *f.box, i) for i, f in enumerate(ranked)], np.float32)
    return [ranked[int(row[5])] for row in _suppress(rows)]


def whole_picture(photo: Image) -> list[Face]:
    """Return the picture itself as its one face, for pictures that are face crops already."""
    height, width = photo.shape[:2]
    return [Face(box=(0, 0, width, height), landmarks=None, detector_score=1.0)]


def resized(face: Face, zoom: float, size: tuple[int, int]) -> Face:
    """Return a face in the pixels of the same picture at another size.

    Args:
        face: A face of one picture.
        zoom: The other picture's size over its, above 0.
        size: Width and height of the other picture, to which the box is clipped.
    """
    left, top, width, height = (v * zoom for v in face.box)
    x, y = round(left), round(top)
    right, bottom = min(round(left + width), size[0]), min(round(top + height), size[1])
    landmarks = None if face.landmarks is None else np.asarray(face.landmarks * zoom)
    return replace(face, box=(x, y, right - x, bottom - y), landmarks=landmarks)


def _suppress(rows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Keep the best of overlapping boxes; rows come best first."""
    kept: list[NDArray[np.float32]] = []
    while len(rows):
        best = rows[0]
        kept.append(best)
        corner = np.maximum(rows[:, 1:3], best[1:3])
        far = np.minimum(rows[:, 1:3] + rows[:, 3:5], best[1:3] + best[3:5])
        shared = np.prod(np.clip(far - corner, 0, None), axis=1)
        union = np.prod(rows[:, 3:5], axis=1) + best[3] * best[4] - shared
        rows = rows[shared <= _OVERLAP * union]
    return kept


def _to_face(row: NDArray[np.float32], width: int, height: int) -> Face:
    left, top = np.floor(np.clip(row[1:3], 0, [width, height])).astype(int).tolist()
    right, bottom = np.ceil(np.clip(row[1:3] + row[3:5], 0, [width, height])).astype(int).tolist()
    return Face(
        box=(left, top, right - left, bottom - top),
        landmarks=row[5:].reshape(5, 2),
        detector_score=float(row[0]),
    )
