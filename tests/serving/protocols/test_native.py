import gc
import json
import math
from contextlib import suppress

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import RequestError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import Prediction
from nbdeploy.serving.protocols.native import decode, dump_json, encode

JSON_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    None,
    "application/vnd.x+json",
]


@pytest.mark.parametrize("content_type", JSON_TYPES)
def test_the_chapters_body_is_read_whatever_json_calls_itself(content_type):
    encoded = None if content_type is None else content_type.encode()
    request = decode("predict", encoded, b'{"features": [5.1, 3.5]}')

    assert request.inference.rows == [5.1, 3.5]
    assert request.answer_key == "prediction"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"features": {"a": 1}}', "prediction"),
        (b'{"instances": [[1], [2]]}', "predictions"),
        (b'[{"a": 1}, {"a": 2}]', "predict_proba"),
    ],
)
def test_the_shape_of_the_request_names_the_key_of_the_answer(body, key):
    request = decode("predict_proba", None, body)

    assert request.inference.method == "predict_proba"
    assert list(json.loads(encode(Prediction([1], "v"), request.answer_key))) == [key]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/x-python-pickle",
    ],
)
def test_what_is_declared_to_be_no_json_is_refused(kind):
    with pytest.raises(RequestError, match="application/json") as caught:
        decode("predict", kind.encode(), b'{"features": [1]}')

    assert caught.value.status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"features=1",
        b'{"features": [1]',
        b'{"features": NaN',
        b"\xff\xfe",
        b"[" * 100_000,
        b"[NaN," * 50_000,
        b'{"x": 1}',
        b'{"features": [1], "instances": [[1]]}',
        b"3",
        b"null",
        b'"text"',
    ],
)
def test_a_malformed_body_is_told_and_nothing_else_happens(body):
    with pytest.raises(RequestError) as caught:
        decode("predict", None, body)

    assert caught.value.status in {None, 400}


@given(st.binary())
def test_no_body_raises_anything_else(body):
    with suppress(RequestError):
        assert decode("predict", None, body).answer_key


def test_nan_and_infinity_reach_the_signature_which_judges_them():
    rows = decode("predict", None, b'{"features": [NaN, Infinity, -Infinity]}').inference.rows

    assert math.isnan(rows[0])
    assert rows[1:] == [math.inf, -math.inf]


ODD_VALUES = st.one_of(
    st.floats(), st.integers(), st.text(), st.booleans(), st.none(),
    st.floats(width=32).map(np.float32), st.integers(0, 255).map(np.uint8),
    st.text(st.characters(categories=["Cs"])),
)  # fmt: skip


@given(st.lists(ODD_VALUES))
def test_any_answer_becomes_strict_json_with_null_for_what_json_lacks(values):
    def refuse(name):
        raise AssertionError(name)

    document = json.loads(dump_json({"prediction": values}), parse_constant=refuse)

    for sent, value in zip(document["prediction"], values, strict=True):
        is_no_json = isinstance(value, (float, np.floating)) and not math.isfinite(value)
        assert (sent is None) == (value is None or is_no_json)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive_the_wire_to_the_last_bit(value):
    assert orjson.loads(dump_json([value])) == [value]


def test_a_label_of_an_own_class_is_written_as_its_text():
    class Colour:
        def __str__(self):
            return "red"

    assert dump_json([Colour()]) == b'["red"]'


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("body", [b"[" + b"[1],[2]," * 2000 + b"[3]]", b"[" * 5000])
def test_a_large_body_leaves_the_garbage_collector_as_it_was(body, enabled):
    was_enabled = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with suppress(RequestError):
            decode("predict", None, body)
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_the_lists_of_a_large_body_are_gone_before_anybody_looks_for_garbage():
    signature = Signature.learn(example=[[0.5, 1.5]])
    body = json.dumps({"features": [[0.5, 1.5]] * 5_000}).encode()
    looked = []
    gc.collect()
    gc.callbacks.append(lambda phase, _: looked.append(phase))
    try:
        request = decode("predict", None, body, lambda: signature)
        made_after = [[] for _ in range(10)]
    finally:
        del gc.callbacks[-1]

    assert len(made_after) == 10
    assert looked == []
    assert request.inference.rows.shape == (5_000, 2)
