"""How many thresholds are exceeded: exactly as many as a search finds, however they lie."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.models.compiled.thresholds import Thresholds

FINITE = st.floats(allow_nan=False, allow_infinity=False)
CLOSE = st.floats(1.0, 1.0 + 1e-13)
THRESHOLDS = st.lists(st.one_of(FINITE, CLOSE, st.floats(-9, 9), st.just(np.inf)), max_size=40)


def exceeded_by_search(columns, rows):
    counted = [np.unique(column) for column in columns]
    return [
        [
            len(each) + 1 if np.isnan(cell) else int(each.searchsorted(cell))
            for each, cell in zip(counted, row, strict=True)
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


@pytest.mark.parametrize("width", [1, 30, 2_000])
def test_many_rows_are_placed_as_by_a_search(width):
    random = np.random.default_rng(0)
    features = random.integers(0, width, 40 * width)
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
