import pandas as pd
import pytest

from nbdeploy.exceptions import RequestError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.named_rows import (
    checked_instances,
    rows_of_columns,
    rows_of_records,
    rows_of_table,
)

FRAME = Signature.learn(example=pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}))
ARRAY = Signature.learn(example=[[1.5, 2.5], [3.5, 4.5]])
NARROW = Signature.learn(example=[[1.5], [3.5]])
TEXTS = Signature.learn(example=["a b", "c"])


@pytest.mark.parametrize(
    ("columns", "rows", "signature", "found"),
    [
        (["a", "b"], [[1.0, "x"]], FRAME, [[1.0, "x"]]),
        (["b", "a"], [["x", 1.0]], FRAME, [{"b": "x", "a": 1.0}]),
        (["b", "c"], [["x", 1.0]], FRAME, [{"b": "x", "c": 1.0}]),
        (["b", "a"], [[1.0, 2.0]], ARRAY, [[1.0, 2.0]]),
        (["1", "0"], [[1.0, 2.0]], ARRAY, [{"1": 1.0, "0": 2.0}]),
        (["x"], [["a b"], ["c"]], TEXTS, ["a b", "c"]),
        (["a", "b"], [], FRAME, []),
    ],
)
def test_a_table_becomes_rows(columns, rows, signature, found):
    assert rows_of_table(columns, rows, signature) == found


def test_a_table_with_ragged_rows_or_a_column_twice_is_refused():
    with pytest.raises(RequestError, match=r"Row 1 is \[2.0\]; expected a list of 2 cells"):
        rows_of_table(["a", "b"], [[1.0, "x"], [2.0]], FRAME)
    with pytest.raises(RequestError, match="Row 0 is 5"):
        rows_of_table(["a", "b"], [5], FRAME)
    with pytest.raises(RequestError, match="'a' comes more than once"):
        rows_of_table(["a", "a"], [], FRAME)


def test_records_are_taken_by_place_where_an_array_knows_no_names():
    assert rows_of_records([{"x": 1.0, "y": 2.0}], ARRAY) == [[1.0, 2.0]]
    known = [{"1": 1.0, "0": 2.0}]
    assert rows_of_records(known, ARRAY) is known
    mixed = [{"x": 1.0, "y": 2.0}, {"y": 1.0, "x": 2.0}]
    assert rows_of_records(mixed, ARRAY) is mixed
    assert rows_of_records([], ARRAY) == []


def test_columns_may_be_tensors_of_one_value_a_row():
    assert rows_of_columns({"a": [[1.0], [2.0]], "b": ["x", "y"]}, FRAME) == {
        "a": [1.0, 2.0],
        "b": ["x", "y"],
    }
    assert rows_of_columns({"x": [1.0], "y": [2.0]}, ARRAY) == {"0": [1.0], "1": [2.0]}
    assert rows_of_columns({"any": ["a b"]}, TEXTS) == ["a b"]
    assert rows_of_columns({"a": 1.0, "b": "x"}, FRAME) == {"a": 1.0, "b": "x"}


def test_single_values_are_no_row_of_a_model_that_takes_several():
    with pytest.raises(RequestError, match=r"2 single values; .* such as \[\[1.0, 2.0\]\]"):
        checked_instances([1.0, 2.0], ARRAY)
    with pytest.raises(RequestError, match="instances is 'text'"):
        checked_instances("text", ARRAY)
    assert checked_instances([1.0, 2.0], NARROW) == [[1.0], [2.0]]
    assert checked_instances(["a b"], TEXTS) == ["a b"]
    assert checked_instances([], ARRAY) == []
