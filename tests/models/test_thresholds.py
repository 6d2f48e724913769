"""How many thresholds are exceeded: exactly as many as a search finds, however they lie."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.models.compiled.outcomes import Unsupported
from nbdeploy.models.compiled.thresholds import Thresholds

FINITE = st.floats(allow_nan=False, allow_infinity=False)
CLOSE = st.floats(1.0, 1.0 + 1e-13)
THRESHOLDS = st.lists(st.one_of(FINITE, CLOSE, st.floats(-9, 9), st.just(np.inf)), max_size=40)


def exceeded_by_search(columns, rows):
    """Of the features that anything is compared with, or of the first if there is none."""
    compared = [place for place, column in enumerate(columns) if len(column)] or [0]
    counted = {place: np.unique(columns[place]) for place in compared}
    return [
        [
            len(each) + 1 if np.isnan(row[place]) else int(each.searchsorted(row[place]))
            for place, each in counted.items()
        ]
        for row in rows
    ]


@given(data=st.data(), columns=st.lists(THRESHOLDS, min_size=1, max_size=4))
def test_any_rows_are_placed_as_by_a_search(data, columns):
    around = [0.0, -0.0, *(each for column in columns for each in column)]
    around += [math.nextafter(each, side) for each in around for side in (-math.inf, math.inf)]
    cell = st.one_of(st.sampled_from(around), st.floats())
    row = st.lists(cell, min_size=len(columns), max_size=len(columns))
    rows = np.array(data.draw(st.lists(row, min_size=1, max_size=9)))
    features = np.repeat(np.arange(len(columns)), [len(column) for column in columns])
    values = np.array([each for column in columns for each in column], dtype=np.float64)

    thresholds = Thresholds(features, values, len(columns))

    assert thresholds.exceeded(rows).tolist() == exceeded_by_search(columns, rows)


@pytest.mark.parametrize("width", [1, 30, 2_000, 5_000])
def test_many_rows_are_placed_as_by_a_search(width):
    random = np.random.default_rng(0)
    features = random.integers(0, width, 4 * width)
    # Some features lie evenly, others mostly at one end.
    values = np.exp(random.normal(size=len(features)) * (features % 9))
    rows = random.choice(np.concatenate([values, [np.nan]]), size=(50, width))
    columns = [values[features == place] for place in range(width)]

    thresholds = Thresholds(features, values, width)

    assert thresholds.exceeded(rows).tolist() == exceeded_by_search(columns, rows)


def test_single_precision_is_compared_as_it_is():
    thresholds = Thresholds(np.array([0]), np.array([0.1]), 1)
    rounded_up = np.full((9, 1), 0.1, dtype=np.float32)

    assert thresholds.exceeded(rounded_up).tolist() == [[1]] * 9
    assert thresholds.exceeded(rounded_up[:1]).tolist() == [[1]]


@pytest.mark.parametrize("feature", [-2, 3])
def test_a_feature_that_does_not_exist_is_refused(feature):
    with pytest.raises(Unsupported, match="do not exist"):
        Thresholds(np.array([0, feature]), np.array([0.5, 1.5]), 3)


def test_a_threshold_is_located_among_those_of_its_feature():
    thresholds = Thresholds(np.array([5, 2, 5]), np.array([0.5, 1.5, -0.5]), 9)

    assert thresholds.counts == [1, 2]
    slots, places = thresholds.locate(np.array([5, 2, 5]), np.array([0.5, 1.5, -0.5]))
    assert slots.tolist() == [1, 0, 1]
    assert places.tolist() == [1, 0, 0]
