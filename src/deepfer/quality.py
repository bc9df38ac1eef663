"""Why a face is hard: its pose, sharpness, light and size, and notes where one of them is poor.

Sharpness and light are measured on the face as the network sees it, so that they say what the
network had to go by; pose and size are measured in the photo. `docs/answers.md` has the accuracy
under each note.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepfer.preprocess import LEAST_DEVIATION
from deepfer.types import Face, Pose, Quality

NOTES: dict[str, str] = {
    "small": "under 32 pixels wide",
    "blurred": "sharpness under 0.3",
    "noisy": "sharpness above 1.25: grain, or the blocks of strong JPEG compression",
    "dark": "light under 0.2",
    "bright": "light above 0.85",
    "turned away": "yaw beyond 30 degrees, or pitch beyond 20",
}
"""The notes, and when a face gets them; see `Quality` for the numbers."""

_SMALL = 32
_BLURRED, _NOISY = 0.3, 1.25
_DARK, _BRIGHT = 0.2, 0.85
_YAW, _PITCH = 30, 20

# The five points of a face that looks straight ahead, in heights from its eyes to its mouth
_NOSE = 0.55  # its tip lies so far down: CK+, JAFFE and FER2013's training faces agree
_AHEAD = 0.4  # and so far ahead: as much as eyes and mouth narrow in turned faces of FER2013
_ACROSS = 1.9  # distances of the eyes and of the corners of the mouth together


def qualities(faces: Sequence[Face], pixels: NDArray[np.uint8]) -> list[Quality]:
    """Return what makes each face easy or hard.

    Args:
        faces: N faces, in pixels of their photos.
        pixels: uint8 (N, H, W), the faces as the network sees them. The limits of the notes were
            chosen for 48x48.
    """
    if not faces:
        return []
    sharpness, light = sharpness_of(pixels).tolist(), light_of(pixels).tolist()
    found = [i for i, face in enumerate(faces) if face.landmarks is not None]
    angles = poses(np.array([faces[i].landmarks for i in found]).reshape(-1, 5, 2)).tolist()
    known = {i: Pose(*own) for i, own in zip(found, angles, strict=True)}
    return [
        _quality(min(face.box[2:]), sharpness[i], light[i], known.get(i))
        for i, face in enumerate(faces)
    ]


def _quality(size: int, sharpness: float, light: float, pose: Pose | None) -> Quality:
    poor = {
        "small": size < _SMALL,
        "blurred": sharpness < _BLURRED,
        "noisy": sharpness > _NOISY,
        "dark": light < _DARK,
        "bright": light > _BRIGHT,
        "turned away": pose is not None and (abs(pose.yaw) > _YAW or abs(pose.pitch) > _PITCH),
    }
    notes = tuple(note for note, holds in poor.items() if holds)
    return Quality(size=size, sharpness=sharpness, light=light, pose=pose, notes=notes)


def sharpness_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (N,): how strong the finest details of uint8 (N, H, W) faces are.

    The root mean square of the Laplacian (4 times a pixel less its neighbours) over the deviation
    of the gray levels, so that light and contrast do not count: about 0.4 to 1.2 for sharp faces
    of 48x48, 0.2 for those enlarged from 24x24 or blurred by a pixel, above 1.25 for noise.
    """
    whole = pixels.astype(np.int16)
    edges = 4 * whole[:, 1:-1, 1:-1]
    edges -= whole[:, :-2, 1:-1]
    edges -= whole[:, 2:, 1:-1]
    edges -= whole[:, 1:-1, :-2]
    edges -= whole[:, 1:-1, 2:]
    # sums of whole numbers, so that every machine and the browser find the same
    count, size = edges[0].size, whole[0].size
    strength = np.sqrt(_squares(edges) / count)
    total = pixels.sum(axis=(1, 2), dtype=np.int64).astype(np.float64)
    deviation = np.sqrt(size * _squares(pixels) - total * total) / size
    return np.asarray(strength / np.maximum(deviation, LEAST_DEVIATION))


def light_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (N,): the mean of uint8 (N, H, W) faces, 0 for black to 1 for white."""
    return np.asarray(pixels.sum(axis=(1, 2), dtype=np.int64) / pixels[0].size / 255)


def poses(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return yaw, pitch and roll of faces in degrees, (N, 3); see `Pose`.

    In closed form from five points under weak perspective: roll is the direction from eye to eye
    and from corner to corner of the mouth; the tip of the nose lies ahead of the plane of the
    others, so its place tells where the face is turned.

    Args:
        landmarks: (N, 5, 2) as in `Face.landmarks`.
    """
    points = np.round(landmarks.astype(np.float64) * 16) / 16  # as for alignment
    places = points[..., 0] + 1j * points[..., 1]
    across = places[:, 1] - places[:, 0] + places[:, 4] - places[:, 3]
    roll = np.angle(across)
    width = np.maximum(np.abs(across), 1e-9)
    upright = places * (np.conj(across) / width)[:, None]
    eyes, mouth = upright[:, :2].mean(axis=1), upright[:, 3:].mean(axis=1)
    down = mouth - eyes
    ahead = (upright[:, 2] - eyes - _NOSE * down) / _AHEAD
    pitch = np.arctan2(-ahead.imag, down.imag)
    yaw = np.arctan2(ahead.real, np.cos(pitch) * width / _ACROSS)
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)))


def _squares(values: NDArray[np.integer]) -> NDArray[np.float64]:
    flat = values.reshape(len(values), -1).astype(np.float64)  # exact, and faster than integers
    return np.asarray(np.einsum("ij,ij->i", flat, flat))
