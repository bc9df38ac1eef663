"""What stands on both sides of a split: copies, near copies, people, sequences.

Works on any images, ours or a user's own. Facts that a data set does not tell (subjects,
sequences) are said to be unknown, never assumed to be clean.
"""

import hashlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from deepfer.data.base import ImageSet
from deepfer.data.copies import original_id
from deepfer.modelfile import InputSpec
from deepfer.preprocess import to_pixels

_THUMBNAIL = InputSpec(height=16, width=16)
NEAR = 0.98
"""Two images are near copies from this correlation of their 16x16 thumbnails, or of one with the
other's mirror image."""


@dataclass(frozen=True)
class Overlap:
    """What one side of a split shares with an earlier one.

    Attributes:
        first: The side that was there first, such as ``train``.
        second: The side that is looked at, such as ``test``.
        kind: What is shared.
        images: Images of `second` that share it, or None where the data does not tell.
        total: Images of `second`.
        example: One image of `second` and the one of `first` it shares with.
    """

    first: str
    second: str
    kind: str
    images: int | None
    total: int
    example: tuple[str, str] | None = None

    @property
    def share(self) -> float | None:
        """The share of `second`'s images, 0 to 1, or None where the data does not tell."""
        return None if self.images is None else self.images / self.total


def audit(sides: dict[str, ImageSet]) -> list[Overlap]:
    """Look for everything that any two sides of a split share.

    Args:
        sides: Images by name, in the order train, val, test.
    """
    found = []
    for (first, a), (second, b) in combinations(sides.items(), 2):
        exact = _matches(_digests(a), _digests(b))
        near = np.where(exact >= 0, -1, _near(a, b))
        kinds: list[tuple[str, NDArray[np.int64] | None]] = [
            ("exact copies", exact),
            ("near copies, exact ones aside", near),
            (
                "copies made of one photo",
                _matches([original_id(i) for i in a.ids], [original_id(i) for i in b.ids]),
            ),
            ("same sequence", _same(a.sequences, b.sequences)),
            ("same subject", _same(a.subjects, b.subjects)),
        ]
        for kind, partner in kinds:
            if partner is None:
                found.append(Overlap(first, second, kind, None, len(b)))
                continue
            hits = np.flatnonzero(partner >= 0)
            example = (b.ids[hits[0]], a.ids[partner[hits[0]]]) if len(hits) else None
            found.append(Overlap(first, second, kind, len(hits), len(b), example))
    return found


def _matches(first: list[bytes] | list[str], second: list[bytes] | list[str]) -> NDArray[np.int64]:
    """Return, per item of `second`, the position of an equal item of `first`, or -1."""
    place = {item: i for i, item in enumerate(first)}
    return np.array([place.get(item, -1) for item in second], dtype=np.int64)


def _digests(images: ImageSet) -> list[bytes]:
    return [hashlib.blake2b(x.tobytes(), digest_size=16).digest() for x in images.images]


def _same(
    first: tuple[str, ...] | None, second: tuple[str, ...] | None
) -> NDArray[np.int64] | None:
    return None if first is None or second is None else _matches(list(first), list(second))


def _near(first: ImageSet, second: ImageSet) -> NDArray[np.int64]:
    """Return, per image of `second`, the position of a near copy in `first`, or -1."""
    known, asked = _signatures(first), _signatures(second)
    mirrored = known.reshape(-1, 16, 16)[:, :, ::-1].reshape(len(known), -1)
    partner = np.full(len(asked), -1, dtype=np.int64)
    for start in range(0, len(asked), 1024):  # bounded memory
        block = asked[start : start + 1024]
        likeness = np.maximum(block @ known.T, block @ mirrored.T)
        best = likeness.argmax(axis=1)
        close = likeness[np.arange(len(block)), best] >= NEAR
        partner[start : start + 1024] = np.where(close, best, -1)
    return partner


def _signatures(images: ImageSet) -> NDArray[np.float32]:
    """Return (N, 256) thumbnails of mean 0 and length 1; flat images stay 0, like nothing."""
    flat = to_pixels(images.images, _THUMBNAIL).reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3)
    return flat
