"""Rebuilt methods: what is known of each without any data, on toys and drawn faces."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage
from sklearn.decomposition import PCA

from conftest import ROOT
from deepfer.align import TEMPLATE
from deepfer.bench.report import deviations
from deepfer.bench.table import Row
from deepfer.data.base import ImageSet
from deepfer.data.copies import CHANGES, add_copies
from deepfer.data.drawing import CHARACTERS, draw_face
from deepfer.errors import CheckpointError
from deepfer.labels import BASIC_EXPRESSIONS, Expression
from deepfer.methods import create_method
from deepfer.methods.base import Division
from deepfer.methods.cnn_svm import MOVES, copies, moved, network_features
from deepfer.methods.estimators import photographs
from deepfer.methods.features import (
    equalized,
    five_points,
    hog_boxes,
    hog_grid,
    lbp_codes,
    lbp_grid,
)
from deepfer.methods.fisherface_mlp import FisherfaceMlp, Fisherfaces
from deepfer.methods.geometry_svm import geometry, shape
from deepfer.methods.hog_parts import PARTS, HogParts
from deepfer.methods.hog_svm import HogSvm
from deepfer.methods.pixels_1nn import Pixels1nn
from deepfer.methods.salient_patches import PATCHES, SalientPatches, patches, salience
from deepfer.preprocess import to_gray

WEIGHTS = str(ROOT / "benchmarks" / "fer2013_deepfer_fast" / "final")
RANDOM = np.random.default_rng


def drawn(expression: Expression, n: int, size: int, first: int = 0) -> NDArray[np.uint8]:
    seeds = range(first, first + n)
    faces = [draw_face(expression, CHARACTERS[i % 8], size=size, seed=i).image for i in seeds]
    return np.stack([to_gray(face) for face in faces])


def noise(n: int, side: int, seed: int = 0) -> NDArray[np.uint8]:
    return RANDOM(seed).integers(0, 256, (n, side, side), dtype=np.uint8)


class TestFisherfaces:
    x = equalized(noise(56, 16))
    y = np.repeat(np.arange(7), 8)

    def test_as_many_values_as_classes_but_one(self) -> None:
        assert Fisherfaces().fit_transform(self.x, self.y).shape == (56, 6)

    def test_training_faces_lie_close_to_their_own_class(self) -> None:
        """With faces less classes components LDA takes apart even noise."""
        low = Fisherfaces().fit_transform(self.x, self.y).reshape(7, 8, 6)
        centres = low.mean(axis=1)
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[~np.eye(7, dtype=bool)]
        assert low.std(axis=1).max() < 0.15 * apart.min()
        nearest = ((low[:, :, None] - centres) ** 2).sum(axis=3).argmin(axis=2)
        assert (nearest == np.arange(7)[:, None]).all()

    def test_eigenfaces_are_orthonormal(self) -> None:
        fisher = Fisherfaces(10).fit(self.x, self.y)
        assert fisher.pca_.n_components_ == 10
        axes = fisher.pca_.components_.astype(np.float64)
        np.testing.assert_allclose(axes @ axes.T, np.eye(10), atol=1e-5)
        assert isinstance(fisher.pca_, PCA)

    def test_shuffled_labels_teach_nothing(self) -> None:
        faces = noise(160, 16, seed=1)
        labels = RANDOM(2).permutation(np.arange(160) % 7)
        model = FisherfaceMlp().estimator(0).fit(faces[:80], labels[:80])
        assert model.score(faces[80:], labels[80:]) < 0.3
        assert model.score(faces[:80], labels[:80]) == 1


class TestPatterns:
    def test_light_and_contrast_cost_nothing(self) -> None:
        faces = noise(2, 32) // 4
        np.testing.assert_array_equal(lbp_codes(faces), lbp_codes(faces * 2))
        # between pixels, equal values may differ in the last digit
        assert (lbp_codes(faces) == lbp_codes(faces + 60)).mean() > 0.97

    def test_every_pixel_has_one_of_59_patterns(self) -> None:
        faces = noise(3, 40)
        assert lbp_codes(faces, 2).max() == 58
        cells = lbp_grid(faces, 5, 4, 2).reshape(3, 20, 59)
        assert (cells.sum(axis=2) == 80).all()
        codes = lbp_codes(faces, 2)[1, 8:16, 20:30]  # second row, third column
        np.testing.assert_array_equal(cells[1, 6], np.bincount(codes.ravel(), minlength=59))

    def test_a_smoothed_face_has_fewer_odd_patterns(self) -> None:
        faces = noise(1, 64)
        odd = [(lbp_codes(faces, smooth=s) == 58).mean() for s in (0.0, 1.0)]
        assert odd[1] < odd[0]


class TestParts:
    def test_mirroring_a_part_permutes_its_histograms(self) -> None:
        part, box = noise(1, 48), [(0, 0, 48, 48)]
        own, mirrored = (
            hog_boxes(p, box).reshape(5, 5, 2, 2, 8)[1:-1, 1:-1] for p in (part, part[:, :, ::-1])
        )
        # gradients straight up or across lie on the bounds of a bin, so not quite
        assert np.abs(mirrored[:, ::-1, :, ::-1, ::-1] - own).mean() < 0.01
        assert np.abs(mirrored[:, ::-1, :, ::-1] - own).mean() > 0.03

    def test_the_whole_face_as_one_part(self) -> None:
        faces = noise(2, 48)
        np.testing.assert_array_equal(hog_boxes(faces, [(0, 0, 48, 48)]), hog_grid(faces))

    def test_what_lies_outside_the_parts_does_not_count(self) -> None:
        faces = noise(1, 128)
        other = noise(1, 128, seed=1)
        for x, y, w, h in PARTS:
            other[:, y : y + h, x : x + w] = faces[:, y : y + h, x : x + w]
        np.testing.assert_array_equal(hog_boxes(faces, PARTS), hog_boxes(other, PARTS))
        points = TEMPLATE * (128 / 48)
        (ex, ey, ew, eh), (mx, my, mw, mh) = PARTS
        assert all(ex < x < ex + ew and ey < y < ey + eh for x, y in points[:2])
        assert all(mx < x < mx + mw and my < y < my + mh for x, y in points[3:])


class TestGeometry:
    points = RANDOM(3).normal(TEMPLATE, 2, (6, 5, 2)).astype(np.float32)

    def test_place_size_and_turn_do_not_count(self) -> None:
        own = shape(self.points)
        assert own.shape == (6, 20)
        np.testing.assert_allclose(shape(self.points + 7), own, atol=1e-4)
        np.testing.assert_allclose(shape(self.points * 3), own, atol=1e-4)
        turn = np.array([[0.8, 0.6], [-0.6, 0.8]], dtype=np.float32)
        np.testing.assert_allclose(shape(self.points @ turn), own, atol=1e-4)

    def test_a_wider_mouth_counts(self) -> None:
        wider = self.points.copy()
        wider[:, 3, 0] -= 3
        assert np.abs(shape(wider) - shape(self.points)).max(axis=1).min() > 0.1

    def test_distances_are_in_distances_of_the_eyes(self) -> None:
        own = shape(self.points)
        np.testing.assert_allclose(own[:, 10], 1, atol=1e-5)  # the eyes themselves
        np.testing.assert_allclose(own[:, :5].sum(axis=1), 0, atol=1e-5)

    def test_where_no_face_is_found_points_are_an_aligned_faces(self) -> None:
        blank = np.full((1, 96, 96), 90, np.uint8)
        np.testing.assert_allclose(five_points(blank)[0], TEMPLATE * 2, atol=1e-5)
        np.testing.assert_allclose(geometry(blank), shape(TEMPLATE[None]), atol=1e-5)


class TestSalientPatches:
    def test_all_patches_lie_on_the_face(self) -> None:
        assert len(PATCHES) == 19
        found = patches(noise(2, 96), 16)
        assert found.shape == (2, 19, 59)
        np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-6)

    def test_a_planted_texture_is_ranked_first(self) -> None:
        faces, second = noise(40, 96), np.arange(40) % 2 == 1
        x, y = (round(2 * c) for c in PATCHES["right brow"])  # overlaps with no other
        faces[second, y - 8 : y + 8, x - 8 : x + 8] //= 64  # few gray levels, other patterns
        found = salience(patches(faces, 16), second, seed=0)
        assert list(PATCHES)[int(found.argmax())] == "right brow"
        assert found.max() > 0.95
        assert np.sort(found)[-2] < 0.9

    def test_permuted_labels_leave_every_patch_at_chance(self) -> None:
        features = patches(noise(60, 96, seed=4), 16)
        found = [
            salience(features, RANDOM(i).permutation(np.arange(60) % 2 == 1), i).mean()
            for i in range(4)
        ]
        assert np.mean(found) == pytest.approx(0.5, abs=0.05)

    def test_the_mouth_tells_happy_from_sad(self) -> None:
        faces = np.concatenate([drawn(e, 24, 96) for e in (Expression.HAPPY, Expression.SAD)])
        labels = np.repeat([0, 1], 24)
        model = SalientPatches(keep=4).fit(patches(faces, 16), labels)
        chosen = {list(PATCHES)[k] for k in model.chosen_[0, 1]}
        assert any("mouth" in name or "lip" in name or "below" in name for name in chosen)

    def test_all_patches_need_no_ranking(self) -> None:
        features, labels = patches(noise(20, 96), 16), np.arange(20) % 2
        both = [SalientPatches(keep).fit(features, labels) for keep in (0, 19)]
        shares = [model.predict_proba(features) for model in both]
        np.testing.assert_allclose(shares[0], shares[1], atol=1e-6)
        assert (shares[0].argmax(axis=1) == labels).all()

    def test_votes_come_before_margins(self) -> None:
        features, labels = patches(noise(30, 96), 16), np.arange(30) % 3
        model = SalientPatches(0).fit(features, labels)
        found = model.predict_proba(features)
        order = np.argsort(-found, axis=1)
        votes = np.zeros((30, 3))
        for (a, b), svm in model.models_.items():
            won = svm.decision_function(features.reshape(30, -1)) > 0
            votes[:, a] += ~won
            votes[:, b] += won
        for first, second in pairwise(range(3)):
            rows = np.arange(30)
            assert (votes[rows, order[:, first]] >= votes[rows, order[:, second]]).all()


class TestCopies:
    face = noise(1, 64)[0]

    def test_the_first_copy_is_the_face(self) -> None:
        found = list(copies(self.face))
        assert len(found) == 2 * len(MOVES)
        np.testing.assert_array_equal(found[0], self.face)
        np.testing.assert_array_equal(found[1], self.face[:, ::-1])
        features = network_features(WEIGHTS, "dense")
        own = features([self.face, moved(self.face, 0, 1)])
        np.testing.assert_array_equal(own[0], own[1])
        assert own.shape == (2, 256)
        assert network_features(WEIGHTS, "map")([self.face]).shape == (1, 2880)

    def test_a_turn_and_its_opposite_cancel(self) -> None:
        smooth = np.asarray(PillowImage.fromarray(noise(1, 12)[0]).resize((96, 96)), np.uint8)
        apart = [
            np.abs(found.astype(int) - smooth)[16:-16, 16:-16].mean()
            for found in (moved(moved(smooth, 5, 1.04), -5, 1 / 1.04), moved(smooth, 5, 1.04))
        ]
        assert apart[0] < 2
        assert apart[1] > 10

    def test_the_border_is_repeated(self) -> None:
        flat = np.full((40, 40), 77, np.uint8)
        for degrees, zoom in MOVES:
            assert (moved(flat, degrees, zoom) == 77).all()

    def test_options_make_other_results(self) -> None:
        prints = {
            create_method("cnn-svm", {"weights": WEIGHTS, **more}).fingerprint(
                Division("jaffe", "random-10fold", 0, 0)
            )
            for more in ({}, {"layer": "map"}, {"c": 1.0})
        }
        assert len(prints) == 3

    def test_weights_are_looked_for(self, tmp_path: Path) -> None:
        method = create_method("cnn-svm", {"weights": str(tmp_path / "nowhere")})
        with pytest.raises(CheckpointError, match="nowhere"):
            method.require(Division("jaffe", "random-10fold", 0, 0))


def test_photographs_are_both_sides_without_a_protocols_copies() -> None:
    def some(ids: tuple[str, ...]) -> ImageSet:
        n = len(ids)
        return ImageSet(noise(n, 8), np.arange(n), BASIC_EXPRESSIONS, ids)

    train = add_copies(some(("a", "b")), [(i, c) for c in CHANGES for i in (0, 1)])
    assert photographs(train, some(("c",))).ids == ("a", "b", "c")


def test_a_table_tells_each_deviation_once() -> None:
    rows = [
        Row(title="one", protocol="p", method=HogSvm()),
        Row(title="one", protocol="q", method=HogSvm()),
        Row(title="two", protocol="q", method=HogSvm(c=1.0)),
        Row(title="parts", protocol="q", method=HogParts()),
        Row(title="floor", protocol="q", method=Pixels1nn()),
    ]
    assert deviations(rows) == [
        f"one; two: {HogSvm.info.deviations}.",
        f"parts: {HogParts.info.deviations}.",
    ]
