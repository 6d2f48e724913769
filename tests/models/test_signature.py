"""What a signature takes and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.signature import Signature


@pytest.fixture
def flowers():
    return pd.DataFrame(
        {
            "petal_width": [0.2, 1.3, 2.5, 0.4],
            "petals": [5, 5, 6, 5],
            "wild": [True, False, True, True],
            "colour": ["red", "blue", "red", "blue"],
            "size": pd.Categorical(["small", "large", "small", "small"]),
            "picked": pd.to_datetime(["2024-05-01", "2024-05-02", "2024-06-01", "2024-06-02"]),
        }
    )


@pytest.fixture
def signature(flowers):
    return Signature.learn(example=flowers)


@pytest.fixture
def row():
    return {
        "petal_width": 1.5,
        "petals": 5,
        "wild": True,
        "colour": "green",
        "size": "large",
        "picked": "2025-01-31",
    }


def error_of(signature, rows):
    with pytest.raises(SignatureError) as caught:
        signature.validate(rows)
    return caught.value


# --- refused cells ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("petal_width", "5.1", "'5.1' is text; send the number 5.1 without quotes"),
        ("petal_width", "wide", "expected a number, got 'wide'"),
        ("petal_width", True, "expected a number, got True; send 1 if you mean that"),
        ("petal_width", [1.0], "expected a number, got [1.0]"),
        ("petal_width", {"a": 1}, "expected a number, got {'a': 1}"),
        ("petal_width", float("inf"), "infinity is never taken"),
        ("petal_width", -np.inf, "infinity is never taken"),
        ("petal_width", 10**400, "too large for a number"),
        ("petal_width", None, "the value is missing (null), expected a number"),
        ("petal_width", float("nan"), "the value is missing (nan)"),
        ("petals", 5.5, "5.5 is not a whole number"),
        ("petals", 2**63, "beyond the range of int64"),
        ("petals", 1e19, "beyond the range of int64"),
        ("petals", "5", "send the number 5 without quotes"),
        ("petals", False, "expected a whole number, got False"),
        ("petals", pd.NA, "the value is missing"),
        ("wild", 2, "expected true or false, got 2"),
        ("wild", 1.0, "expected true or false, got 1.0"),
        ("wild", "true", "'true' is text; send true without quotes"),
        ("colour", 7, "expected text, got the number 7; send it in quotes: '7'"),
        ("colour", True, "expected text, got True"),
        ("size", "smal", "did you mean 'small'?"),
        ("size", 3, "3 is no known category; expected one of 'large' or 'small'"),
        ("picked", "May 5, 2024", "expected a date or time as ISO text"),
        ("picked", "2024-02-30", "expected a date or time as ISO text"),
        ("picked", "now", "expected a date or time as ISO text"),
        ("picked", 1714521600, "expected a date or time as ISO text"),
        (
            "picked",
            "2024-05-01T00:00:00Z",
            "has a time zone; the model was fitted on times without",
        ),
        ("picked", pd.NaT, "the value is missing"),
    ],
)
def test_an_unfit_cell_is_refused_with_its_place_and_a_reason(signature, row, column, value, said):
    error = error_of(signature, [row, {**row, column: value}])
    assert str(error).startswith(f"row 1, column '{column}': ")
    assert said in str(error)
    assert (error.row, error.column) == (1, column)
    assert error.expected
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("column", "value", "suggestion"),
    [("size", "lrge", "large"), ("petals", " 5 ", "5"), ("wild", "False", "false")],
)
def test_an_error_carries_what_was_probably_meant(signature, row, column, value, suggestion):
    error = error_of(signature, {**row, column: value})
    assert error.suggestion == suggestion
    assert error.value == repr(value)


def test_the_first_problem_is_named_row_by_row_and_the_others_are_counted(signature, row):
    rows = [row, {**row, "size": "none"}, {**row, "petal_width": "x"}, {**row, "petals": "y"}]
    error = error_of(signature, rows)
    assert (error.row, error.column) == (1, "size")
    assert "(2 more cells of the request do not fit.)" in str(error)


def test_a_long_or_deep_value_is_shortened_in_the_error(signature, row):
    deep = []
    for _ in range(900):
        deep = [deep]
    for value in ("x" * 1_000_000, deep, list(range(100_000)), 10**5000):
        error = error_of(signature, {**row, "petals": value})
        assert len(str(error)) < 300
        assert len(error.value) <= 40


def test_many_unknown_categories_do_not_keep_the_server_busy():
    names = [f"category number {number}" for number in range(20_000)]
    frame = pd.DataFrame({"a": pd.Categorical(names)})
    signature = Signature.learn(example=frame)
    error = error_of(signature, [[name + "x"] for name in names])
    assert error.suggestion == "category number 0"
    assert "19999 more cells" in str(error)


# --- refused rows ----------------------------------------------------------------------------


def test_a_misspelled_column_is_named_with_the_right_one(signature, row):
    row["petal_widht"] = row.pop("petal_width")
    error = error_of(signature, [row])
    assert "'petal_widht'" in str(error)
    assert "did you mean 'petal_width'?" in str(error)
    assert (error.row, error.column, error.suggestion) == (0, "petal_widht", "petal_width")


def test_a_missing_column_is_named(signature, row):
    del row["colour"]
    error = error_of(signature, [row])
    assert "no column 'colour'" in str(error)
    assert error.column == "colour"


def test_columns_too_many_are_named_with_the_way_to_drop_them(signature, row, flowers):
    error = error_of(signature, {**row, "species": "rose"})
    assert "frame.drop(columns=['species'])" in str(error)
    assert error.column == "species"
    error = error_of(signature, flowers.assign(species="rose"))
    assert error.row is None


def test_a_frame_with_a_column_twice_is_refused(signature, flowers):
    twice = pd.concat([flowers, flowers[["petals"]]], axis=1)
    assert "'petals' more than once" in str(error_of(signature, twice))


@pytest.mark.parametrize("rows", [[], (), {}, np.empty((0, 6)), pd.DataFrame(), {"petals": []}])
def test_no_rows_are_refused(signature, rows):
    error_of(signature, rows)


def test_a_frame_of_no_rows_is_refused_as_such(signature, flowers):
    assert "no rows" in str(error_of(signature, flowers.head(0)))
    columns = {name: [] for name in flowers.columns}
    assert "no rows" in str(error_of(signature, columns))


@pytest.mark.parametrize("rows", ["text", b"bytes", 5, None, 1.5, object(), {1, 2}, np.float64(3)])
def test_what_is_no_rows_at_all_is_refused(signature, rows):
    assert "expected rows" in str(error_of(signature, rows))


def test_ragged_rows_are_refused_naming_the_row():
    signature = Signature.learn(example=np.ones((3, 4)))
    error = error_of(signature, [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2]])
    assert "Row 2 has 2 values; expected 4" in str(error)
    assert error.row == 2


def test_arrays_without_dimensions_are_cells_and_those_with_two_are_not():
    signature = Signature.learn(example=pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2]}))
    assert signature.validate([np.array(3.0), np.array(4)]).iloc[0].tolist() == [3.0, 4.0]
    assert signature.validate({"a": np.array(3.0), "b": np.array(4)}).shape == (1, 2)
    error = error_of(signature, {"a": np.ones((2, 2)), "b": [1, 2]})
    assert "expected a number, got [1.0, 1.0]" in str(error)


def test_columns_of_different_lengths_are_refused(signature, row):
    columns = {name: [value] for name, value in row.items()} | {"petals": [5, 6]}
    error = error_of(signature, columns)
    assert error.column == "petals"
    assert "has 2 values" in str(error)


def test_a_list_among_records_and_a_record_among_lists_are_named(signature, row):
    assert error_of(signature, [row, list(row.values())]).row == 1
    assert error_of(signature, [list(row.values()), row]).row == 1


def test_many_values_for_one_column_are_explained():
    signature = Signature.learn(example=pd.DataFrame({"only": [1.0, 2.0, 3.0]}))
    assert "[[4.0], ...]" in str(error_of(signature, [4.0, 5.0]))
    assert len(signature.validate([[4.0], [5.0]])) == 2


# --- coercions that are safe -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "meant"),
    [
        ("petal_width", 2, 2.0),
        ("petal_width", np.float32(0.5), 0.5),
        ("petal_width", np.int8(3), 3.0),
        ("petals", 5.0, 5),
        ("petals", np.int64(4), 4),
        ("petals", np.float64(4), 4),
        ("wild", 1, True),
        ("wild", np.bool_(False), False),
        ("colour", np.str_("pink"), "pink"),
        ("picked", "2025-01-31T10:30", pd.Timestamp("2025-01-31T10:30")),
        ("picked", "2025-01-31 10:30:05.25", pd.Timestamp("2025-01-31T10:30:05.25")),
        ("picked", np.datetime64("2025-01-31"), pd.Timestamp("2025-01-31")),
    ],
)
def test_a_cell_that_means_the_same_is_coerced(signature, flowers, row, column, value, meant):
    frame = signature.validate({**row, column: value})
    assert frame[column].iloc[0] == meant
    assert list(frame.dtypes) == list(flowers.dtypes)


def test_a_frame_keeps_its_index_and_rows_are_numbered(signature, flowers, row):
    flowers.index = ["a", "b", "c", "d"]
    assert list(signature.validate(flowers).index) == ["a", "b", "c", "d"]
    assert list(signature.validate([row, row]).index) == [0, 1]


def test_the_callers_frame_and_array_are_never_shared():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    mixed = pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2], "c": pd.array([1, 2], "Int64")})
    array = np.ones((2, 2))
    for given_rows in (frame, mixed, array):
        validated = Signature.learn(example=given_rows).validate(given_rows)
        for column in range(validated.shape[1]):
            one = validated.iloc[:, column] if hasattr(validated, "iloc") else validated[:, column]
            other = given_rows.iloc[:, column] if hasattr(one, "iloc") else given_rows[:, column]
            assert not np.shares_memory(np.asarray(one), np.asarray(other))


def test_a_frame_of_other_but_fitting_dtypes_is_taken(signature, flowers):
    other = flowers.astype({"petal_width": "float32", "petals": "float64", "size": "str"})
    other["wild"] = other["wild"].astype(int)
    other["picked"] = other["picked"].dt.strftime("%Y-%m-%d")
    pd.testing.assert_frame_equal(
        signature.validate(other).drop(columns="petal_width"), flowers.drop(columns="petal_width")
    )


def test_categories_keep_the_codes_of_the_example():
    example = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "x"])})
    other = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["x", "y"])})
    validated = Signature.learn(example=example).validate(other)
    assert list(validated["a"].cat.codes) == [1, 0]


def test_a_series_is_one_row_of_a_frame(signature, flowers):
    one = signature.validate(flowers.iloc[2])
    pd.testing.assert_frame_equal(one, flowers.iloc[[2]].reset_index(drop=True))


def test_positions_are_enough_for_a_frame(row, signature):
    pd.testing.assert_frame_equal(signature.validate(list(row.values())), signature.validate(row))
    pd.testing.assert_frame_equal(
        signature.validate(np.array([list(row.values())], dtype=object)), signature.validate(row)
    )


def test_numbers_that_are_column_names_are_text_in_json():
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2))
    signature = Signature.learn(example=frame)
    assert signature.names == ("0", "1")
    validated = signature.validate(json.loads(frame.to_json(orient="records")))
    pd.testing.assert_frame_equal(validated, frame)


def test_a_missing_value_becomes_what_the_example_had():
    for missing in (None, np.nan, pd.NA):
        example = pd.DataFrame({"a": pd.Series(["x", missing, "y"], dtype=object)})
        validated = Signature.learn(example=example).validate([["x"], [None]])
        assert validated["a"].dtype == object
        assert validated["a"].iloc[1] is missing


def test_a_gap_among_whole_numbers_makes_them_floats_as_in_pandas():
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame = pd.DataFrame({"a": [1, 2, 3, 4] * 5})
    model = HistGradientBoostingClassifier(max_iter=2).fit(frame, [0, 1] * 10)
    validated = Signature.learn(model, frame).validate([[None], [3]])
    assert validated["a"].dtype == "float64"
    assert np.isnan(validated["a"].iloc[0])
    assert Signature.learn(model, frame).validate([[3]])["a"].dtype == "int64"


# --- arrays and single values ----------------------------------------------------------------


def test_an_array_of_whole_numbers_stays_whole_if_all_are():
    signature = Signature.learn(example=np.array([[1, 2], [3, 4]]))
    assert signature.validate([[5, 6.0]]).dtype == np.int64
    assert signature.validate([[5, 6.5]]).tolist() == [[5.0, 6.5]]


def test_an_array_signature_takes_a_frame_of_its_width_as_it_is():
    signature = Signature.learn(example=np.array([[1.5, 2.5], [3.5, 4.5]]))
    frame = pd.DataFrame({"b": [1.0], "a": [2.0]})
    assert signature.validate(frame).tolist() == [[1.0, 2.0]]
    assert signature.validate(frame.iloc[0]).tolist() == [[1.0, 2.0]]
    assert error_of(signature, frame[["a"]]).expected == "2 values"


def test_a_cell_of_an_array_is_named_by_its_feature():
    error = error_of(Signature.learn(example=np.ones((3, 2))), [[1.0, "x"]])
    assert "row 0, feature 1" in str(error)
    assert error.column == 1


@pytest.mark.parametrize(
    ("example", "one", "kind"),
    [
        (["good", "bad"], "fine", list),
        (np.array(["good", "bad"]), "fine", np.ndarray),
        (pd.Series(["good", "bad"]), "fine", pd.Series),
    ],
)
def test_texts_are_taken_one_a_row(example, one, kind):
    signature = Signature.learn(example=example)
    assert signature.kind == "values"
    for rows in ([one], one, [[one]], {"text": one}, [{"text": one}], pd.Series([one])):
        validated = signature.validate(rows)
        assert isinstance(validated, kind)
        assert list(validated) == [one]
    assert "expected text, got the number 5" in str(error_of(signature, [one, 5]))
    assert error_of(signature, [one, 5]).row == 1
    error_of(signature, [])


def test_text_arrays_and_object_arrays_come_back_as_they_were():
    texts = np.array([["a", "b"], ["c", "dd"]])
    validated = Signature.learn(example=texts).validate([["x", "yy"]])
    assert validated.dtype.kind == "U"
    mixed = np.array([["a", 1.5, None], ["b", 2.5, "z"]], dtype=object)
    validated = Signature.learn(example=mixed).validate([["c", 3, None]])
    assert validated.tolist() == [["c", 3.0, None]]


@pytest.mark.parametrize("count", [3, 100])
def test_a_row_among_records_that_is_none_is_named(count):
    frame = pd.DataFrame({"size": [1.5, 2.5], "kind": ["a", "b"]})
    signature = Signature.learn(example=frame)
    rows = [{"size": 1.0, "kind": "a"}] * count
    rows[2] = np.array([1.0, 2.0])

    with pytest.raises(SignatureError, match=r"Row 2 is array.*expected an object"):
        signature.validate(rows)
