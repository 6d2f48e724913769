from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import SignatureError
from nbdeploy.monitoring.scores import ABSOLUTE_ERROR, ACCURACY, Scores, metric_for, scored


@given(st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_scores_are_the_mean_and_variance_of_what_was_added(values):
    scores = Scores()
    for value in values:
        scores.add(value)

    assert scores.count == len(values)
    assert scores.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert scores.variance == pytest.approx(np.var(values, ddof=1), rel=1e-6, abs=1e-6)


@given(st.data(), st.integers(2, 1000))
def test_a_share_is_so_many_ones_and_zeros(data, count):
    successes = data.draw(st.integers(0, count))
    scores = Scores()
    for number in range(count):
        scores.add(float(number < successes))

    shared = Scores.of_share(successes, count)

    assert (shared.count, shared.mean) == (count, pytest.approx(scores.mean))
    assert shared.variance == pytest.approx(scores.variance, abs=1e-12)


@pytest.mark.parametrize(
    ("predictions", "has_classes", "metric"),
    [
        (["a"], True, ACCURACY),
        ([1], False, ACCURACY),
        ([True], False, ACCURACY),
        ([1.5], False, ABSOLUTE_ERROR),
        ([1.0], True, ACCURACY),
        ([], False, ACCURACY),
    ],
)
def test_labels_are_right_or_wrong_and_numbers_near_or_far(predictions, has_classes, metric):
    assert metric_for(predictions, has_classes=has_classes) is metric


@pytest.mark.parametrize(
    ("predictions", "truth", "metric", "scores"),
    [
        (["a", "b"], ["a", "c"], ACCURACY, [1.0, 0.0]),
        ([1, 0], [True, 0.0], ACCURACY, [1.0, 1.0]),
        ([1.5, 2.0], [1.0, None], ABSOLUTE_ERROR, [0.5]),
        ([[1, 2]], [[1, 2]], ACCURACY, [1.0]),
        ([None], ["a"], ACCURACY, [0.0]),
    ],
)
def test_rows_are_scored_in_their_order(predictions, truth, metric, scores):
    assert scored(predictions, truth, metric) == scores


@pytest.mark.parametrize(
    ("predictions", "truth", "metric", "message"),
    [
        (["a"], ["a", "b"], ACCURACY, "2 truths for 1 predicted"),
        ([1], ["1"], ACCURACY, "row 0 is a text: '1'. Expected a number"),
        (["a"], [3], ACCURACY, "row 0 is a number: '3'. Expected a text"),
        ([1.5], ["far"], ABSOLUTE_ERROR, "a text: 'far'. Expected a number"),
        ([1.5], [math.nan], ABSOLUTE_ERROR, "nan"),
        ([1.5], [math.inf], ACCURACY, "inf"),
    ],
)
def test_a_truth_that_no_prediction_can_equal_is_refused(predictions, truth, metric, message):
    with pytest.raises(SignatureError, match=message):
        scored(predictions, truth, metric)
