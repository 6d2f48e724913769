from itertools import permutations
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from nbdeploy.monitoring.drift_measures import (
    chi_square,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    stability_index,
)

counts = st.lists(st.integers(0, 2000), min_size=1, max_size=12).map(np.array)
pairs = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        *[st.lists(st.integers(0, 2000), min_size=size, max_size=size).map(np.array)] * 2
    )
)


@given(pairs)
def test_the_index_is_never_below_zero_and_the_same_from_both_sides(pair):
    one, other = pair

    assert stability_index(one, other) >= 0
    assert stability_index(one, other) == pytest.approx(stability_index(other, one))


@given(counts, st.integers(1, 50))
def test_equal_shares_are_at_no_distance_whatever_the_number_of_rows(one, times):
    assert stability_index(one, one * times) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(one, one * times) == pytest.approx(0, abs=1e-7)
    assert kolmogorov_smirnov(one, one * times) == pytest.approx(1)
    assert chi_square(one, one * times) == pytest.approx(1)


@given(pairs)
def test_the_distance_is_symmetric_and_between_zero_and_one(pair):
    one, other = pair
    distance = jensen_shannon(one, other)

    assert 0 <= distance <= 1
    assert distance == pytest.approx(jensen_shannon(other, one), abs=1e-12)
    if one.sum() and other.sum():
        assert distance == pytest.approx(jensenshannon(one, other, base=2), abs=1e-6)


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_categories_does_not_matter(pair, random):
    one, other = pair
    order = list(range(len(one)))
    random.shuffle(order)

    assert stability_index(one[order], other[order]) == pytest.approx(stability_index(one, other))
    assert jensen_shannon(one[order], other[order]) == pytest.approx(jensen_shannon(one, other))


@given(pairs)
def test_every_p_value_is_one(pair):
    one, other = pair

    for test in (kolmogorov_smirnov, chi_square):
        assert 0 <= test(one, other) <= 1
        assert test(one, other) == pytest.approx(test(other, one), abs=1e-9)


def test_the_index_is_the_textbook_sum():
    before, after = np.array([20, 30, 50]), np.array([30, 30, 40])
    terms = [0.1 * np.log(0.3 / 0.2), 0.0, -0.1 * np.log(0.4 / 0.5)]

    assert stability_index(before, after) == pytest.approx(sum(terms))


def test_an_empty_place_counts_as_half_a_row():
    assert stability_index(np.array([100, 0]), np.array([90, 10])) == pytest.approx(
        -0.1 * np.log(0.9 / 1.0) + (0.1 - 0.005) * np.log(0.1 / 0.005)
    )


def test_the_chi_square_test_is_scipys():
    table = np.array([[40, 60, 25], [30, 20, 45]])

    assert chi_square(*table) == pytest.approx(chi2_contingency(table, correction=False).pvalue)


def test_rare_categories_are_joined_until_five_rows_are_expected():
    before, after = np.array([500, 440, 30, 15, 15]), np.array([50, 38, 1, 5, 6])
    joined = np.array([[500, 440, 60], [50, 38, 12]])

    assert chi_square(before, after) == pytest.approx(
        chi2_contingency(joined, correction=False).pvalue
    )


def test_where_few_rows_are_expected_even_together_they_have_fishers_exact_test():
    before, after = np.array([500, 500, 0]), np.array([48, 49, 3])
    rare = fisher_exact([[0, 1000], [3, 97]]).pvalue

    assert chi_square(before, after) == pytest.approx(2 * rare)
    assert chi_square(before[1:], after[1:]) == pytest.approx(
        fisher_exact([[0, 500], [3, 49]]).pvalue
    )


def test_which_categories_are_joined_depends_on_their_totals_alone():
    for order in permutations(range(4)):
        chosen = list(order)
        before, after = np.array([300, 40, 9, 6])[chosen], np.array([90, 30, 2, 1])[chosen]

        assert chi_square(before, after) == pytest.approx(
            chi_square(np.array([300, 40, 9, 6]), np.array([90, 30, 2, 1]))
        )


def test_the_kolmogorov_smirnov_test_is_scipys_where_every_value_has_its_place():
    generator = np.random.default_rng(7)
    one, other = generator.integers(0, 8, 400), generator.integers(0, 9, 300)

    assert kolmogorov_smirnov(
        np.bincount(one, minlength=9), np.bincount(other, minlength=9)
    ) == pytest.approx(ks_2samp(one, other, method="asymp").pvalue, rel=0.15)


def test_holm_multiplies_the_smallest_by_all_and_keeps_the_order():
    assert holm([0.04, 0.001, 0.03, 0.8]) == [0.09, 0.004, 0.09, 0.8]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_corrected_p_value_is_no_smaller_and_in_the_same_order(p_values):
    corrected = holm(p_values)

    assert all(p <= after <= 1 for p, after in zip(p_values, corrected, strict=True))
    assert sorted(range(len(p_values)), key=lambda at: (p_values[at], at)) == sorted(
        range(len(p_values)), key=lambda at: (corrected[at], p_values[at], at)
    )


def test_the_p_values_of_categories_are_even_where_nothing_changed():
    generator = np.random.default_rng(11)
    shares = [0.4, 0.3, 0.2, 0.1]
    p_values = [
        chi_square(generator.multinomial(500, shares), generator.multinomial(200, shares))
        for _ in range(1000)
    ]

    assert fmean(p_values) == pytest.approx(0.5, abs=0.03)
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.03)
