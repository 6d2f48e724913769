import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.models.distributions import learn_distribution
from nbdeploy.monitoring.drift_words import change_in_words, coarse, unseen_share

EVEN = [float(number) for number in range(1, 201)]


def told(cells, now, kind="float"):
    baseline = learn_distribution("x", cells, kind)
    numbers = [cell for cell in now if cell is not None]
    is_median_known = kind == "float" and bool(numbers)
    median = float(np.median(numbers)) if is_median_known else None
    return change_in_words(baseline, baseline.count(now), median=median)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (EVEN, "x: no change"),
        ([each + 50 for each in EVEN], "x: median 100.5 -> 150.5"),
        ([each * 100 for each in EVEN], "x: median 100.5 -> 10,050"),
        ([*EVEN, *[90.0] * 100], "x: 80.5 to 100.5 10 % -> 40 %"),
        ([*EVEN, *[-1.0, 900.0] * 40, 900.0], "x: above 200 0 % -> 15 %"),
        ([*EVEN, *[-1.0, 900.0] * 40, -1.0], "x: below 1 0 % -> 15 %"),
        ([*EVEN, *[None] * 200], "x: missing 0 % -> 50 %"),
        ([*EVEN[:-1], 201.0], "x: above 200 0 % -> < 1 %"),
    ],
)
def test_numbers_are_told_by_their_middle_or_else_where_they_are_more(now, words):
    assert told(EVEN, now) == words


def test_categories_are_told_by_the_one_that_changed_most():
    assert told(["a"] * 50 + ["b"] * 50, ["a"] * 30 + ["b"] * 70, "category") == "x: b 50 % -> 70 %"
    assert told(["a"] * 50, ["a", "new"], "category") == "x: unseen values 0 % -> 50 %"
    assert told([True] * 9 + [False], [True, False], "bool") == "x: false 10 % -> 50 %"


def test_where_not_all_categories_are_known_others_are_not_called_unseen():
    cells = ["a"] * 60 + [f"once {number}" for number in range(20)]
    baseline = learn_distribution("x", cells, "string")
    now = baseline.count(["a", "b", "c", "d"])

    assert change_in_words(baseline, now) == "x: other values 25 % -> 75 %"
    assert unseen_share(baseline, now) is None


def test_a_column_that_was_always_missing_may_be_present_now():
    assert told([None] * 40, [1.0] * 10 + [None] * 30) == "x: present 0 % -> 25 %"


def test_dates_and_lengths_of_texts_have_their_own_words():
    days = pd.Series(pd.date_range("2007-01-01", periods=100))
    date = learn_distribution("day", days, "datetime")
    texts = [f"{'word ' * 20}{number:03}" for number in range(100)]
    text = learn_distribution("note", texts, "string")

    later = date.count(pd.Series(pd.date_range("2009-01-01", periods=10)))
    assert change_in_words(date, later) == "day: above 2007-04-10 0 % -> 100 %"
    assert change_in_words(text, text.count(["short"] * 9), median=5.0) == (
        "note: median length 103 -> 5"
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_joined_places_hold_as_many_rows_in_at_most_ten_bins(cells):
    baseline = learn_distribution("x", cells, "float")
    counts = coarse(baseline, np.array(baseline.counts))

    assert counts.sum() == len(cells)
    assert len(counts) <= 13
    assert change_in_words(baseline, np.array(baseline.counts)) == "x: no change"
