"""Rows of numbers become arrays: exactly, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.models.matrices import number_matrix, packed

WHOLE = st.integers(-(2**70), 2**70)
NUMBERS = st.one_of(st.floats(), WHOLE)


@given(st.lists(NUMBERS, min_size=1))
def test_numbers_are_packed_as_numpy_does(numbers):
    found = packed(numbers, np.dtype(np.float64))
    assert found.tobytes() == np.array(numbers, dtype=np.float64).tobytes()


@given(st.lists(WHOLE, min_size=1))
def test_whole_numbers_are_packed_or_refused(numbers):
    found = packed(numbers, np.dtype(np.int64))
    if all(-(2**63) <= number < 2**63 for number in numbers):
        assert found.tolist() == numbers
    else:
        assert found is None


@pytest.mark.parametrize("cell", [None, "1", [1.0], 10**400])
def test_what_is_no_number_that_fits_is_not_packed(cell):
    assert packed([1.0, cell], np.dtype(np.float64)) is None


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1), st.sampled_from("CF"))
def test_a_matrix_holds_the_very_numbers_or_is_not_made(rows, order):
    found = number_matrix(rows, order=order)
    cells = [cell for row in rows for cell in row]
    if all(type(cell) is int for cell in cells):
        fits = all(-(2**63) <= cell < 2**63 for cell in cells)
    else:
        fits = bool(np.isfinite(np.array(cells, dtype=np.float64)).all())
    assert (found is not None) == fits
    if found is not None:
        assert found.tolist() == np.array(rows, dtype=found.dtype).tolist()
        assert found.flags[f"{order}_CONTIGUOUS"]


@pytest.mark.parametrize("cell", [True, None, "1", np.float64(1), 10**400])
def test_a_cell_that_is_no_plain_number_makes_no_matrix(cell):
    assert number_matrix([[1.0, 2.0], [3.0, cell]]) is None


@given(
    st.lists(
        st.lists(st.one_of(st.floats(), st.sampled_from([0.0, 1.0]), WHOLE, st.booleans())),
        min_size=1,
    ).filter(lambda rows: len(set(map(len, rows))) == 1)
)
def test_cells_of_json_are_taken_as_any_cells_are(rows):
    found, wanted = number_matrix(rows, of_json=True), number_matrix(rows)

    assert (found is None) == (wanted is None)
    if wanted is not None:
        assert found.dtype == wanted.dtype
        assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize("others", [0.5, 1.0], ids=["among others", "among ones"])
@pytest.mark.parametrize("cell", [True, False, None, "1", [1.0], 10**400])
def test_a_cell_of_json_that_is_no_number_is_found(cell, others):
    rows = [[others] * 3 for _ in range(20)]
    assert number_matrix(rows, of_json=True) is not None
    rows[7][1] = cell

    assert number_matrix(rows, of_json=True) is None
