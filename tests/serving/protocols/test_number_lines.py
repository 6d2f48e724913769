"""CSV of numbers alone means what it means to the reader of any CSV."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import NbdeployError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols import tables
from nbdeploy.serving.protocols.number_lines import read_number_lines

FLOATS = Signature.learn(example=pd.DataFrame({"a": [1.5, np.nan], "b": [0.5, 2.0]}))
MIXED = Signature.learn(example=pd.DataFrame({"a": [1, 2], "b": [0.5, 2.0]}))
ARRAY = Signature.learn(example=np.array([[1.5, 2.0]]))
CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**53), 2**53).map(str),
    st.sampled_from(["", "007", ".5", "1.", "+3", "-", "1e400", "nan", "x", " 1", '"1"', "1e2"]),
)


def said(body, signature):
    try:
        return signature.validate(tables.read_table("text/csv", body, signature))
    except NbdeployError as error:
        return type(error).__name__


def by_pandas_alone(body, signature):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "read_number_lines", lambda *_: None)
        return said(body, signature)


@pytest.mark.parametrize("signature", [FLOATS, MIXED, ARRAY])
@given(
    lines=st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
    header=st.sampled_from(["", "a,b", "b,a", "a"]),
)
def test_numbers_are_read_as_pandas_reads_them(signature, lines, end, header):
    written = [header] * bool(header) + [",".join(line) for line in lines]
    body = (end.join(written) + end).encode()
    quick, slow = said(body, signature), by_pandas_alone(body, signature)

    if isinstance(quick, str) or isinstance(slow, str):
        assert str(quick) == str(slow)
    else:
        # To the last bit but one: pandas rounds what it reads a little otherwise.
        np.testing.assert_allclose(np.asarray(quick), np.asarray(slow), rtol=4e-16, atol=0)


def test_numbers_are_exact():
    rows = tables.read_table("text/csv", b"0.1,2.675\n1e-7,9007199254740993\n", MIXED)

    assert list(rows["b"]) == [2.675, 9007199254740993]
    assert list(rows["a"]) == [0.1, 1e-7]


@pytest.mark.parametrize(
    "lines", [b"", b"1,2\n\n3,4\n", b"1,2\r3,4\n", b"1,2\n3\n", b"1;2\n", b"1,2],[3,4"]
)
def test_anything_else_is_left_to_a_reader_of_csv(lines):
    assert read_number_lines(lines, 2) is None
