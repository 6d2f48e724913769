"""What a signature learns from an example, shows to people, and keeps in a file."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


# --- what is learned -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "kind", "width"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], "array", 2),
        ([1.0, 2.0, 3.0], "array", 3),
        (np.array([1.0, 2.0]), "array", 2),
        (["a", 1.0], "array", 2),
        ([{"a": 1}, {"a": 2}], "frame", 1),
        ({"a": 1, "b": "x"}, "frame", 2),
        ({"a": [1, 2], "b": ["x", "y"]}, "frame", 2),
        (pd.Series({"a": 1, "b": "x"}), "frame", 2),
        (pd.Series([1.0, 2.0]), "array", 2),
        (["a", "b"], "values", 1),
    ],
)
def test_every_form_of_example_is_understood(example, kind, width):
    signature = Signature.learn(example=example)
    assert (signature.kind, signature.width) == (kind, width)
    assert len(signature.validate(example)) >= 1


@pytest.mark.parametrize(
    "example",
    [
        [],
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        np.empty((0, 3)),
        np.ones((2, 2, 2)),
        object(),
        5,
        [[1, 2], [3]],
        [[1], 2],
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame([[1, 2]], columns=[1, "1"]),
        pd.DataFrame([[1, 2]], columns=pd.Index([1, True], dtype=object)),
        pd.DataFrame({("a", "b"): [1]}),
        pd.DataFrame({"a": [1 + 2j]}),
        pd.DataFrame({"a": [[1, 2]]}),
        pd.DataFrame({"a": pd.to_timedelta(["1h"])}),
        pd.DataFrame({"a": pd.cut([1.0, 2.0], [0, 1, 2])}),
    ],
)
def test_an_example_that_tells_no_rows_is_refused(example):
    with pytest.raises(SignatureError):
        Signature.learn(example=example)


def test_nothing_to_learn_from_asks_for_an_example():
    with pytest.raises(SignatureError, match="pass example="):
        Signature.learn(lambda rows: rows)
    with pytest.raises(SignatureError, match="pass example="):
        Signature.learn()


def test_another_librarys_frame_is_read_through_to_pandas():
    class Foreign:
        columns = ("a",)

        def to_pandas(self):
            return pd.DataFrame({"a": [1.0, 2.0, 3.0]})

    signature = Signature.learn(example=Foreign())
    assert signature.validate(Foreign())["a"].tolist() == [1.0, 2.0, 3.0]


def test_sparse_examples_and_rows_are_read():
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(np.eye(3))
    signature = Signature.learn(example=matrix)
    assert signature.validate(matrix).tolist() == np.eye(3).tolist()
    frame = pd.DataFrame({"a": pd.arrays.SparseArray([0, 1, 0])})
    assert Signature.learn(example=frame).validate([[1]])["a"].tolist() == [1]


def test_numbers_of_an_example_lie_in_memory_as_they_did():
    for order in "CF":
        array = np.array(np.random.default_rng(0).random((5, 3)), order=order)
        frame = pd.DataFrame(array, columns=list("abc"), copy=False)
        for example in (array, frame):
            validated = Signature.learn(example=example).validate(array.tolist())
            assert np.asarray(validated).flags[f"{order}_CONTIGUOUS"]


# --- what is shown ---------------------------------------------------------------------------


def test_a_rare_value_is_shown_nowhere():
    frame = pd.DataFrame(
        {
            "name": ["Ann Onymous", "Bob Secret", "Cy Pher", "Di Screet", "Di Screet", "Eve"],
            "town": ["here", "here", "Hidden Hollow", "there", "there", "here"],
        }
    )
    signature = Signature.learn(example=frame)
    shown = json.dumps([signature.to_dict(), signature.row_schema(), signature.example_row()])
    shown += signature.to_html() + signature.to_text()
    for secret in ("Ann", "Bob", "Cy ", "Di ", "Eve", "Hidden"):
        assert secret not in shown
    assert signature.example_row() == {"name": "text", "town": "here"}


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.floats(0, 9), st.integers(0, 3), st.booleans(), st.sampled_from("ab")),
        min_size=1,
        max_size=30,
    )
)
def test_the_example_row_is_no_row_of_the_example(rows):
    frame = pd.DataFrame(rows, columns=["f", "i", "b", "t"])
    shown = Signature.learn(example=frame).example_row()
    assert tuple(shown.values()) not in rows


def test_a_row_that_many_are_like_is_shown_and_one_that_few_are_like_is_not():
    towns = pd.DataFrame({"town": ["here", "there"], "far": pd.Categorical(["no", "yes"])})
    every = pd.DataFrame([(town, far) for town in towns["town"] for far in ("no", "yes")])
    every.columns = towns.columns
    many = Signature.learn(example=pd.concat([every] * 5, ignore_index=True))
    assert many.example_row() == {"town": "here", "far": "no"}
    few = Signature.learn(example=pd.concat([every] * 2, ignore_index=True))
    assert few.example_row() == {"town": "text", "far": "no"}
    apart = Signature.learn(example=pd.concat([towns] * 2, ignore_index=True))
    assert apart.example_row() == {"town": "there", "far": "no"}


def test_typical_numbers_are_as_short_as_the_data():
    frame = pd.DataFrame({"a": [0.1, 0.25, 0.3], "b": [1 / 3, 2 / 3, 1 / 7], "c": [1, 2, 4]})
    assert Signature.learn(example=frame).example_row() == {"a": 0.25, "b": 0.3333, "c": 2}


def test_a_row_schema_says_what_a_row_is(signature):
    jsonschema = pytest.importorskip("jsonschema")
    schema = signature.row_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"] == list(signature.names)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["size"]["enum"] == ["large", "small"]
    assert "enum" not in schema["properties"]["colour"]
    assert schema["properties"]["petals"]["type"] == "integer"


def test_null_is_in_the_schema_only_where_it_is_taken():
    frame = pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]})
    properties = Signature.learn(example=frame).row_schema()["properties"]
    assert properties["a"]["type"] == ["number", "null"]
    assert properties["b"]["type"] == "number"


def test_the_schema_of_an_array_counts_its_features():
    plain = Signature.learn(example=np.ones((3, 4))).row_schema()
    assert plain == {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}}
    mixed = Signature.learn(example=[["a", 1], ["b", 2]]).row_schema()
    assert [item["type"] for item in mixed["prefixItems"]] == ["string", "integer"]
    assert Signature.learn(example=["a", "b"]).row_schema() == {"type": "string"}


def test_hostile_names_are_escaped_in_html_and_plain_in_data():
    name = "<script>alert('x')</script>"
    signature = Signature.learn(example=pd.DataFrame({name: [1.0, 2.0, 3.0]}))
    assert "<script>" not in signature.to_html()
    assert signature.names == (name,)
    assert signature.validate({name: 1.0}).columns.tolist() == [name]


def test_text_and_html_show_the_same_facts(signature):
    bundle = signature._repr_mimebundle_()
    for text in bundle.values():
        assert "petal_width" in text
        assert "whole number" in text
        assert "a whole number" not in text
    assert repr(signature).startswith("Signature(6 columns: 'petal_width'")
    assert "\n" not in repr(signature)


def test_a_description_has_name_type_and_note(signature):
    assert signature.describe()[0] == ("petal_width", "number", "0.2 to 2.5")


# --- saved and read --------------------------------------------------------------------------


def test_a_newer_format_is_refused_by_its_number(signature):
    with pytest.raises(SignatureError, match="format 99"):
        Signature.from_dict({**signature.to_dict(), "format": 99})


@pytest.mark.parametrize(
    "change",
    [
        {"format": None},
        {"kind": "cube"},
        {"columns": 5},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": "a", "kind": "colour"}]},
        {"columns": [{"name": "a", "kind": "int", "extra": 1}]},
    ],
)
def test_what_is_no_signature_is_refused(signature, change):
    with pytest.raises(SignatureError):
        Signature.from_dict({**signature.to_dict(), **change})


def test_an_incomplete_signature_is_refused(signature):
    written = signature.to_dict()
    del written["columns"]
    with pytest.raises(SignatureError, match="incomplete"):
        Signature.from_dict(written)


def test_bounds_are_finite_in_json():
    frame = pd.DataFrame({"a": [np.nan, np.inf, 1.0, -np.inf], "b": [np.nan] * 4})
    written = json.dumps(Signature.learn(example=frame).to_dict(), allow_nan=False)
    assert Signature.from_dict(json.loads(written)) == Signature.learn(example=frame)


def test_validation_raises_no_warnings(signature, row):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        signature.validate([row] * 20)
