import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import Column
from nbdeploy.serving.protocols.tensors import (
    DATATYPES,
    Tensor,
    datatype_of,
    decoded_base64,
    pack,
    tensor_of,
    unpack,
)

NUMPY = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16",
    "FP32": "float32", "FP64": "float64",
}  # fmt: skip


def cells(datatype):
    dtype = np.dtype(NUMPY[datatype])
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind == "f":
        width = dtype.itemsize * 8
        return st.floats(allow_nan=False, allow_infinity=False, width=width)
    bounds = np.iinfo(dtype)
    return st.integers(int(bounds.min), int(bounds.max))


def columns_of(datatype):
    return st.lists(cells(datatype), max_size=12)


@pytest.mark.parametrize("datatype", NUMPY)
@given(data=st.data())
def test_bytes_and_json_say_the_same(datatype, data):
    values = data.draw(columns_of(datatype))
    array = np.array(values, dtype=NUMPY[datatype])
    from_bytes = unpack("x", datatype, (len(values),), array.tobytes()).cells

    assert from_bytes.tolist() == array.tolist()
    if datatype != "FP16":
        from_json = unpack("x", datatype, (len(values),), array.tolist()).cells
        assert from_json == array.tolist()


@pytest.mark.parametrize("datatype", ["BOOL", "INT64", "UINT64", "FP64"])
@given(data=st.data())
def test_what_a_model_answers_comes_back_from_its_bytes(datatype, data):
    values = data.draw(columns_of(datatype).filter(bool))
    tensor = tensor_of("predict", values)
    packed, written = pack(tensor)

    assert unpack("x", packed.datatype, packed.shape, written).cells.tolist() == values


@given(st.lists(st.text(max_size=20), max_size=10))
def test_texts_come_back_from_their_bytes(texts):
    tensor, written = pack(Tensor("x", "BYTES", (len(texts),), texts))

    assert unpack("x", "BYTES", tensor.shape, written).cells == texts


@given(st.binary(max_size=200), st.sampled_from(DATATYPES), st.lists(st.integers(0, 9), max_size=3))
def test_any_bytes_are_read_or_refused(data, datatype, shape):
    try:
        tensor = unpack("x", datatype, tuple(shape), data)
    except RequestError:
        return
    assert len(tensor.cells) == np.prod(shape, dtype=int)


@pytest.mark.parametrize(
    ("shape", "data", "flat"),
    [
        ((2, 2), [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]),
        ((2, 2), [[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0, 3.0, 4.0]),
        ((2, 1), [[1.0], [2.0]], [1.0, 2.0]),
        ((1, 2, 1), [[[1.0], [2.0]]], [1.0, 2.0]),
        ((0, 4), [], []),
        ((2,), [1, None], [1.0, None]),
    ],
)
def test_data_is_flat_or_nested_as_the_shape(shape, data, flat):
    assert unpack("x", "FP64", shape, data).cells == flat


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "said"),
    [
        ("FP64", (2, 2), [[1.0, 2.0], [3.0]], "not of the shape"),
        ("FP64", (2, 2), [[1.0, 2.0], 3.0, 4.0], "expected 2"),
        ("FP64", (2, 2), [1.0, [2.0], 3.0, 4.0], r"holds \[2.0\]"),
        ("FP64", (2, 2), [[[1.0], [2.0]], [[3.0], [4.0]]], r"holds \[1.0\]"),
        ("FP64", (3,), [1.0], "expected 3"),
        ("FP64", (1,), None, "expected a list"),
        ("FP64", (1,), "1.0", "expected a list"),
        ("FP64", (1,), ["1.0"], "expected a number"),
        ("FP64", (1,), [True], "expected a number"),
        ("FP64", (1,), [10**400], "beyond the range of FP64"),
        ("FP32", (1,), [1e39], "beyond the range of FP32"),
        ("UINT8", (1,), [256], "beyond the range of UINT8"),
        ("UINT64", (1,), [-1], "beyond the range of UINT64"),
        ("INT64", (1,), [2**63], "beyond the range of INT64"),
        ("INT64", (1,), [1.5], "expected a whole number"),
        ("BOOL", (1,), [2], "expected true or false"),
        ("FP16", (1,), [1.0], "no form in JSON"),
        ("BF16", (1,), [1.0], "no form in JSON"),
        ("FP64", (2,), b"1234", "expected 16"),
        ("BYTES", (1,), b"\x05\x00\x00\x00abc", "not 1 items of BYTES"),
        ("BYTES", (1,), b"\x01\x00", "not 1 items of BYTES"),
        ("BYTES", (1,), struct.pack("<I", 2**32 - 1) + b"abc", "not 1 items of BYTES"),
        ("BYTES", (1,), b"\x00\x00\x00\x00" * 2, "not 1 items of BYTES"),
        ("BYTES", (2,), b"\x00\x00\x00\x00", "not 2 items of BYTES"),
        ("BYTES", (1,), b"\x01\x00\x00\x00\xff", "UTF-8"),
    ],
)
def test_cells_that_are_not_as_they_are_said_to_be_are_refused(datatype, shape, data, said):
    with pytest.raises(RequestError, match=said):
        unpack("x", datatype, shape, data)


def test_whole_numbers_may_be_written_with_a_point_and_flags_as_numbers():
    assert unpack("x", "INT32", (2,), [5.0, -1]).cells == [5, -1]
    assert unpack("x", "BOOL", (3,), [1, 0, True]).cells == [True, False, True]


def test_numbers_in_json_are_rounded_as_their_datatype_is():
    assert unpack("x", "FP32", (1,), [0.1]).cells == [float(np.float32(0.1))]


def test_bf16_is_the_upper_half_of_fp32():
    halves = np.array([1.5, -2.0, 1e30], "<f4").view("<u2")[1::2]

    found = unpack("x", "BF16", (3,), halves.tobytes()).cells

    assert np.allclose(found, [1.5, -2.0, 1e30], rtol=0.01)


def test_base64_is_read_and_anything_else_refused():
    tensor = Tensor("x", "BYTES", (2,), ["b3Nsbw==", None])

    assert decoded_base64(tensor).cells == ["oslo", None]
    for bad in ("?", 5, "/w=="):
        with pytest.raises(RequestError, match=r"Base64|UTF-8"):
            decoded_base64(tensor._replace(cells=[bad]))


@pytest.mark.parametrize(
    ("items", "datatype", "shape", "flat"),
    [
        ([1, 2], "INT64", (2,), [1, 2]),
        ([2**63], "UINT64", (1,), [2**63]),
        ([2**63, -1], "BYTES", (2,), ["9223372036854775808", "-1"]),
        ([1, 2.5], "FP64", (2,), [1, 2.5]),
        ([1.5, None], "FP64", (2,), [1.5, None]),
        ([True, False], "BOOL", (2,), [True, False]),
        (["no", "yes"], "BYTES", (2,), ["no", "yes"]),
        (["no", None, 1, 2.5, True], "BYTES", (5,), ["no", None, "1", "2.5", "true"]),
        ([[0.5, 0.5], [1.0, 0.0]], "FP64", (2, 2), [0.5, 0.5, 1.0, 0.0]),
        ([[[0.5, 0.5]], [[1.0, 0.0]]], "FP64", (2, 1, 2), [0.5, 0.5, 1.0, 0.0]),
        ([[[0.5, 0.5], [1.0]]], "BYTES", (1, 2), ["[0.5,0.5]", "[1.0]"]),
        ([{"a": 1}], "BYTES", (1,), ['{"a":1}']),
        ([[], []], "FP64", (2, 0), []),
    ],
)
def test_any_answer_becomes_a_tensor(items, datatype, shape, flat):
    assert tensor_of("predict", items) == Tensor("predict", datatype, shape, flat)


def test_bytes_have_no_null():
    tensor, data = pack(Tensor("x", "INT64", (2,), [1, None]))

    assert tensor.datatype == "FP64"
    assert np.isnan(np.frombuffer(data, "<f8")[1])
    assert pack(Tensor("x", "BYTES", (1,), [None]))[1] == b"\0\0\0\0"
    assert pack(Tensor("x", "BYTES", (1,), ["\ud800"]))[1] == b"\x06\0\0\0\\ud800"


@pytest.mark.parametrize(
    ("column", "datatype"),
    [
        (Column("x", "float", "float64"), "FP64"),
        (Column("x", "float", "Float32"), "FP32"),
        (Column("x", "float", "float16"), "FP32"),
        (Column("x", "int", "UInt8"), "UINT8"),
        (Column("x", "int", "object"), "INT64"),
        (Column("x", "bool", "boolean"), "BOOL"),
        (Column("x", "string", "str"), "BYTES"),
        (Column("x", "datetime", "datetime64[ns]"), "BYTES"),
        (Column("x", "any"), "BYTES"),
        (Column("x", "any", "number"), "FP64"),
        (Column("x", "category", categories=("a", "b")), "BYTES"),
        (Column("x", "category", categories=(1, 2)), "INT64"),
        (Column("x", "category", categories=(1.5,)), "FP64"),
        (Column("x", "category", categories=(1, 1.5)), "BYTES"),
        (Column("x", "category", categories=()), "BYTES"),
    ],
)
def test_every_column_has_a_datatype(column, datatype):
    assert datatype_of(column) == datatype
