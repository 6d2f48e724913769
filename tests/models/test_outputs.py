import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.sparse import csr_matrix

from nbdeploy.exceptions import PredictionError
from nbdeploy.models.outputs import as_rows


@given(
    npst.arrays(
        st.sampled_from(["f4", "f8", "i1", "i8", "u8", "?"]),
        st.tuples(st.integers(1, 5), st.integers(1, 3)),
    )
)
def test_an_array_becomes_one_exact_item_a_row(array):
    rows = as_rows(array, rows=len(array))

    assert np.array_equal(
        np.array(rows, dtype=array.dtype), array, equal_nan=array.dtype.kind == "f"
    )


def test_strings_booleans_and_dates_become_plain_values():
    assert as_rows(np.array(["a", "b"]), rows=2) == ["a", "b"]
    assert as_rows(np.array([True]), rows=1) == [True]
    assert as_rows(np.array(["2024-05-01"], dtype="datetime64[D]"), rows=1) == ["2024-05-01"]


def test_frames_series_lists_and_sparse_matrices_are_rows_too():
    assert as_rows(pd.DataFrame({"a": [1, 2], "b": [3, 4]}), rows=2) == [[1, 3], [2, 4]]
    assert as_rows(pd.Series(["x"]), rows=1) == ["x"]
    assert as_rows([np.float32(0.5), 1], rows=2) == [0.5, 1]
    assert as_rows(csr_matrix([[0, 1], [2, 0]]), rows=2) == [[0, 1], [2, 0]]


def test_the_outputs_of_a_multi_output_classifier_are_joined_by_row():
    proba = [np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[0.1, 0.2, 0.7], [0, 0, 1]])]

    assert as_rows(proba, rows=2) == [[[0.2, 0.8], [0.1, 0.2, 0.7]], [[1.0, 0.0], [0, 0, 1]]]


@pytest.mark.parametrize(
    "output", [np.array([1, 2]), [1], np.float64(3.0), "text", None, np.array(5)]
)
def test_a_wrong_number_of_answers_is_an_error(output):
    with pytest.raises(PredictionError, match="asked for 3 rows"):
        as_rows(output, rows=3)
