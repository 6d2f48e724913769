"""Rows that were packed into one array, or into lists by column, mean what they meant before."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.signature import Signature

FRAMES = {
    "floats": pd.DataFrame({"a": [1.5, 2.5, np.nan], "b": [0.0, 1.0, 2.0]}),
    "whole": pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.0, 2.0]}),
    "mixed": pd.DataFrame({"a": ["x", "y", None], "b": [0.5, 1.0, 2.0]}),
}
ARRAYS = {
    "float64": np.array([[1.5, 2.0], [0.0, 1.0]]),
    "float32": np.array([[1.5, 2.0], [0.0, 1.0]], dtype=np.float32),
    "int64": np.array([[1, 2], [0, 1]]),
    "objects": np.array([["x", 2.0], ["y", 1.0]], dtype=object),
}
SIGNATURES = {name: Signature.learn(example=rows) for name, rows in (FRAMES | ARRAYS).items()}
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["x", "y", "z", "1.5", ""]),
    st.lists(st.integers(), max_size=2),
)
PLAIN = st.floats(-1e6, 1e6) | st.integers(-9, 9)


def said(signature, rows):
    try:
        return signature.validate(rows)
    except SignatureError as error:
        return str(error)


def same(one, other):
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("name", SIGNATURES)
@given(cells=st.lists(st.tuples(CELLS, CELLS), max_size=4) | st.lists(st.tuples(PLAIN, PLAIN)))
def test_packed_rows_are_validated_as_they_were(name, cells):
    signature = SIGNATURES[name]
    rows = [list(row) for row in cells]
    records = [dict(zip(signature.names, row, strict=True)) for row in cells]

    for form in (rows, records) if signature.kind == "frame" else (rows,):
        same(said(signature, form), said(signature, signature.packed(form)))


def test_rows_of_other_columns_are_left_as_they_are():
    rows = [{"a": 1.0, "c": 2.0}]

    assert SIGNATURES["floats"].packed(rows) is rows


def test_many_numbers_become_one_array():
    packed = SIGNATURES["floats"].packed([{"b": 2.0, "a": 1.0}] * 3)

    np.testing.assert_array_equal(packed, [[1.0, 2.0]] * 3)


def test_many_rows_of_mixed_cells_become_a_list_a_column():
    packed = SIGNATURES["mixed"].packed([{"b": 2.0, "a": "x"}, {"a": None, "b": 1.0}])

    assert packed == {"a": ["x", None], "b": [2.0, 1.0]}
