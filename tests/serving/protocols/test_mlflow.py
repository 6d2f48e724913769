import io
import json

import numpy as np
import pandas as pd
import pytest

from nbdeploy.exceptions import RequestError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import Prediction
from nbdeploy.serving.protocols.mlflow import decode, encode

FRAME = Signature.learn(example=pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}))
ROWS = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})


def asked(document, content_type="application/json"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(content_type, body, signature=FRAME)


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "application/json; charset=utf-8"]
)
@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": ROWS.to_dict(orient="split")},
        {"dataframe_split": {"columns": ["b", "a"], "data": [["x", 1.0], ["y", 2.0]]}},
        {"dataframe_split": {"data": [[1.0, "x"], [2.0, "y"]]}},
        {"dataframe_records": ROWS.to_dict(orient="records")},
        {"instances": ROWS.to_dict(orient="records")},
        {"instances": [[1.0, "x"], [2.0, "y"]]},
        {"inputs": ROWS.to_dict(orient="list")},
        {"inputs": ROWS.to_dict(orient="list"), "params": {"temperature": 1}},
    ],
)
def test_every_form_gives_the_same_rows(document, content_type):
    rows = asked(document, content_type)

    pd.testing.assert_frame_equal(FRAME.validate(rows), ROWS)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"{", "not JSON"),
        ([[1.0, "x"]], "none of the keys"),
        ({"columns": [], "data": []}, "none of the keys"),
        ({"instances": [], "inputs": {}}, "instances and inputs"),
        ({"instances": [[1.0, "x"]], "params": 5}, "params is 5"),
        ({"dataframe_split": [[1.0, "x"]]}, "expected an object with columns and data"),
        ({"dataframe_split": {"columns": ["a"]}}, "expected an object with columns and data"),
        ({"dataframe_split": {"columns": "ab", "data": []}}, "columns is 'ab'"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1.0]]}}, "Row 0"),
        ({"dataframe_records": {"a": [1.0]}}, "expected a list of objects"),
        ({"dataframe_records": [[1.0, "x"]]}, "expected a list of objects"),
        ({"instances": [1.0, "x"]}, "2 single values"),
    ],
)
def test_a_malformed_request_is_told_what_is_wrong(document, said):
    with pytest.raises(RequestError, match=said):
        asked(document)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/pickle", ""]
)
def test_other_types_are_not_read(content_type):
    with pytest.raises(RequestError) as caught:
        asked({"instances": [[1.0, "x"]]}, content_type)

    assert caught.value.status == 415


def test_csv_in_the_answer_has_no_header():
    body = encode(Prediction(["a,b", 'say "x"', None], "7"), "text/csv")

    assert body == b'"a,b"\n"say ""x"""\n""\n'
    assert encode(Prediction([[0.5, 0.5]], "7"), "application/csv") == b"0.5,0.5\n"


def test_an_answer_in_json_and_as_another_table():
    prediction = Prediction([1.5, float("inf")], "7")

    assert encode(prediction, None) == b'{"predictions":[1.5,null]}'
    npy = encode(Prediction([1.5, 2.5], "7"), "application/x-npy")
    assert np.load(io.BytesIO(npy)).tolist() == [1.5, 2.5]


@pytest.mark.parametrize("content_type", ["application/vnd.apache.parquet", "text/csv; header=x"])
def test_a_table_is_read_by_its_type(content_type):
    if content_type.startswith("text"):
        body = ROWS.to_csv(index=False).encode()
    else:
        body = ROWS.to_parquet()

    pd.testing.assert_frame_equal(FRAME.validate(asked(body, content_type)), ROWS)
