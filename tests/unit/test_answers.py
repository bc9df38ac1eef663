"""Priors, certainty, sets of expressions, and what makes a face hard."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter

from deepfer import Recognizer
from deepfer.align import TEMPLATE
from deepfer.certainty import (
    fit_certainty,
    fit_set_mass,
    possible,
    set_coverage,
    set_members,
)
from deepfer.classify import Classifier, model_path
from deepfer.errors import InputError, UnknownNameError
from deepfer.labels import BASIC_EXPRESSIONS
from deepfer.modelfile import InputSpec, ModelInfo
from deepfer.prior import read_prior
from deepfer.quality import NOTES, light_of, poses, qualities, sharpness_of
from deepfer.types import Face

SHARES = (0.08, 0.01, 0.03, 0.26, 0.12, 0.13, 0.37)
INFO = ModelInfo("m@1", BASIC_EXPRESSIONS, InputSpec(48, 48), prior=SHARES)


def draw(faces: int, seed: int = 0) -> NDArray[np.float64]:
    """Probabilities as a network gives them: some sure, some not."""
    return np.random.default_rng(seed).dirichlet([0.3] * 7, faces)


class TestNames:
    def test_a_name_stands_for_two_files(self) -> None:
        assert model_path() == model_path("ferplus")
        assert model_path("fer2013").name == "deepfer_fast-fer2013.int8.onnx"
        assert model_path("fer2013", exact=True).name == "deepfer_fast-fer2013.onnx"
        assert model_path(model_path("fer2013"), exact=True).name == "deepfer_fast-fer2013.onnx"

    def test_own_files_are_taken_as_they_are(self) -> None:
        assert model_path("x/mine.int8.onnx", exact=True) == Path("x/mine.int8.onnx")

    def test_unknown_names_are_told_with_the_known(self) -> None:
        with pytest.raises(UnknownNameError, match="'ferpus'; known: ferplus, fer2013, or a model"):
            Classifier("ferpus")


class TestPrior:
    def test_own_shares_undo_themselves(self) -> None:
        own = dict(zip(BASIC_EXPRESSIONS, SHARES, strict=True))
        probabilities = draw(20)
        np.testing.assert_allclose(read_prior(own, INFO)(probabilities), probabilities)
        assert read_prior("photos", INFO)(probabilities) is probabilities

    def test_balanced_is_bayes_rule(self) -> None:
        """Likelihoods seen under the learnt shares come out as under equal ones."""
        likelihood = np.random.default_rng(0).random((50, 7))
        seen = likelihood * SHARES
        seen /= seen.sum(axis=1, keepdims=True)
        even = likelihood / likelihood.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(read_prior("balanced", INFO)(seen), even)

    def test_its_text_is_read_back(self) -> None:
        prior = read_prior({e: 2.0 + i for i, e in enumerate(BASIC_EXPRESSIONS)}, INFO)
        assert prior.text.startswith("angry=0.0571429,disgust=0.0857143,")
        again = read_prior(prior.text, INFO)
        np.testing.assert_allclose(again.weights, prior.weights, rtol=1e-5)

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ("photo", "expected photos, balanced, or shares"),
            ("happy=0.5,sad=half", "expected photos, balanced, or shares"),
            ("happy=1,happy=1", "expected photos, balanced, or shares"),
            ("happy=0.5,sad=0.5", "one share for each of angry, disgust,"),
            ({e: 0.0 if e == "sad" else 1.0 for e in BASIC_EXPRESSIONS}, "numbers above 0"),
            ({e: float("nan") for e in BASIC_EXPRESSIONS}, "numbers above 0"),
        ],
    )
    def test_mistakes_are_one_line(self, asked: str | dict[str, float], words: str) -> None:
        with pytest.raises(InputError, match=words) as error:
            read_prior(asked, INFO)
        assert "\n" not in str(error.value)

    def test_a_model_that_does_not_know_its_shares_has_no_other(self) -> None:
        info = ModelInfo("old@1", BASIC_EXPRESSIONS, InputSpec(48, 48))
        assert read_prior("photos", info).text == "photos"
        with pytest.raises(InputError, match="old@1 does not say which shares it learnt"):
            read_prior("balanced", info)

    def test_results_say_it(self, astronaut: Path) -> None:
        plain, even = Recognizer("fer2013"), Recognizer("fer2013", prior="balanced")
        one, other = plain.recognize(astronaut), even.recognize(astronaut)
        assert (one.prior, other.prior) == ("photos", "balanced")
        learnt = np.array(plain.classifier.info.prior)
        expected = np.array(list(one.faces[0].probabilities.values())) / learnt
        np.testing.assert_allclose(
            list(other.faces[0].probabilities.values()), expected / expected.sum(), rtol=1e-4
        )

    def test_each_photo_may_have_its_own(self, astronaut: Path) -> None:
        recognizer = Recognizer("fer2013", prior="balanced")
        info = recognizer.classifier.info
        photos = [recognizer.prepare(astronaut)] * 2
        one, other = recognizer.classify(
            photos, [read_prior(p, info) for p in ("photos", "balanced")]
        )
        assert (one.prior, other.prior) == ("photos", "balanced")
        assert other.faces == recognizer.recognize(astronaut).faces
        assert one.faces == Recognizer("fer2013").recognize(astronaut).faces


class TestCertainty:
    @given(st.integers(0, 50), st.floats(0, 1))
    def test_the_set_is_the_smallest_that_reaches_the_mass(self, seed: int, mass: float) -> None:
        (row,) = draw(1, seed)
        chosen = possible(dict(enumerate(row.tolist())), mass)
        ranked = sorted(row.tolist(), reverse=True)
        assert sum(ranked[: len(chosen)]) >= mass - 1e-9
        assert len(chosen) == 1 or sum(ranked[: len(chosen) - 1]) < mass
        members = np.flatnonzero(set_members(row[None], mass)[0]).tolist()
        assert members == sorted(chosen)

    @pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
    def test_sets_hold_what_people_say_as_often_as_asked(self, coverage: float) -> None:
        probabilities = draw(4000)
        rng = np.random.default_rng(1)
        # people are less sure than the network: the mass alone would not do
        votes = np.array([rng.multinomial(10, 0.6 * p + 0.4 / 7) for p in probabilities])
        mass = fit_set_mass(probabilities[:2000], votes[:2000], coverage)
        found = set_coverage(set_members(probabilities[2000:], mass), votes[2000:])
        assert found == pytest.approx(coverage, abs=0.02)
        held = set_coverage(set_members(probabilities[:2000], mass), votes[:2000])
        assert coverage <= held < coverage + 0.01

    def test_the_mass_is_the_least_that_does(self) -> None:
        probabilities, votes = draw(200), np.random.default_rng(2).integers(0, 5, (200, 7))
        mass = fit_set_mass(probabilities, votes)
        needed = 0.9 * 201 / 200
        assert set_coverage(set_members(probabilities, mass), votes) >= needed
        assert set_coverage(set_members(probabilities, mass - 1e-6), votes) < needed

    def test_few_faces_promise_nothing(self) -> None:
        assert fit_set_mass(draw(5), np.ones((5, 7))) == 1.0

    def test_certain_answers_are_right(self) -> None:
        probabilities = draw(4000)
        rng = np.random.default_rng(1)
        true = np.array([rng.choice(7, p=p) for p in probabilities])
        least = fit_certainty(probabilities, true, right=0.9, share=0.01)
        certain = probabilities.max(axis=1) >= least
        hits = (probabilities.argmax(axis=1) == true)[certain]
        assert hits.mean() == pytest.approx(0.9, abs=0.005)
        kept = fit_certainty(probabilities, true, right=0.99, share=0.8)
        assert (probabilities.max(axis=1) >= kept).mean() == pytest.approx(0.8, abs=0.001)

    def test_faces_without_a_majority_do_not_count(self) -> None:
        probabilities, true = draw(100), np.full(100, -1)
        true[:10] = probabilities[:10].argmax(axis=1)
        assert fit_certainty(probabilities, true) == probabilities[:10].max(axis=1).min()

    def test_the_least_certainty_is_the_users(self, astronaut: Path) -> None:
        (sure,) = Recognizer("fer2013").recognize(astronaut).faces
        (unsure,) = Recognizer("fer2013", min_certainty=0.999).recognize(astronaut).faces
        assert (sure.certain, sure.answer) == (True, "happy")
        assert (unsure.certain, unsure.answer) == (False, "uncertain: happy")
        with pytest.raises(InputError, match=r"min_certainty 1\.5: expected 0 to 1"):
            Recognizer("fer2013", min_certainty=1.5)


def turned(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """The five points of the face model, turned in space and seen from far away."""
    points = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.55, 0.4], [-0.45, 1, 0], [0.45, 1, 0]])
    y, p, r = np.radians([yaw, pitch, roll])
    nod = [[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]]
    shake = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    tilt = [[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]
    seen = points @ (np.array(tilt) @ shake @ nod).T
    return 1000 * seen[:, :2] + 2000


class TestQuality:
    @pytest.mark.parametrize("angles", [(0, 0, 0), (40, 0, 0), (-25, 15, 170), (10, -30, -90)])
    def test_pose_of_a_face_turned_in_space(self, angles: tuple[float, float, float]) -> None:
        (found,) = poses(turned(*angles)[None])
        np.testing.assert_allclose(found, angles, atol=0.1)

    def test_the_mean_face_of_the_template_looks_ahead(self) -> None:
        (found,) = poses(TEMPLATE[None] * 4)
        np.testing.assert_allclose(found, 0, atol=2)

    def test_pose_of_points_that_are_no_face(self) -> None:
        assert np.isfinite(poses(np.zeros((2, 5, 2)))).all()

    def test_roll_follows_the_photo(self, astronaut: Path) -> None:
        photo = PillowImage.open(astronaut).convert("RGB")
        recognizer = Recognizer("fer2013")
        rolls = []
        for angle in (30, 0, -30):  # Pillow turns the other way
            (face,) = recognizer.recognize(photo.rotate(angle)).faces
            assert face.quality.pose is not None
            rolls.append(face.quality.pose.roll)
        assert rolls == sorted(rolls)

    def test_light_and_contrast_are_not_sharpness(self, astronaut: Path) -> None:
        crops = Recognizer("fer2013").recognize_crops(astronaut)[1]
        dim = (crops // 2).astype(np.uint8)
        assert sharpness_of(dim)[0] == pytest.approx(sharpness_of(crops)[0], rel=0.05)
        assert light_of(dim)[0] == pytest.approx(light_of(crops)[0] / 2, abs=0.01)
        assert sharpness_of(np.full((1, 48, 48), 90, np.uint8)) == 0

    def test_notes(self, astronaut: Path) -> None:
        (crop,) = Recognizer("fer2013").recognize_crops(astronaut)[1]
        blurred = np.asarray(PillowImage.fromarray(crop).filter(ImageFilter.GaussianBlur(1.5)))
        grain = np.random.default_rng(0).normal(0, 40, crop.shape)
        noisy = np.clip(crop + grain, 0, 255).astype(np.uint8)
        white = np.maximum(crop, 230)
        ahead, aside = (
            Face((0, 0, 60, 70), turned(yaw, 0, 0).astype(np.float32), 0.9) for yaw in (0, 45)
        )
        small = Face((0, 0, 20, 70), None, 1.0)
        faces = [ahead, ahead, ahead, ahead, ahead, aside, small]
        pixels = np.array([crop, blurred, noisy, crop // 4, white, crop, crop])
        found = [quality.notes for quality in qualities(faces, pixels)]
        assert found[0] == ()
        assert {notes[0] for notes in found[1:]} == set(NOTES)
        assert all(len(notes) == 1 for notes in found[1:])
        assert qualities([small], pixels[:1])[0].pose is None
