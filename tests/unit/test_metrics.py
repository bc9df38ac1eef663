"""Figures agree with scikit-learn on random predictions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from deepfer import metrics


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:  # type: ignore[type-arg]
    classes = draw(st.integers(2, 8))
    size = draw(st.integers(1, 60))
    values = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    return np.array(draw(values)), np.array(draw(values)), classes


@given(predictions())
@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_figures_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray, int]) -> None:  # type: ignore[type-arg]
    true, predicted, classes = case
    labels = list(range(classes))
    confusion = metrics.confusion_matrix(true, predicted, classes)
    assert (confusion == sk.confusion_matrix(true, predicted, labels=labels)).all()
    assert metrics.accuracy(confusion) == pytest.approx(sk.accuracy_score(true, predicted))
    assert metrics.uar(confusion) == pytest.approx(sk.balanced_accuracy_score(true, predicted))
    used = sorted(set(true) | set(predicted))
    assert metrics.macro_f1(confusion) == pytest.approx(
        sk.f1_score(true, predicted, labels=used, average="macro", zero_division=0)
    )
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        true, predicted, labels=labels, zero_division=0
    )
    np.testing.assert_allclose(metrics.precisions(confusion), precision)
    np.testing.assert_allclose(np.nan_to_num(metrics.recalls(confusion)), recall)
    np.testing.assert_allclose(metrics.f1_scores(confusion), f1)


def test_log_loss_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(7), 200)
    true = random.integers(0, 7, 200)
    expected = sk.log_loss(true, probabilities, labels=range(7))
    assert metrics.log_loss(probabilities, true) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    # two bins of 15: 0.52 holds three (one right), 0.9 holds one (right)
    probabilities = np.array([[0.52, 0.48], [0.52, 0.48], [0.52, 0.48], [0.1, 0.9]])
    true = np.array([0, 1, 1, 1])
    expected = (3 * abs(1 / 3 - 0.52) + abs(1 - 0.9)) / 4
    assert metrics.calibration_error(probabilities, true) == pytest.approx(expected)


def test_calibrated_predictions_have_a_small_error() -> None:
    random = np.random.default_rng(1)
    probabilities = random.dirichlet(np.ones(3), 50_000)
    true = np.array([random.choice(3, p=p) for p in probabilities[:20_000]])
    assert metrics.calibration_error(probabilities[:20_000], true) < 0.015
    sharpened = probabilities[:20_000] ** 3
    sharpened /= sharpened.sum(axis=1, keepdims=True)
    assert metrics.calibration_error(sharpened, true) > 0.1


def test_calibration_against_votes_by_hand() -> None:
    # both answers are the first class, at 0.9, and 0.8 and 0.6 of the people give them
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    shares = np.array([[0.8, 0.2], [0.6, 0.1]])
    assert metrics.vote_calibration_error(probabilities, shares) == pytest.approx(0.2)
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    hard = metrics.calibration_error(probabilities, np.array([0, 0]))
    assert metrics.vote_calibration_error(probabilities, certain) == pytest.approx(hard)


@given(st.integers(1, 400), st.data())
def test_wilson_agrees_with_scipy(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    expected = stats.binomtest(hits, count).proportion_ci(0.95, "wilson")
    assert metrics.wilson(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-12)
