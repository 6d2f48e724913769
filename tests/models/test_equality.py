"""What "equal" means."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.models.equality import assert_equal, explain_difference, is_equal

NUMBERS = st.lists(st.floats(allow_infinity=False), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ([0, 1, 2], np.array([0, 1, 2], dtype=np.int32)),
        (np.array([0, 1], dtype=np.int64), np.array([0, 1], dtype=np.int32)),
        (["a", "b"], np.array(["a", "b"])),
        (["a", "b"], np.array(["a", "b"], dtype=object)),
        (["a", None], pd.Series(["a", np.nan])),
        ([True, False], np.array([True, False])),
        ([1.5, None], np.array([1.5, np.nan])),
        ([None, None], np.array([np.nan, np.nan])),
        ([[0.5, 0.5]], np.array([[0.5, 0.5]])),
        ([[[0.5], [0.1]], [[0.5], [0.9]]], [np.array([[0.5], [0.1]]), np.array([[0.5], [0.9]])]),
        ([1.0, 2.0], pd.Series([1.0, 2.0], index=["x", "y"])),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1.0]}, index=[7])),
        ({"mean": [1.0], "sd": [2]}, {"mean": np.array([1.0]), "sd": np.array([2])}),
        (np.array([0.1], dtype=np.float64), np.array([0.1], dtype=np.float32)),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (np.float64(1.0), 1.0),
        ((1, 2), [1, 2]),
        ([], np.array([])),
        (None, float("nan")),
        (np.array(3), 3),
        ([float("inf")], np.array([np.inf])),
    ],
)
def test_the_same_answer_in_another_container_is_equal(actual, expected):
    assert explain_difference(actual, expected) is None
    assert is_equal(actual, expected, same_batch=True)
    assert_equal(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected", "said"),
    [
        (["dog"], ["cat"], "at [0]: 'dog' is not 'cat'"),
        ([1, 2, 3], [1, 2], "shape (3,) is not (2,)"),
        (["a", "b"], ["a"], "2 items are not 1 items"),
        (np.ones((2, 3)), np.ones((3, 2)), "shape (2, 3) is not (3, 2)"),
        (1.0, [1.0], "1.0 is not"),
        (["1"], [1], "'1' is not 1"),
        ([True], [1], "True is not 1"),
        ([1], [True], "1 is not True"),
        ([None], ["a"], "None is not 'a'"),
        ([1.0, 2.0, 3.0], [1.0, 2.5, 3.5], "at [1]: 2.0 is not 2.5 (2 of 3 differ)"),
        ([[0.1, 0.9]], np.array([[0.1, 0.8]]), "at [0][1]: 0.9 is not 0.8"),
        ([None, 1.0], np.array([0.0, 1.0]), "at [0]: None is not 0.0"),
        ([1.0000000001], [1], "is not 1"),
        ([np.inf], [-np.inf], "inf is not -inf"),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), "at columns[0]: 'a' is not 'b'"),
        ({"a": 1}, {"b": 1}, "['a'] is not ['b']"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "at ['a'][1]: 2 is not 3"),
    ],
)
def test_a_difference_is_explained_with_its_place(actual, expected, said):
    assert said in explain_difference(actual, expected)
    assert not is_equal(actual, expected)
    with pytest.raises(AssertionError, match=r"is not|are not"):
        assert_equal(actual, expected)


def test_the_last_bits_may_differ_only_between_batches():
    one, other = np.array([0.1]), np.array([np.nextafter(0.1, 1)])
    assert is_equal(one, other)
    assert not is_equal(one, other, same_batch=True)
    assert not is_equal(one, one * (1 + 1e-8))
    assert is_equal([0.0], [1e-13])
    assert not is_equal([0.0], [1e-11])
    assert not is_equal([0.0], [-0.0], same_batch=True)


@given(NUMBERS)
def test_what_went_through_json_is_equal_bit_by_bit(numbers):
    written = json.loads(json.dumps([None if np.isnan(number) else number for number in numbers]))
    assert_equal(written, np.array(numbers), same_batch=True)


@given(NUMBERS, st.data())
def test_any_number_that_changes_is_found(numbers, data):
    place = data.draw(st.integers(0, len(numbers) - 1))
    changed = list(numbers)
    changed[place] = 1.0 if np.isnan(numbers[place]) else numbers[place] * 1.5 + 1
    if changed[place] == numbers[place] or not np.isfinite(changed[place]):
        return
    for expected in (np.array(numbers), numbers):
        assert f"[{place}]" in explain_difference(changed, expected)


@given(st.lists(st.one_of(st.text(max_size=3), st.booleans(), st.integers()), max_size=10))
def test_labels_are_equal_to_themselves_alone(labels):
    assert_equal(labels, list(labels), same_batch=True)
    assert not is_equal(labels, [*labels, "one more"])
