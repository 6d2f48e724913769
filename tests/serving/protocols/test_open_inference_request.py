import json
import uuid
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy.exceptions import RequestError, SignatureError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.open_inference_request import RequestedOutput, decode

FRAME = Signature.learn(example=pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]}))
ARRAY = Signature.learn(example=[[1.5, 2.5], [3.5, 4.5]])
NARROW = Signature.learn(example=[[1.5], [3.5]])
METHODS = ("predict", "predict_proba")
MATRIX = {"name": "input", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}


def asked(document, signature=ARRAY, length=None):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(body, length, signature=signature, methods=METHODS)


def test_a_request_names_its_id_and_its_outputs():
    call = asked(
        {
            "id": "42",
            "inputs": [MATRIX],
            "outputs": [
                {"name": "predict_proba"},
                {"name": "predict", "parameters": {"binary_data": False}},
            ],
            "parameters": {"binary_data_output": True, "unknown": {"is": "tolerated"}},
        }
    )

    assert call.id == "42"
    assert call.rows == [[1.0, 2.0], [3.0, 4.0]]
    assert call.outputs == (
        RequestedOutput("predict_proba", is_binary=True),
        RequestedOutput("predict", is_binary=False),
    )


@pytest.mark.parametrize("absent", [{}, {"id": None, "outputs": None, "parameters": None}])
def test_what_is_not_said_is_made_up(absent):
    call = asked({"inputs": [MATRIX], **absent})

    assert uuid.UUID(call.id)
    assert call.outputs == (RequestedOutput("predict", is_binary=False),)


@pytest.mark.parametrize(
    ("signature", "shape", "rows"),
    [
        (ARRAY, [4], None),
        (ARRAY, [2], [[1.0, 2.0]]),
        (ARRAY, [2, 2], [[1.0, 2.0], [3.0, 4.0]]),
        (NARROW, [3], [[1.0], [2.0], [3.0]]),
        (NARROW, [3, 1], [[1.0], [2.0], [3.0]]),
        (FRAME, [1, 2], [[1.0, 2.0]]),
    ],
)
def test_the_shape_tells_what_is_a_row(signature, shape, rows):
    data = [1.0, 2.0, 3.0, 4.0][: int(np.prod(shape))]
    document = {"inputs": [{**MATRIX, "shape": shape, "data": data}]}

    if rows is None:
        with pytest.raises(SignatureError):
            signature.validate(asked(document, signature).rows)
    else:
        assert asked(document, signature).rows == rows


def column(name, datatype, data, **more):
    return {"name": name, "shape": [len(data), 1], "datatype": datatype, "data": data, **more}


def test_columns_come_in_any_order_and_unknown_ones_are_named():
    columns = [column("b", "BYTES", ["x", "y"]), column("a", "FP64", [1.0, None])]

    assert asked({"inputs": columns}, FRAME).rows == [[1.0, "x"], [None, "y"]]
    wrong = [columns[0], column("aa", "FP64", [1.0, 2.0])]
    with pytest.raises(SignatureError, match="did you mean 'a'"):
        FRAME.validate(asked({"inputs": wrong}, FRAME).rows)
    unequal = [columns[0], column("a", "FP64", [1.0])]
    with pytest.raises(SignatureError, match="expected the same number"):
        FRAME.validate(asked({"inputs": unequal}, FRAME).rows)


def test_a_frame_is_asked_for_with_a_content_type():
    only = {**column("a", "FP64", [1.0]), "name": "input"}

    rows = asked({"parameters": {"content_type": "pd"}, "inputs": [only]}, NARROW).rows

    assert rows == [[1.0]]


def test_bytes_follow_the_json_in_the_order_of_the_inputs():
    a, b = np.array([1.5, 2.5]).tobytes(), b"\x01\0\0\0x\x01\0\0\0y"
    head = json.dumps(
        {
            "inputs": [
                {"name": "b", "shape": [2, 1], "datatype": "BYTES",
                 "parameters": {"binary_data_size": len(b)}},
                {"name": "a", "shape": [2, 1], "datatype": "FP64",
                 "parameters": {"binary_data_size": len(a)}},
            ]
        }
    ).encode()  # fmt: skip

    assert asked(head + b + a, FRAME, str(len(head))).rows == [[1.5, "x"], [2.5, "y"]]
    for broken, said in (
        (head + b + a + b"!", "takes? .* of them"),
        (head + b, "0 bytes are left"),
    ):
        with pytest.raises(RequestError, match=said):
            asked(broken, FRAME, str(len(head)))


def test_a_body_of_bytes_alone_is_the_only_input():
    call = asked(np.array([1.5, 2.5, 3.5, 4.5]).tobytes(), ARRAY, "0")

    assert call.rows == [[1.5, 2.5], [3.5, 4.5]]
    assert call.outputs == (RequestedOutput("predict", is_binary=True),)
    texts = Signature.learn(example=["a b", "c"])
    assert asked(b"one text", texts, "0").rows == ["one text"]
    with pytest.raises(RequestError, match="can hold only one"):
        asked(b"", FRAME, "0")
    with pytest.raises(RequestError, match="has 9 bytes"):
        asked(b"123456789", ARRAY, "0")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "", "²", "99", "9" * 5000, " 5", "0x5"])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(RequestError, match="Inference-Header-Content-Length"):
        asked({"inputs": [MATRIX]}, ARRAY, length if length != "99" else "999")


def changed(**fields):
    return {"inputs": [{**MATRIX, **fields}]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "no JSON object"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
        ({}, "inputs is None"),
        ({"inputs": []}, "at least one tensor"),
        ({"inputs": MATRIX}, "expected a list"),
        ({"inputs": [5]}, "Input 0 is 5"),
        (changed(name=5), "name is 5"),
        (changed(datatype="FP128"), "datatype is 'FP128'"),
        (changed(datatype=["FP64"]), "datatype is"),
        (changed(shape="2x2"), "shape is '2x2'"),
        (changed(shape=[]), "shape is"),
        (changed(shape=[-1, 2]), "shape is"),
        (changed(shape=[True, 2]), "shape is"),
        (changed(shape=[2.0, 2]), "shape is"),
        (changed(shape=[1] * 9), "shape is"),
        (changed(shape=[10**15, 10**15]), "expected 10{30} for"),
        (changed(shape=[10**30, 1]), "shape is"),
        (
            b'{"inputs": [{"name": "x", "datatype": "FP64", "data": [NaN], "shape": [1'
            + b"0" * 4000
            + b"]}]}",
            "shape is",
        ),
        (changed(parameters=[]), "parameters is"),
        (changed(parameters={"content_type": "pickle"}), "content_type is 'pickle'"),
        (changed(parameters={"content_type": ["np"]}), "content_type is"),
        (changed(parameters={"binary_data_size": 32}), "binary_data_size is 32"),
        (changed(data=None, parameters={"binary_data_size": 8}), "0 bytes are left"),
        (changed(data=None, parameters={"binary_data_size": -1}), "binary_data_size is -1"),
        (changed(data=None, parameters={"binary_data_size": True}), "binary_data_size is True"),
        (changed(data=None, parameters={"shared_memory_region": "r"}), "data is None"),
        ({"inputs": [MATRIX, MATRIX]}, "same name"),
        ({"inputs": [MATRIX] * 100}, "holds 100 tensors"),
        ({"inputs": [MATRIX], "id": 5}, "id is 5"),
        ({"inputs": [MATRIX], "outputs": {}}, "outputs is {}"),
        ({"inputs": [MATRIX], "outputs": ["predict"]}, "no output 'predict'"),
        ({"inputs": [MATRIX], "outputs": [{"name": "fit"}]}, "no output 'fit'"),
        ({"inputs": [MATRIX], "outputs": [{"name": []}]}, r"no output \[\]"),
        ({"inputs": [MATRIX], "outputs": [{"name": "predict"}] * 2}, "more than once"),
        ({"inputs": [MATRIX], "parameters": 5}, "parameters is 5"),
        ({"inputs": [MATRIX], "parameters": {"binary_data_output": 1}}, "expected true or false"),
        ({"inputs": [{**MATRIX, "shape": [1, 2, 2]}]}, r"has the shape \[1, 2, 2\]"),
    ],
)
def test_a_malformed_request_is_told_what_is_wrong(document, said):
    with pytest.raises(RequestError, match=said):
        asked(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "shape", "datatype", "data", "parameters", "x"]),
            children,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(JSON, JSON, st.sampled_from([FRAME, ARRAY, NARROW]))
def test_any_json_is_answered_or_refused_in_words(inputs, outputs, signature):
    for each in (inputs, [inputs], [{**MATRIX, "data": inputs}]):
        with suppress(RequestError, SignatureError):
            call = asked({"inputs": each, "outputs": outputs}, signature)
            assert len(signature.validate(call.rows)) > 0
