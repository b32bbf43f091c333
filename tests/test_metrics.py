"""Figures against scikit-learn, hand-computed values and their defining properties."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from facewitness.evals import identity, metrics


@st.composite
def judged(draw: Any) -> tuple[Any, Any, Any]:
    """Truth with both classes, scores on a coarse grid (so that ties occur), and how often each sample was drawn."""
    size = draw(st.integers(4, 40))
    truth = draw(arrays(bool, size).filter(lambda t: 0 < t.sum() < len(t)))
    score = draw(arrays(np.int8, size, elements=st.integers(0, 12))) / 12
    weight = draw(
        arrays(np.int8, size, elements=st.integers(0, 3)).filter(lambda w: w[truth].any() and w[~truth].any())
    )
    return truth, score, weight.astype(float)[None]


@settings(max_examples=40, deadline=None)
@given(judged())
def test_auc_and_roc_are_those_of_scikit_learn(case: tuple[Any, Any, Any]) -> None:
    truth, score, weight = case
    expected = roc_auc_score(truth, score, sample_weight=weight[0])
    assert metrics.auc(truth, score, weight)[0] == pytest.approx(expected, abs=1e-9)
    drawn = weight[0] > 0  # scikit-learn makes no point for a sample of weight 0
    false, true, _ = roc_curve(truth, score, sample_weight=weight[0], drop_intermediate=False)
    curve = metrics.roc(truth[drawn], score[drawn], weight[:, drawn])
    assert np.allclose(curve.false[0], false) and np.allclose(curve.true[0], true)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_brier_is_that_of_scikit_learn(case: tuple[Any, Any, Any]) -> None:
    truth, score, weight = case
    expected = brier_score_loss(truth, score, sample_weight=weight[0])
    assert metrics.brier(truth, score, weight)[0] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_weights_count_as_repetitions(case: tuple[Any, Any, Any]) -> None:
    truth, score, weight = case
    often = np.repeat(np.arange(len(truth)), weight[0].astype(int))
    once = np.ones((1, len(often)))
    for metric in (metrics.auc, metrics.eer, metrics.tpr_at_fpr, metrics.ece, metrics.brier, _at_80):
        assert metric(truth, score, weight)[0] == pytest.approx(metric(truth[often], score[often], once)[0], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_eer_is_the_one_of_the_identity_benchmark(case: tuple[Any, Any, Any]) -> None:
    truth, score, _ = case
    once = np.ones((1, len(truth)))
    assert metrics.eer(truth, score, once)[0] == pytest.approx(identity.eer(score, truth), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_reversed_scores_reverse_the_auc(case: tuple[Any, Any, Any]) -> None:
    truth, score, weight = case
    there, back = metrics.auc(truth, score, weight)[0], metrics.auc(truth, -score, weight)[0]
    assert there + back == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(judged())
def test_calibration_error_is_between_bias_and_one(case: tuple[Any, Any, Any]) -> None:
    truth, score, weight = case
    bias = abs(np.average(score - truth, weights=weight[0]))
    assert bias - 1e-9 <= metrics.ece(truth, score, weight)[0] <= 1


@settings(max_examples=40, deadline=None)
@given(judged())
def test_full_coverage_is_the_plain_error(case: tuple[Any, Any, Any]) -> None:
    truth, score, weight = case
    plain = np.average((score >= 0.5) != truth, weights=weight[0])
    assert metrics.error_at(truth, score, weight, 1.0)[0] == pytest.approx(plain)


def _at_80(truth: Any, score: Any, weight: Any) -> Any:
    return metrics.error_at(truth, score, weight, 0.8)


def test_hand_computed() -> None:
    truth = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], bool)
    score = np.array([0.05, 0.15, 0.25, 0.55, 0.35, 0.95, 0.85, 0.65, 0.45, 0.75])
    once = np.ones((1, 10))
    assert metrics.auc(truth, score, once)[0] == pytest.approx(24 / 25)
    assert metrics.eer(truth, score, once)[0] == pytest.approx(0.2)
    assert metrics.tpr_at_fpr(truth, score, once)[0] == pytest.approx(0.8)
    assert metrics.tpr_at_fpr(truth, score, once, 0.2)[0] == pytest.approx(1.0)
    assert metrics.error_at(truth, score, once)[0] == pytest.approx(0.2)
    # The two wrong answers, 0.55 and 0.45, are the least certain.
    assert metrics.error_at(truth, score, once, 0.8)[0] == pytest.approx(0.0)
    assert metrics.error_at(truth, score, once, 0.9)[0] == pytest.approx(1 / 9)
    assert metrics.ece(truth, score, once)[0] == pytest.approx(
        (0.05 + 0.15 + 0.25 + 0.35 + 0.55 + 0.55 + 0.35 + 0.25 + 0.15 + 0.05) / 10
    )


def test_calibrated_probabilities_have_a_small_calibration_error() -> None:
    random = np.random.default_rng(0)
    probability = random.uniform(size=20000)
    truth = random.uniform(size=20000) < probability
    once = np.ones((1, 20000))
    assert metrics.ece(truth, probability, once)[0] < 0.02
    assert metrics.ece(truth, probability**3, once)[0] > 0.1
    assert _at_80(truth, probability, once)[0] < metrics.error_at(truth, probability, once)[0]


def test_balanced_classes_weigh_one_half() -> None:
    truth = np.array([True, False, False, False])
    weight = metrics.balanced(truth, np.array([[1.0, 1, 1, 1], [2, 0, 1, 3], [0, 1, 1, 1]]))
    assert weight[:2, truth].sum(1) == pytest.approx([0.5, 0.5])
    assert weight[:2, ~truth].sum(1) == pytest.approx([0.5, 0.5])
    assert np.isnan(weight[2, 0])


def test_a_round_without_one_class_is_left_out() -> None:
    truth, score = np.array([True, False]), np.array([1.0, 0.0])
    weight = np.array([[1.0, 1], [2, 0], [0, 2]])
    for metric in (metrics.auc, metrics.eer, metrics.tpr_at_fpr):
        values = metric(truth, score, weight)
        assert not np.isnan(values[0]) and np.isnan(values[1:]).all()
        assert metrics.figure(values).low is None


def test_people_are_drawn_with_all_of_their_photos() -> None:
    people = np.array(["a", "b", "a", "c", "c", "c"])
    weight = metrics.resamples(people, rounds=50)
    assert (weight[0] == 1).all()
    assert (weight[:, 0] == weight[:, 2]).all() and (weight[:, 3] == weight[:, 5]).all()
    assert (weight[1:, [0, 1, 3]].sum(1) == 3).all()
    assert (weight == metrics.resamples(people, rounds=50)).all()
    assert (weight != metrics.resamples(people, rounds=50, seed=1)).any()


def test_interval_over_people_is_wider_than_over_photos() -> None:
    random = np.random.default_rng(1)
    people = np.repeat(np.arange(20), 20)
    score = random.normal(size=20)[people] + 0.3 * random.normal(size=400)
    truth = np.tile([True, False], 200)
    clustered = metrics.interval(metrics.brier, truth, score, people)
    single = metrics.interval(metrics.brier, truth, score, np.arange(400))
    assert None not in clustered and None not in single
    assert clustered.high - clustered.low > 1.5 * (single.high - single.low)  # type: ignore[operator]


def test_interval_covers_the_truth() -> None:
    """95 % intervals of AUC, of scores whose AUC is known to be 0.76, hold it about 95 times in a hundred."""
    random, held = np.random.default_rng(2), 0
    truth = np.tile([True, False], 100)
    for _ in range(100):
        score = random.normal(size=200) + truth
        found = metrics.figure(metrics.auc(truth, score, metrics.resamples(np.arange(200), rounds=400)))
        held += found.low <= 0.7602 <= found.high  # type: ignore[operator]
    assert 89 <= held <= 99


def test_difference_is_paired() -> None:
    random = np.random.default_rng(3)
    truth, people = np.tile([True, False], 100), np.arange(200)
    score = random.normal(size=200) + truth
    alike = metrics.difference(metrics.auc, truth, score, 3 * score - 1, people)
    assert alike == (0.0, None, None)
    better = metrics.difference(metrics.auc, truth, score + truth, score, people)
    apart = metrics.interval(metrics.auc, truth, score, people)
    assert better.low is not None and better.low > 0
    assert better.high - better.low < apart.high - apart.low  # type: ignore[operator]


def test_share_has_an_interval_at_the_ends() -> None:
    none = metrics.share([False] * 300, np.repeat(np.arange(100), 3))
    assert none.value == 0 and none.low == pytest.approx(0, abs=1e-9)
    assert none.high == pytest.approx(0.037, abs=0.001)


def test_figure_rounds_and_names_what_is_not_defined() -> None:
    assert metrics.Figure(0.12345, 0.1, 0.2).rounded() == {"value": 0.123, "95% interval": [0.1, 0.2]}
    assert metrics.Figure(float("nan"), None, None).rounded() == {"value": None, "95% interval": None}


def test_a_thousand_resamples_of_two_thousand_photos_take_moments() -> None:
    random = np.random.default_rng(4)
    truth = random.uniform(size=2000) < 0.5
    started = time.process_time()
    metrics.interval(metrics.auc, truth, random.normal(size=2000) + truth, np.arange(2000) // 4)
    assert time.process_time() - started < 2


def test_correlation_is_that_of_numpy_and_blind_to_the_order_of_a_pair() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=50)
    b = a + rng.normal(size=50)
    weight = metrics.resamples(np.arange(50), rounds=3)
    expected = np.corrcoef(np.r_[a, b], np.r_[b, a])[0, 1]
    assert metrics.correlation(a, b, weight)[0] == pytest.approx(expected)
    np.testing.assert_allclose(metrics.correlation(b, a, weight), metrics.correlation(a, b, weight))
