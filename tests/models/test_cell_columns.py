"""Columns that stand for rows: to everybody who takes rows they are the same rows."""

import numpy as np
import pandas as pd
import pytest

from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.quick_rows import QUICK_ROWS, QuickRows
from nbdeploy.models.signature import Signature

ROWS = CellColumns([np.array([1.5, np.nan, 3.5]), ["a", None, "c"], [1, 2, 3]])


def test_they_are_read_as_rows_of_plain_cells():
    first, _, last = ROWS

    assert len(ROWS) == 3
    assert first == ROWS[0] == (1.5, "a", 1)
    assert last == ROWS[-1] == (3.5, "c", 3)
    assert {type(cell) for cell in ROWS[0]} == {float, str, int}


def test_a_part_of_the_rows_has_all_columns():
    assert list(ROWS[::2]) == [(1.5, "a", 1), (3.5, "c", 3)]
    assert isinstance(ROWS[:1], CellColumns)


def test_a_part_holds_the_memory_of_itself_alone():
    many = CellColumns([np.zeros(100_000), ["a"] * 100_000])

    (numbers, _) = many[::1000].columns

    assert numbers.base is None
    assert numbers.nbytes == 800


def test_rows_of_several_requests_keep_their_order():
    # One caller sent whole numbers, or rows that came from a replica as JSON.
    other = CellColumns([[4, None], ["d", "e"], [4, 5]])
    joined = CellColumns.joined([ROWS[:1], other, ROWS[2:]])

    assert list(joined) == [(1.5, "a", 1), (4, "d", 4), (None, "e", 5), (3.5, "c", 3)]
    assert isinstance(CellColumns.joined([ROWS, ROWS]).columns[0], np.ndarray)


def test_numbers_become_an_array_with_nan_where_one_is_missing():
    numbers = CellColumns([np.array([1.5, np.nan]), [None, 2]])

    np.testing.assert_array_equal(
        np.array(numbers, dtype=np.float64), [[1.5, np.nan], [np.nan, 2.0]]
    )


def test_they_never_pretend_to_be_the_memory_of_an_array():
    with pytest.raises(ValueError, match="only as a copy"):
        np.asarray(ROWS, copy=False)


def test_a_signature_makes_of_them_what_it_makes_of_the_rows():
    frame = pd.DataFrame({"size": [1.5, None, 2.5], "kind": ["a", None, "b"], "count": [1, 2, 3]})
    signature = Signature.learn(example=frame)
    records = [dict(zip(frame, row, strict=True)) for row in ROWS] * QUICK_ROWS
    taken = QuickRows(signature, most_rows=len(records)).take(records)

    assert isinstance(taken, CellColumns)
    pd.testing.assert_frame_equal(signature.validate(taken), signature.validate(records))
