"""Methods that answer for whole sequences, whatever the order in which images are given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepfer.data.base import ImageSet
from deepfer.data.ckplus_sequences import FRAMES
from deepfer.labels import Expression
from deepfer.methods import create_method, method_class
from deepfer.methods.base import Division, Fitted, Place
from deepfer.methods.network import NetworkMethod
from deepfer.methods.ppdn import OfPeaks
from deepfer.methods.sequences import MeanOfFrames
from deepfer.methods.st_rnn import OfSequences
from deepfer.training.objectives import objective_class

NAMES = ("island", "centre", "iacnn", "ppdn", "ib-cnn", "st-rnn")
LABELS = tuple(Expression)[:3]


class Gray(Fitted):
    """Answers by a face's gray, and keeps what it was shown."""

    labels = LABELS

    def __init__(self) -> None:
        self.shown: list[tuple[str, ...]] = []

    def probabilities(self, images: ImageSet) -> NDArray[np.float32]:
        self.shown.append(images.ids)
        share = np.array([image.mean() for image in images.images]) / 255
        return np.stack([share, 1 - share, 0 * share], axis=1).astype(np.float32)


def sequences(count: int = 40) -> ImageSet:
    """Every frame is as bright as its place says."""
    total = count * len(FRAMES)
    gray = np.arange(total) % 251
    return ImageSet(
        images=np.broadcast_to(gray[:, None, None], (total, 4, 4)).astype(np.uint8),
        labels=np.arange(total) // 4 % 3,
        expressions=LABELS,
        ids=tuple(f"{i:03}" for i in range(total)),
        subjects=tuple(f"S{i // 8:03}" for i in range(total)),
        sequences=tuple(f"{i // 4:03}" for i in range(total)),
        columns={"frame": FRAMES * count},
    )


MIXED = np.random.default_rng(0).permutation(160)


@pytest.mark.parametrize("kind", [MeanOfFrames, OfPeaks, OfSequences])
def test_the_order_of_images_does_not_matter(kind: type[Fitted]) -> None:
    images = sequences()
    found = kind(Gray()).probabilities(images)  # type: ignore[call-arg]
    mixed = kind(Gray()).probabilities(images.take(MIXED))  # type: ignore[call-arg]
    np.testing.assert_array_equal(mixed, found[MIXED])


def test_all_frames_get_the_mean_or_the_peak() -> None:
    images = sequences()
    alone = Gray().probabilities(images).reshape(40, 4, 3)
    means = MeanOfFrames(Gray()).probabilities(images).reshape(40, 4, 3)
    np.testing.assert_allclose(
        means, np.broadcast_to(alone.mean(1, keepdims=True), means.shape), rtol=1e-6
    )
    peaks = OfPeaks(Gray()).probabilities(images).reshape(40, 4, 3)
    np.testing.assert_array_equal(peaks, np.broadcast_to(alone[:, 3:], peaks.shape))
    still = replace(images, columns={}, sequences=None)
    for kind in (MeanOfFrames, OfPeaks, OfSequences):
        np.testing.assert_array_equal(kind(Gray()).probabilities(still).reshape(40, 4, 3), alone)


def test_sequences_are_shown_whole_and_in_order() -> None:
    gray = Gray()
    OfSequences(gray).probabilities(sequences().take(MIXED))
    assert sum(gray.shown, ()) == sequences().ids
    assert all(len(part) % 4 == 0 for part in gray.shown)


def test_peaks_do_not_learn_from_neutral_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ImageSet] = []

    def fit(self: NetworkMethod, train: ImageSet, val: ImageSet, place: Place) -> Fitted:
        seen.extend((train, val))
        return Gray()

    monkeypatch.setattr(NetworkMethod, "fit", fit)
    division = Division("ckplus_sequences", "sequence-subject-10fold", 0, 0)
    create_method("ppdn", {}).fit(sequences(), sequences(), Place(division, Path()))
    for images in seen:
        assert set(images.columns["frame"]) == set(FRAMES[1:])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_known_of_a_rebuilt_system(name: str) -> None:
    info = method_class(name).info
    assert info.name == name
    assert info.reference
    assert info.year
    assert info.deviations
    method = create_method(name, {})
    assert isinstance(method, NetworkMethod)
    recipe = method.resolved(Division("ckplus", "subject-10fold", 0, 0))
    assert set(objective_class(recipe.objective).needs) <= set(info.needs)
