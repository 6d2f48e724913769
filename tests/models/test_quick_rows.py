"""Rows that are taken as they are: exactly those that a closer look would not change."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.quick_rows import QUICK_ROWS, QuickRows
from nbdeploy.models.signature import Signature

MANY = QUICK_ROWS + 1
FRAME = pd.DataFrame(
    {
        "size": [1.5, 2.5, 0.5],
        "weight": [1.5, None, 0.5],
        "count": [1, 2, 3],
        "small": np.array([1, 2, 3], dtype="int8"),
        "ringed": [True, False, True],
        "place": ["here", "there", None],
        "kind": pd.Categorical(["a", "b", "a"]),
    }
)
SIGNATURE = Signature.learn(example=FRAME)
PLAIN = {
    "size": 1.0,
    "weight": None,
    "count": 7,
    "small": 7,
    "ringed": False,
    "place": "nowhere",
    "kind": "b",
}
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.just(2**53 + 1),
    st.floats(),
    st.text(max_size=2),
    st.sampled_from(["a", "here", "1.5", "\ud800"]),
)


def plainly(rows):
    """Rows as lists of cells, with ``None`` for NaN: of numbers both say that there is none."""
    return [[None if cell != cell else cell for cell in row] for row in rows]  # noqa: PLR0124 -- only NaN is not itself


def columns(change=(), count=MANY):
    """Many plain rows by column, some of their cells changed."""
    table = {name: [cell] * count for name, cell in PLAIN.items()}
    for name, place, cell in change:
        table[name][place] = cell
    return table


@given(
    change=st.lists(
        st.tuples(st.sampled_from(sorted(PLAIN)), st.integers(0, MANY - 1), CELLS), max_size=3
    ),
    as_records=st.booleans(),
)
def test_many_rows_are_taken_only_if_a_closer_look_finds_the_same(change, as_records):
    table = columns(change)
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    taken = QuickRows(SIGNATURE, most_rows=1_000).take(rows if as_records else table)

    if taken is not None:
        # Without the explanation of pytest, which takes minutes for so many cells.
        same = plainly(taken) == plainly(row.values() for row in rows)
        assert same
        pd.testing.assert_frame_equal(SIGNATURE.validate(taken), SIGNATURE.validate(table))


@pytest.mark.parametrize("name", sorted(PLAIN))
@pytest.mark.parametrize("cell", [[1], "\ud800", float("inf"), b"bytes"])
def test_a_cell_that_fits_nowhere_is_left_to_the_closer_look(name, cell):
    table = columns([(name, 3, cell)])
    with pytest.raises(SignatureError):
        SIGNATURE.validate(table)

    assert QuickRows(SIGNATURE, most_rows=1_000).take(table) is None


def test_plain_rows_are_taken_up_to_as_many_as_are_wanted():
    quick = QuickRows(SIGNATURE, most_rows=MANY)

    assert plainly(quick.take(columns())) == [list(PLAIN.values())] * MANY
    assert quick.take(columns(count=MANY + 1)) is None
    assert QuickRows(SIGNATURE).take(columns()) is None


@pytest.mark.parametrize("count", [1, 33, QUICK_ROWS])
def test_few_rows_are_taken_whether_they_come_as_records_or_as_columns(count):
    quick = QuickRows(SIGNATURE)
    wanted = [list(PLAIN.values())] * count

    taken = quick.take([PLAIN] * count)

    # Requests of one row are lists of rows too: they share a call.
    assert type(taken) is list
    assert plainly(taken) == wanted
    assert plainly(quick.take(columns(count=count))) == wanted


def test_columns_may_be_arrays():
    table = columns()
    table["size"] = np.ones(MANY)

    taken = QuickRows(SIGNATURE, most_rows=MANY).take(table)

    assert plainly(taken) == [list(PLAIN.values())] * MANY


@pytest.mark.parametrize("cells", [pd.Series([1.5] * MANY), np.ma.masked_equal([1.5] * MANY, 0)])
def test_other_containers_are_left_to_the_closer_look(cells):
    quick = QuickRows(SIGNATURE, most_rows=MANY)

    assert quick.take(columns() | {"weight": cells}) is None


def test_numbers_alone_are_left_to_what_makes_one_array_of_them():
    signature = Signature.learn(example=FRAME[["size", "weight"]])

    assert QuickRows(signature, most_rows=1_000).take([[1.0, 2.0]] * MANY) is None
    assert QuickRows(signature, most_rows=1_000).take([[1.0, 2.0]]) == [[1.0, 2.0]]


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=3))
def test_few_rows_are_taken_only_if_a_closer_look_finds_the_same(rows):
    signature = Signature.learn(example=FRAME[["weight", "place"]])
    taken = QuickRows(signature).take([list(row) for row in rows])

    if taken is not None:
        pd.testing.assert_frame_equal(
            signature.validate(taken), signature.validate([list(row) for row in rows])
        )
