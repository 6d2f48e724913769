import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.monitoring.bounded_names import OTHER
from nbdeploy.monitoring.predictions import PredictionCounts, bounds_of


def counts_of(*values):
    counts = PredictionCounts()
    counts.add_all(values)
    return counts


labels = st.lists(st.sampled_from(["a", "b", 0, 1, True, "x" * 90, 2.5]), max_size=40)
numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=60)


@given(st.one_of(labels, numbers), st.one_of(labels, numbers), st.one_of(labels, numbers))
def test_merging_is_the_same_as_counting_everything_in_one(first, second, third):
    together = counts_of(*first, *second, *third)
    left = PredictionCounts.merged([counts_of(*first), counts_of(*second)])
    left.merge(counts_of(*third))

    assert left.rows == together.rows == len(first) + len(second) + len(third)
    if together.buckets is not None:
        assert left.buckets == together.buckets
        assert (left.minimum, left.maximum) == (together.minimum, together.maximum)
    elif len({*first, *second, *third}) <= 32:
        assert left == together


@given(st.one_of(labels, numbers))
def test_counts_survive_json(values):
    counts = counts_of(*values)
    again = PredictionCounts.from_dict(json.loads(json.dumps(counts.to_dict(), allow_nan=False)))
    assert again == counts
    assert again.report() == counts.report()
    json.dumps(counts.report(), allow_nan=False)


def test_labels_are_shares_the_commonest_first():
    counts = counts_of("no", "yes", "yes", "yes")
    assert list(counts.shares().items()) == [("yes", 0.75), ("no", 0.25)]
    assert counts_of().report() == {"rows": 0, "shares": {}}


def test_many_numbers_become_a_histogram_with_the_right_ends_and_mean():
    values = np.random.default_rng(0).normal(200, 60, 5_000)
    report = counts_of(*values.tolist()).report()

    assert report["rows"] == sum(count for _, _, count in report["histogram"]) == 5_000
    assert report["mean"] == pytest.approx(values.mean())
    assert (report["min"], report["max"]) == (values.min(), values.max())
    for low, high, count in report["histogram"]:
        inside = np.count_nonzero((values >= low) & (values < high))
        assert count == pytest.approx(inside, abs=2)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e9, -3.7e-3, 1e300])
def test_every_number_has_its_bucket(value):
    counts = counts_of(*(float(each) for each in range(40)))
    before = dict(counts.buckets)
    counts.add_all([value])
    (place,) = [place for place in counts.buckets if counts.buckets[place] != before.get(place)]
    low, high = bounds_of(place)
    assert low <= value
    assert value <= high or value == 1e300


def test_numbers_that_are_none_spoil_nothing():
    counts = counts_of(*(float(each) for each in range(40)), math.nan, math.inf)
    assert (counts.rows, counts.finite) == (42, 40)
    assert counts.report()["max"] == 39.0


def test_labels_beyond_the_limit_are_counted_together_and_long_ones_cut():
    counts = counts_of(*(f"label {number}" for number in range(100)), "x" * 500)
    assert len(counts.labels) <= 33
    assert counts.labels[OTHER] == 69
    assert max(map(len, counts.labels)) <= 100


def test_rows_of_several_outputs_are_not_counted():
    assert counts_of([1, 2], [3, 4]).rows == 0
