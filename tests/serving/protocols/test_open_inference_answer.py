import json

import pandas as pd
import pytest

from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import Prediction
from nbdeploy.serving.protocols.open_inference_answer import encode, model_metadata
from nbdeploy.serving.protocols.open_inference_request import InferCall, RequestedOutput


def call(*are_binary):
    methods = ("predict", "predict_proba")
    outputs = tuple(map(RequestedOutput, methods, are_binary))
    return InferCall("42", None, outputs)


PREDICTIONS = [Prediction(["no", "yes"], "7"), Prediction([[0.5, float("nan")], [1.0, 0.0]], "7")]


def test_tensors_in_json_are_flat_and_nan_is_null():
    body, json_length = encode(call(False, False), PREDICTIONS, model_name="m")

    assert json_length is None
    assert json.loads(body) == {
        "model_name": "m",
        "model_version": "7",
        "id": "42",
        "outputs": [
            {
                "name": "predict",
                "shape": [2],
                "datatype": "BYTES",
                "parameters": {"content_type": "str"},
                "data": ["no", "yes"],
            },
            {
                "name": "predict_proba",
                "shape": [2, 2],
                "datatype": "FP64",
                "parameters": {"content_type": "np"},
                "data": [0.5, None, 1.0, 0.0],
            },
        ],
    }


@pytest.mark.parametrize("are_binary", [(True, False), (False, True), (True, True)])
def test_tensors_in_bytes_follow_the_json_in_order(are_binary):
    body, json_length = encode(call(*are_binary), PREDICTIONS, model_name="m")

    assert json_length is not None
    outputs = json.loads(body[:json_length])["outputs"]
    sizes = [output["parameters"].get("binary_data_size") for output in outputs]
    wanted_sizes = zip((13, 32), are_binary, strict=True)
    assert sizes == [size if wanted else None for size, wanted in wanted_sizes]
    assert sum(filter(None, sizes)) == len(body) - json_length
    assert [("data" in output) for output in outputs] == [not wanted for wanted in are_binary]
    if are_binary[0]:
        assert body[json_length:].startswith(b"\x02\0\0\0no\x03\0\0\0yes")


def test_metadata_is_filled_from_the_signature_and_from_answers():
    signature = Signature.learn(example=pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}))

    described = model_metadata(
        "m",
        "7",
        platform="sklearn_python",
        signature=signature,
        samples=[("predict", ["x"]), ("predict_proba", [[0.5, 0.5]]), ("transform", None)],
    )

    assert described == {
        "name": "m",
        "versions": ["7"],
        "platform": "sklearn_python",
        "inputs": [
            {"name": "a", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "b", "datatype": "BYTES", "shape": [-1, 1]},
        ],
        "outputs": [
            {"name": "predict", "datatype": "BYTES", "shape": [-1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
            {"name": "transform", "datatype": "FP64", "shape": [-1]},
        ],
    }


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ([[1.5, 2.5]], {"name": "input", "datatype": "FP64", "shape": [-1, 2]}),
        ([[1, 2, 3]], {"name": "input", "datatype": "INT64", "shape": [-1, 3]}),
        ([["a", 1]], {"name": "input", "datatype": "BYTES", "shape": [-1, 2]}),
        (["a b", "c"], {"name": "input", "datatype": "BYTES", "shape": [-1, 1]}),
    ],
)
def test_a_model_without_column_names_has_one_input(example, expected):
    signature = Signature.learn(example=example)

    described = model_metadata("m", "7", platform="p", signature=signature, samples=[])

    assert described["inputs"] == [expected]
