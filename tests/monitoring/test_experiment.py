from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nbdeploy.monitoring.experiment import (
    LEAST_ROWS,
    compare_scores,
    interval_of,
    sample_size,
)
from nbdeploy.monitoring.scores import Scores

COUNTS = st.integers(1, 5000)


def share(successes, count):
    return Scores.of_share(successes, count)


def means(values):
    scores = Scores()
    for value in values:
        scores.add(value)
    return scores


@given(st.data(), COUNTS)
def test_the_interval_of_a_share_is_that_of_wilson(data, count):
    successes = data.draw(st.integers(0, count))
    expected = stats.binomtest(successes, count).proportion_ci(method="wilson")

    low, high = interval_of(share(successes, count), is_share=True)

    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_of_a_mean_is_that_of_student():
    values = np.random.default_rng(0).normal(5, 2, size=40)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)

    assert interval_of(means(values), is_share=False) == pytest.approx(tuple(expected))


def test_without_rows_there_is_no_interval():
    assert interval_of(Scores(), is_share=True) is None
    assert interval_of(means([1.0]), is_share=False) is None
    assert compare_scores(Scores(), share(3, 4), is_share=True) is None


def test_the_difference_of_means_is_that_of_welch():
    rng = np.random.default_rng(1)
    one, other = rng.normal(1, 3, size=60), rng.normal(0, 1, size=200)
    expected = stats.ttest_ind(one, other, equal_var=False)

    difference = compare_scores(means(one), means(other), is_share=False)

    assert difference.fixed_p == pytest.approx(expected.pvalue)
    assert difference.fixed == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_difference_of_shares_is_that_of_newcombe():
    # R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10, cases a and c.
    first = compare_scores(share(56, 70), share(48, 80), is_share=True)
    second = compare_scores(share(9, 10), share(3, 10), is_share=True)

    assert first.fixed == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert second.fixed == pytest.approx((0.1705, 0.8090), abs=5e-5)


@given(st.data(), COUNTS, COUNTS)
def test_swapping_the_versions_turns_the_difference_around(data, one, other):
    new = share(data.draw(st.integers(0, one)), one)
    old = share(data.draw(st.integers(0, other)), other)

    there = compare_scores(new, old, is_share=True)
    back = compare_scores(old, new, is_share=True)

    assert there.estimate == pytest.approx(-back.estimate)
    assert there.fixed == pytest.approx((-back.fixed.high, -back.fixed.low))
    assert there.always_p == pytest.approx(back.always_p)
    if there.always is not None:
        assert there.always == pytest.approx((-back.always.high, -back.always.low))


@given(st.data(), st.integers(LEAST_ROWS, 5000), st.integers(LEAST_ROWS, 5000))
def test_the_interval_excludes_zero_exactly_when_the_p_value_is_below_alpha(data, one, other):
    new = share(data.draw(st.integers(0, one)), one)
    old = share(data.draw(st.integers(0, other)), other)

    difference = compare_scores(new, old, is_share=True, alpha=0.05)

    if difference.always is not None and abs(difference.always_p - 0.05) > 1e-9:
        assert difference.always.excludes_zero is (difference.always_p < 0.05)


@pytest.mark.parametrize("rows", [100, 1_000, 100_000])
def test_looking_whenever_you_like_costs_width(rows):
    difference = compare_scores(share(rows * 9 // 10, rows), share(rows // 2, rows), is_share=True)

    fixed = difference.fixed.high - difference.fixed.low
    always = difference.always.high - difference.always.low
    assert fixed < always < 2.2 * fixed


def test_the_always_valid_interval_shrinks_with_the_rows():
    widths = []
    for rows in (200, 1_000, 10_000, 100_000):
        low, high = compare_scores(
            share(rows * 9 // 10, rows), share(rows * 9 // 10, rows), is_share=True
        ).always
        widths.append(high - low)

    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.02


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (share(49, 49), share(0, 5000)),
        (share(60, 60), share(5000, 5000 - 0)),
        (share(199, 200), share(199, 200)),
    ],
    ids=["too few", "all right", "mistakes too rare"],
)
def test_of_little_nothing_is_concluded(new, old):
    difference = compare_scores(new, old, is_share=True)

    assert difference.always is None or not difference.always.excludes_zero
    assert difference.always_p == 1.0


def test_scores_without_spread_are_told_apart_or_equal():
    same = compare_scores(means([2.0] * 60), means([2.0] * 60), is_share=False)
    other = compare_scores(means([2.0] * 60), means([1.0] * 60), is_share=False)

    assert (same.always, same.always_p, same.fixed_p) == ((0.0, 0.0), 1.0, 1.0)
    assert (other.always, other.always_p, other.fixed_p) == ((1.0, 1.0), 0.0, 0.0)


def first_alarms(rng, *, tests, looks, batch, accuracy, weight):
    """How often each method says "different" at one look or more, with nothing different."""
    alarms = {"always": 0, "naive": 0}
    for _ in range(tests):
        rows, right = np.zeros(2, dtype=int), np.zeros(2, dtype=int)
        seen = dict.fromkeys(alarms, False)
        for _ in range(looks):
            second = rng.binomial(batch, weight)
            new = np.array([batch - second, second])
            rows += new
            right += rng.binomial(new, accuracy)
            found = compare_scores(
                share(right[1], rows[1]), share(right[0], rows[0]), is_share=True
            )
            if found is not None:
                seen["always"] |= found.always is not None and found.always.excludes_zero
                seen["naive"] |= found.fixed_p < 0.05
        for method in alarms:
            alarms[method] += seen[method]
    return {method: count / tests for method, count in alarms.items()}


def test_looking_after_every_batch_fools_the_naive_test_and_not_the_sequential_one():
    rng = np.random.default_rng(7)

    rates = first_alarms(rng, tests=300, looks=50, batch=100, accuracy=0.9, weight=0.5)

    assert rates["always"] <= 0.05
    assert rates["naive"] > 0.15


def test_a_true_difference_is_found():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(100):
        right = rng.binomial(5000, [0.94, 0.90])
        difference = compare_scores(share(right[0], 5000), share(right[1], 5000), is_share=True)
        found += difference.always.low > 0

    assert found >= 95


def test_the_sample_size_is_that_of_the_textbook_and_gives_the_power():
    # J. L. Fleiss, Statistical Methods for Rates and Proportions: 0.60 against 0.70, 80 % power.
    assert sample_size(0.60, 0.10) == 356
    rows = sample_size(0.9, 0.02)
    rng = np.random.default_rng(5)
    right = rng.binomial(rows, [[0.9], [0.92]], size=(2, 4000))
    found = sum(
        compare_scores(share(new, rows), share(old, rows), is_share=True).fixed_p < 0.05
        for old, new in right.T
    )
    assert found / 4000 == pytest.approx(0.8, abs=0.03)


def test_the_sample_size_of_means():
    assert sample_size(0, 0.5, deviation=1.0) == math.ceil(
        2 * ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / 0.5) ** 2
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": 1.2, "effect": 0.1}, "baseline"),
        ({"baseline": 0.9, "effect": 0.0}, "effect is 0.0"),
        ({"baseline": 0.9, "effect": math.nan}, "effect is nan"),
        ({"baseline": 0.9, "effect": 0.1, "power": 1.0}, "power is 1.0"),
        ({"baseline": 0.9, "effect": 0.1, "alpha": 0}, "alpha is 0"),
    ],
)
def test_a_question_without_an_answer_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_size(**arguments)


def test_an_effect_beyond_one_is_meant_downwards():
    assert sample_size(0.95, 0.1) == sample_size(0.95, -0.1)
