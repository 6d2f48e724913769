import json
import math

import numpy as np
import pandas as pd
import pytest

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.forms import form_of


def sent(rows, **options):
    return json.loads(form_of(rows, **options).body)["features"]


def restored(rows, output, labels=None):
    return form_of(rows).restore(output, lambda: labels)


FRAME = pd.DataFrame({"n": [1.5, np.nan], "s": ["a", None], "b": [True, False]}, index=["x", "y"])


def test_a_frame_travels_by_column_with_null_for_missing():
    assert sent(FRAME) == {"n": [1.5, None], "s": ["a", None], "b": [True, False]}


def test_dates_categories_and_nullable_integers_travel_as_plain_values():
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2024-05-01", None]),
            "size": pd.Categorical(["S", None]),
            "count": pd.array([3, None], dtype="Int64"),
        }
    )

    assert sent(frame) == {
        "when": ["2024-05-01T00:00:00", None],
        "size": ["S", None],
        "count": [3, None],
    }


def test_a_frame_gets_a_series_with_its_index():
    answer = restored(FRAME, ["yes", "no"])

    assert answer.to_dict() == {"x": "yes", "y": "no"}


def test_probabilities_of_a_frame_are_a_frame_with_the_classes_as_columns():
    answer = restored(FRAME, [[0.25, 0.75], [1.0, 0.0]], ["no", "yes"])

    assert answer.loc["x", "yes"] == 0.75
    assert list(answer.columns) == ["no", "yes"]


def test_columns_without_known_labels_are_numbered():
    assert list(restored(FRAME, [[1, 2], [3, 4]]).columns) == [0, 1]


def test_several_outputs_are_a_frame_or_an_array_each():
    output = [[[0.2, 0.8], [1.0]], [[0.4, 0.6], [1.0]]]

    frames = restored(FRAME, output, [["a", "b"], ["c"]])
    arrays = restored(np.zeros((2, 1)), output)

    assert [list(frame.columns) for frame in frames] == [["a", "b"], ["c"]]
    assert [array.tolist() for array in arrays] == [[[0.2, 0.8], [0.4, 0.6]], [[1.0], [1.0]]]


def test_an_array_gets_an_array_and_null_is_nan_among_numbers():
    assert restored(np.zeros((2, 2)), [1, 0]).tolist() == [1, 0]
    assert restored(np.zeros((2, 2)), [0.5, None])[1] is not None
    assert math.isnan(restored(np.zeros((2, 2)), [0.5, None])[1])


def test_a_list_gets_a_list_and_one_dict_one_value():
    assert restored([[1, 2]], ["yes"]) == ["yes"]
    assert restored({"a": 1}, ["yes"]) == "yes"
    assert restored({"a": [1, 2]}, ["yes", "no"]) == ["yes", "no"]


def test_a_series_is_one_row_unless_a_row_is_a_text():
    assert sent(pd.Series({"a": 1.5, "b": "x"})) == {"a": 1.5, "b": "x"}
    assert sent(pd.Series(["good", "bad"]), is_text=lambda: True) == ["good", "bad"]


def test_infinity_is_sent_as_itself_and_not_as_missing():
    for rows in (
        [[math.inf]],
        np.array([[np.inf]]),
        pd.DataFrame({"a": [np.inf]}),
        {"a": -math.inf},
    ):
        assert b"Infinity" in form_of(rows).body


def test_numpy_values_inside_lists_and_dicts_travel():
    assert sent([[np.float64(1.5), np.int64(2)]]) == [[1.5, 2]]
    assert sent({"a": np.array([1, 2]), "b": pd.Series(["x", None])}) == {
        "a": [1, 2],
        "b": ["x", None],
    }


def test_float32_travels_exactly():
    array = np.array([[0.1]], dtype=np.float32)

    assert sent(array) == [[float(array[0, 0])]]


@pytest.mark.parametrize("rows", [object(), 5, b"bytes", [[object()]], [{1, 2}]])
def test_what_cannot_be_sent_is_told(rows):
    with pytest.raises(SignatureError, match="cannot be sent"):
        form_of(rows)


def test_two_columns_of_one_name_are_told():
    with pytest.raises(SignatureError, match="two columns named 'a'"):
        form_of(pd.DataFrame([[1, 2]], columns=["a", "a"]))
