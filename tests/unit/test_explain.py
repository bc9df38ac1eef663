"""Explanations on networks whose decision is known, and the figures that judge maps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from deepfer.bench.fidelity import (
    CONTROLS,
    area,
    control,
    deletion_insertion,
    mass,
    pointing,
    rank_correlation,
)
from deepfer.classify import Classifier
from deepfer.data import open_dataset
from deepfer.data.base import ImageSet
from deepfer.errors import DataError, InputError, UnknownNameError
from deepfer.explain import Explanation, explain, list_methods
from deepfer.explain.attention import density, warped, window_corners
from deepfer.explain.means import correct_faces, explain_all, mean_maps
from deepfer.explain.occlusion import FILLS, occlusion_maps, patches
from deepfer.explain.picture import draw, draw_means
from deepfer.explain.regions import REGIONS, face_regions, region_shares
from deepfer.labels import Expression

SPOT = (slice(30, 36), slice(10, 16))
FACE = np.full((48, 48), 100, dtype=np.uint8)
FACE[SPOT] = 250


def brightness_of_the_spot(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A network of two classes that looks at one spot alone."""
    bright = faces[:, SPOT[0], SPOT[1]].mean(axis=(1, 2)) / 255
    return np.stack([bright, 1 - bright], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier()


@pytest.fixture(scope="module")
def face() -> NDArray[np.uint8]:
    images = open_dataset("drawn", None, per_class=3).load("test")
    return np.asarray(images.images[3])


class TestOcclusion:
    @pytest.mark.parametrize("fill", FILLS)
    def test_it_finds_what_decides(self, fill: str) -> None:
        soft, hard = occlusion_maps(brightness_of_the_spot, FACE, 0, patch=6, stride=1, fill=fill)
        assert soft[32, 12] == pytest.approx(soft.max())
        assert soft.max() > 0.1
        assert abs(soft[5, 40]) < 1e-6
        against, _ = occlusion_maps(brightness_of_the_spot, FACE, 1, patch=6, stride=1, fill=fill)
        np.testing.assert_allclose(against, -soft, atol=1e-6)
        assert hard.min() >= 0
        assert hard.max() <= 1
        if fill == "black":
            assert hard[32, 12] > 0.1
            assert hard[5, 40] == 0

    @given(st.integers(1, 48), st.integers(1, 48))
    def test_every_pixel_is_hidden_by_some_patch(self, patch: int, stride: int) -> None:
        if stride > patch:
            with pytest.raises(InputError, match="stride"):
                patches(FACE, patch=patch, stride=stride, fill="mean")
            return
        hidden = np.zeros((48, 48), dtype=int)
        for place in patches(FACE, patch=patch, stride=stride, fill="black"):
            assert hidden[place].shape == (patch, patch)
            hidden[place] += 1
        assert hidden.min() >= 1

    def test_settings(self, face: NDArray[np.uint8]) -> None:
        for wrong in (
            {"patch": 49},
            {"patch": "8"},
            {"patch": 4.5},
            {"stride": 0},
            {"fill": "red"},
            {"fill": 3},
            {"size": 3},
        ):
            with pytest.raises(InputError):
                explain(face, **wrong)


class TestExplain:
    @pytest.mark.parametrize("method", ["occlusion", "attention"])
    def test_base_methods(
        self, method: str, classifier: Classifier, face: NDArray[np.uint8]
    ) -> None:
        first, second = (explain(face, method, model=classifier) for _ in range(2))
        np.testing.assert_array_equal(first.map, second.map)
        assert first.map.shape == (48, 48)
        assert first.map.dtype == np.float32
        assert first.target == first.expression
        assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-5)

    def test_a_target_changes_the_map_and_not_the_answer(
        self, classifier: Classifier, face: NDArray[np.uint8]
    ) -> None:
        own, other = (explain(face, target=t, model=classifier) for t in (None, "disgust"))
        assert own.probabilities == other.probabilities
        assert other.target == Expression.DISGUST
        assert not np.array_equal(own.map, other.map)

    def test_unknown_names(self, face: NDArray[np.uint8]) -> None:
        with pytest.raises(UnknownNameError, match="occlusion"):
            explain(face, "gradcam")
        with pytest.raises(UnknownNameError, match="happy"):
            explain(face, target="joy")
        assert set(list_methods()) >= {"occlusion", "attention", "grad_cam"}

    def test_any_crop_will_do(self, classifier: Classifier) -> None:
        tiny = np.full((20, 17, 3), 80, dtype=np.uint8)
        assert explain(tiny, model=classifier).map.shape == (48, 48)


class TestAttention:
    @given(st.lists(st.floats(-0.9, 0.9), min_size=6, max_size=6))
    def test_the_view_is_what_a_spatial_transformer_computes(self, moves: list[float]) -> None:
        theta = (np.eye(2, 3).ravel() + np.array(moves) * 0.5).reshape(2, 3).astype(np.float32)
        image = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
        grid = functional.affine_grid(
            torch.from_numpy(theta)[None], [1, 1, 48, 48], align_corners=False
        )
        expected = functional.grid_sample(
            torch.from_numpy(image.astype(np.float32))[None, None],
            grid,
            padding_mode="border",
            align_corners=False,
        )
        np.testing.assert_allclose(warped(image, theta), expected[0, 0].numpy(), atol=0.05)

    def test_the_window(self) -> None:
        whole = np.eye(2, 3, dtype=np.float32)
        np.testing.assert_allclose(
            window_corners(whole, 48, 40), [[0, 0], [40, 0], [40, 48], [0, 48]]
        )
        np.testing.assert_allclose(density(FACE, whole), 0)
        half = np.array([[0.5, 0, -0.5], [0, 0.5, -0.5]], dtype=np.float32)
        np.testing.assert_allclose(
            window_corners(half, 48, 48), [[0, 0], [24, 0], [24, 24], [0, 24]]
        )
        read = density(FACE, half)
        np.testing.assert_allclose(read[:24, :24], 3)
        np.testing.assert_allclose(read[24:, 24:], -1)

    @pytest.mark.parametrize("scale", [0.98, 0.9, 1.03])
    def test_a_window_near_the_whole_face(self, scale: float) -> None:
        theta = np.array([[scale, 0, 0.01], [0, scale, 0]], dtype=np.float32)
        read = density(FACE, theta)
        np.testing.assert_allclose(read[10:38, 10:38], 1 / scale**2 - 1, atol=1e-5)
        # all of the view shows the face, but for what the window reaches beyond it
        assert read.mean() == pytest.approx(min(0, 1 / scale**2 - 1), abs=0.02)


class TestRegions:
    def test_they_cover_the_face_once(self) -> None:
        for side in (20, 48, 200):
            regions = face_regions(side, side)
            assert tuple(regions) == REGIONS
            assert (np.sum(list(regions.values()), axis=0) == 1).all()
            for name, row in (("brows", 0.28), ("eyes", 0.377), ("mouth", 0.74)):
                rows = np.flatnonzero(regions[name].any(axis=1))
                assert rows.min() / side < row < (rows.max() + 1) / side

    def test_they_follow_the_landmarks(self) -> None:
        landmarks = np.array([[60, 30], [90, 30], [75, 45], [62, 60], [88, 60]], np.float32)
        mouth = face_regions(100, 100, landmarks)["mouth"]
        y, x = np.nonzero(mouth)
        assert abs(y.mean() - 60) < 2
        assert abs(x.mean() - 75) < 2

    def test_shares(self) -> None:
        regions = face_regions(48, 48)
        shares = region_shares(regions["mouth"].astype(np.float32), regions)
        assert shares["mouth"] == 1
        assert sum(shares.values()) == pytest.approx(1)
        assert set(region_shares(np.full((48, 48), -1, np.float32), regions).values()) == {0}


class TestFidelity:
    def test_pointing_and_mass(self) -> None:
        truth = np.zeros((48, 48), dtype=bool)
        truth[SPOT] = True
        right = truth.astype(np.float32)
        assert pointing(right, truth)
        assert mass(right, truth) == 1
        assert not pointing(-right, truth)
        assert mass(-right, truth) == 0
        assert mass(np.ones_like(right), truth) == pytest.approx(36 / 48**2)

    def test_a_right_map_is_better_than_all_controls(self) -> None:
        truth = np.zeros((48, 48), dtype=np.float32)
        truth[SPOT] = 1

        def areas(values: NDArray[np.float32]) -> tuple[float, float]:
            curves = deletion_insertion(brightness_of_the_spot, FACE, values, 0, fill="black")
            return area(curves[0]), area(curves[1])

        deleted, inserted = areas(truth)
        for name in CONTROLS:
            worse = areas(control(name, FACE, seed=1))
            assert deleted < worse[0] - 0.1
            assert inserted > worse[1] + 0.1

    def test_curves_run_between_the_face_and_nothing(self) -> None:
        down, up = deletion_insertion(
            brightness_of_the_spot, FACE, control("centre", FACE, seed=0), 0, fill="black", steps=8
        )
        assert len(down) == len(up) == 9
        whole, empty = 250 / 255, 0
        assert (down[0], down[-1]) == (pytest.approx(whole), pytest.approx(empty))
        assert (up[0], up[-1]) == (pytest.approx(empty), pytest.approx(whole))
        assert area(np.array([1, 0.5, 0], np.float32)) == pytest.approx(0.5)

    def test_rank_correlation(self) -> None:
        first = np.arange(36, dtype=np.float32).reshape(6, 6)
        assert rank_correlation(first, first**3) == pytest.approx(1)
        assert rank_correlation(first, -first) == pytest.approx(-1)
        assert np.isnan(rank_correlation(first, np.zeros((6, 6), np.float32)))

    def test_controls_know_nothing_of_each_other(self) -> None:
        maps = [control(name, FACE, seed=3) for name in CONTROLS]
        assert all(m.shape == (48, 48) and m.std() > 0 for m in maps)


class TestMeans:
    def test_means_over_drawn_faces(self, classifier: Classifier) -> None:
        images = open_dataset("drawn", None, per_class=6).load("test")
        chosen = images.take(correct_faces(classifier, images, per_expression=2))
        expressions = [chosen.expressions[k] for k in chosen.labels]
        faces = np.asarray(chosen.images)
        assert max(expressions.count(e) for e in set(expressions)) <= 2
        found = list(explain_all(classifier, faces, "occlusion", stride=8))
        assert [x.target for x in found] == expressions
        means = mean_maps(found)
        for expression, values in means.maps.items():
            own = [x.map for x in found if x.target == expression]
            np.testing.assert_allclose(values, np.mean(own, axis=0), atol=1e-6)
            assert sum(means.shares[expression].values()) == pytest.approx(1, abs=1e-6)
        assert abs(np.sum(list(means.differences().values()), axis=0)).max() < 1e-5
        picture = draw_means(means, "drawn")
        assert picture.width > picture.height

    def test_blank_images_are_passed_over(self, classifier: Classifier) -> None:
        blank = np.full((1, 48, 48), 90, np.uint8)
        face = np.asarray(open_dataset("drawn", None, per_class=1).load("test").images[:1])
        both = np.concatenate([blank, face])
        labels = classifier(both).argmax(axis=1)  # both are right
        images = ImageSet(both, labels, classifier.info.labels, ids=("blank", "face"))
        assert correct_faces(classifier, images, per_expression=5).tolist() == [1]

    def test_nothing_right(self, classifier: Classifier) -> None:
        images = open_dataset("drawn", None, per_class=3).load("test")
        predicted = classifier(np.asarray(images.images)).argmax(axis=1)
        wrong = images.take(predicted != images.labels)
        with pytest.raises(DataError, match="none"):
            correct_faces(classifier, wrong, per_expression=2)


def test_pictures(classifier: Classifier, face: NDArray[np.uint8]) -> None:
    for method in ("occlusion", "attention"):
        found = explain(face, method, model=classifier)
        picture = draw(found, region_shares(found.evidence, face_regions(48, 48)))
        assert picture.width > 600
        assert len(picture.getcolors(100_000) or range(100_000)) > 100
    flat = Explanation(
        "occlusion", found.target, found.probabilities, face, np.zeros_like(found.map)
    )
    assert draw(flat, dict.fromkeys(REGIONS, 0.0)).width > 600
