import numpy as np
import pandas as pd
import pytest

from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.signature import Signature
from nbdeploy.scaling.question_frames import frame_of, rows_of

FRAME = pd.DataFrame(
    {
        "size": [1.5, np.nan, 0.1 + 0.2],
        "count": pd.array([1, 2, None], dtype="Int64"),
        "kind": pd.Categorical(["a", None, "b"]),
        "text": ["x", None, "ü"],
        "when": pd.to_datetime(["2024-01-01T00:00:00", "2024-01-02T03:04:05", None]),
        "is_new": [True, False, True],
    }
)


def sent(rows, signature):
    form, payload = frame_of(rows)
    return rows_of(form, memoryview(payload), signature)


def test_a_validated_dataframe_arrives_as_it_was():
    signature = Signature.learn(example=FRAME)
    rows = signature.validate(FRAME)

    pd.testing.assert_frame_equal(sent(rows, signature), rows)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_a_validated_array_arrives_as_it_was(dtype):
    array = np.array([[1, 2], [3, 4]], dtype=dtype)
    signature = Signature.learn(example=array)
    rows = signature.validate(array)

    again = sent(rows, signature)

    assert again.dtype == rows.dtype
    np.testing.assert_array_equal(again, rows)


def test_plain_cells_arrive_as_plain_cells():
    signature = Signature.learn(example=FRAME)

    assert sent([(1.5, 2, "a", None)], signature) == [[1.5, 2, "a", None]]


def test_columns_of_plain_cells_arrive_as_columns():
    signature = Signature.learn(example=FRAME)
    rows = CellColumns([np.array([0.1 + 0.2, np.nan]), ["x", None]])

    again = sent(rows, signature)

    assert isinstance(again, CellColumns)
    assert list(again) == [(0.1 + 0.2, "x"), (None, None)]
