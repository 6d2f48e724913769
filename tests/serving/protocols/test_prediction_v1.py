import json

import pandas as pd
import pytest

from nbdeploy.exceptions import RequestError, SignatureError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import Prediction
from nbdeploy.serving.protocols.prediction_v1 import decode, encode, model_status

FRAME = Signature.learn(example=pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}))
ARRAY = Signature.learn(example=[[1.5, 2.5], [3.5, 4.5]])
METHODS = ("predict", "predict_proba")


def asked(document, signature=ARRAY):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(body, signature=signature, methods=METHODS)


@pytest.mark.parametrize(
    ("document", "signature", "rows", "key"),
    [
        ({"instances": [[1.0, 2.0]]}, ARRAY, [[1.0, 2.0]], "predictions"),
        ({"instances": [{"a": 1.0, "b": "x"}]}, FRAME, [{"a": 1.0, "b": "x"}], "predictions"),
        ({"inputs": [[1.0, 2.0]]}, ARRAY, [[1.0, 2.0]], "outputs"),
        ({"inputs": {"a": [1.0], "b": ["x"]}}, FRAME, {"a": [1.0], "b": ["x"]}, "outputs"),
        ({"inputs": {"a": [[1.0]], "b": [["x"]]}}, FRAME, {"a": [1.0], "b": ["x"]}, "outputs"),
        (
            {"instances": [{"a": 1.0, "b": {"b64": "eA=="}}]},
            FRAME,
            [{"a": 1.0, "b": "x"}],
            "predictions",
        ),
        ({"inputs": {"a": [1.0], "b": [{"b64": "eA=="}]}}, FRAME, {"a": [1.0], "b": ["x"]},
         "outputs"),
    ],
)  # fmt: skip
def test_rows_and_columns(document, signature, rows, key):
    request = asked(document, signature)

    assert request.inference.method == "predict"
    assert request.inference.rows == rows
    assert request.answer_key == key


def test_nan_is_read_as_tensorflow_serving_reads_it():
    (row,) = asked(b'{"instances": [[NaN, 2.0]]}').inference.rows

    assert row[0] != row[0]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (None, "predict"),
        ("", "predict"),
        ("serving_default", "predict"),
        ("predict_proba", "predict_proba"),
    ],
)
def test_the_signature_name_chooses_the_method(name, method):
    request = asked({"instances": [[1.0, 2.0]], "signature_name": name})

    assert request.inference.method == method


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"", "not JSON"),
        ([[1.0, 2.0]], "no JSON object"),
        ({}, r"the keys \[\]"),
        ({"instance": []}, r"the keys \['instance'\]"),
        ({"instances": [], "inputs": []}, "both keys"),
        ({"instances": {"a": [1.0]}}, "expected a list with an item for each row"),
        ({"instances": [1.0, 2.0]}, "instances holds 2 single values"),
        ({"inputs": [1.0, 2.0]}, "inputs holds 2 single values"),
        ({"inputs": 5}, "inputs is 5; expected a list"),
        ({"instances": [[1.0, 2.0]], "signature_name": "fit"}, "signature_name is 'fit'"),
        ({"instances": [[1.0, 2.0]], "signature_name": ["fit"]}, "signature_name is"),
        ({"instances": [{"b64": 5}]}, "b64 is 5"),
        ({"instances": [{"b64": "?"}]}, "Base64"),
        ({"instances": [{"b64": "/w=="}]}, "Base64"),
    ],
)
def test_a_malformed_request_is_told_what_is_wrong(document, said):
    with pytest.raises(RequestError, match=said):
        asked(document)


def test_deep_values_are_left_to_the_signature():
    deep = b"[" * 900 + b'{"b64": "eA=="}' + b"]" * 900

    request = asked(b'{"instances": [[' + deep + b"]]}")

    with pytest.raises(SignatureError):
        ARRAY.validate(request.inference.rows)


def test_a_column_may_be_called_as_the_wrapping():
    signature = Signature.learn(example=pd.DataFrame({"b64": [1.5, 2.5]}))

    request = asked({"instances": [{"b64": 1.5}]}, signature)

    assert request.inference.rows == [{"b64": 1.5}]


def test_an_answer_has_the_key_of_its_request():
    prediction = Prediction([0.5, float("nan")], "7")

    assert encode(prediction, "outputs") == b'{"outputs":[0.5,null]}'


def test_the_status_serves_both_kinds_of_clients():
    status = model_status("m", "7")

    assert (status["name"], status["ready"]) == ("m", True)
    assert status["model_version_status"] == [
        {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
