"""Tensors of the Open Inference Protocol: read from JSON or from bytes, written as either."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import Column, shorten
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.native import dump_json

__all__ = [
    "DATATYPES",
    "Tensor",
    "datatype_of",
    "decoded_base64",
    "input_datatypes",
    "item_size",
    "pack",
    "tensor_of",
    "unpack",
]

_DTYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

DATATYPES = (*_DTYPES, "BF16", "BYTES")
"""What a tensor may hold; FP16 and BF16 travel as bytes only."""

_ONLY_BINARY = frozenset({"FP16", "BF16"})
_LENGTH = struct.Struct("<I")
_WORDS = {"b": "true or false", "i": "a whole number", "u": "a whole number", "f": "a number"}
_KIND_TYPES: dict[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "f": frozenset({int, float}),
}
_LEAST_INT64 = -(2**63)
_INT64_END = 2**63
_UINT64_END = 2**64


class Tensor(NamedTuple):
    """A tensor as the protocol has it: its cells row by row."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    cells: Sequence[Any] | npt.NDArray[Any]


def datatype_of(column: Column) -> str:
    """Tell which datatype holds the cells of a column."""
    if column.kind in {"float", "int", "bool"}:
        fallback = {"float": "FP64", "int": "INT64", "bool": "BOOL"}[column.kind]
        return _spoken(column.dtype.lower(), fallback)
    if column.kind == "any" and column.dtype == "number":
        return "FP64"
    if column.kind == "category":
        types = set(map(type, column.categories))
        return {bool: "BOOL", int: "INT64", float: "FP64"}.get(
            types.pop() if len(types) == 1 else str, "BYTES"
        )
    return "BYTES"


def input_datatypes(signature: Signature) -> tuple[str, ...]:
    """Tell the datatype of each input: one of all features of an array, else one a column."""
    if signature.kind != "array":
        return tuple(map(datatype_of, signature.columns))
    return (_spoken(signature.dtype, "BYTES"),)


def _spoken(dtype: str, fallback: str) -> str:
    # JSON has no FP16; FP32 holds all of its numbers.
    return "FP32" if dtype == "float16" else _NAMES.get(dtype, fallback)


def item_size(datatype: str) -> int:
    """Tell how many bytes an item of a datatype takes; BYTES have no fixed size."""
    return np.dtype(_DTYPES.get(datatype, "uint16")).itemsize


def unpack(name: str, datatype: str, shape: tuple[int, ...], data: object) -> Tensor:
    """Read a tensor.

    Parameters
    ----------
    name, datatype, shape
        What the request says of it.
    data
        Its cells: bytes, or a list from JSON, flat or nested as the shape.

    Raises
    ------
    RequestError
        If the cells are not what the request says of them.

    Examples
    --------
    >>> unpack("x", "FP64", (2, 2), [[1.0, 2.0], [3.0, None]]).cells
    [1.0, 2.0, 3.0, None]
    >>> unpack("x", "INT16", (2,), bytes([1, 0, 255, 255])).cells.tolist()
    [1, -1]
    """
    size = math.prod(shape)
    if isinstance(data, bytes):
        return Tensor(name, datatype, shape, _from_bytes(name, datatype, size, data))
    if datatype in _ONLY_BINARY:
        message = f"Input {shorten(name)}: {datatype} has no form in JSON. Send it as binary data."
        raise RequestError(message)
    if not isinstance(data, list):
        message = f"Input {shorten(name)}: data is {shorten(data)}; expected a list of values."
        raise RequestError(message)
    cells = _flat(name, shape, data)
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, cells)
    return Tensor(name, datatype, shape, _typed(name, datatype, cells))


def _flat(name: str, shape: tuple[int, ...], data: list[Any]) -> list[Any]:
    size = math.prod(shape)
    if data and isinstance(data[0], list):
        _check_length(name, shape, len(data), shape[0])
        for length in shape[1:]:
            lengths = {len(row) if isinstance(row, list) else -1 for row in data}
            if lengths != {length}:
                message = (
                    f"Input {shorten(name)}: the nested lists of data are not of the shape "
                    f"{list(shape)}. Send them so, or as one flat list."
                )
                raise RequestError(message)
            data = list(chain.from_iterable(data))
    _check_length(name, shape, len(data), size)
    return data


def _check_length(name: str, shape: tuple[int, ...], found: int, expected: int) -> None:
    if found != expected:
        message = (
            f"Input {shorten(name)}: data has {found} items; expected {expected} for the shape "
            f"{list(shape)}."
        )
        raise RequestError(message)


def _typed(name: str, datatype: str, cells: list[Any]) -> list[Any]:
    """Give the cells as the datatype holds them: the same as if they had come as bytes."""
    dtype = np.dtype(_DTYPES[datatype])
    plain = _KIND_TYPES[dtype.kind]
    types = set(map(type, cells))
    if not types <= plain:
        cells = [_checked(name, datatype, cell, plain) for cell in cells]
    if datatype == "BOOL" or (datatype == "FP64" and int not in types):
        return cells
    present = [cell for cell in cells if cell is not None]
    if dtype.kind in "iu" and present:
        bounds = np.iinfo(dtype)
        if min(present) < bounds.min or max(present) > bounds.max:
            raise _out_of_range(name, datatype)
    with np.errstate(over="ignore"):
        try:
            # FP32 in JSON is rounded as FP32 is.
            array = np.array(present, dtype=dtype)
        except OverflowError:
            raise _out_of_range(name, datatype) from None
    if dtype.kind == "f" and np.isinf(array).any():
        raise _out_of_range(name, datatype)
    if len(present) == len(cells):
        return list(array.tolist())
    values = iter(array.tolist())
    return [None if cell is None else next(values) for cell in cells]


def _checked(name: str, datatype: str, cell: Any, plain: frozenset[type]) -> Any:
    if cell is None or type(cell) in plain:
        return cell
    if int in plain and type(cell) is float and cell.is_integer():
        return int(cell)
    if bool in plain and type(cell) is int and cell in {0, 1}:
        return bool(cell)
    words = _WORDS[np.dtype(_DTYPES[datatype]).kind]
    message = (
        f"Input {shorten(name)} holds {shorten(cell)}; expected {words} or null, as its datatype "
        f"is {datatype}."
    )
    raise RequestError(message)


def _out_of_range(name: str, datatype: str) -> RequestError:
    message = f"Input {shorten(name)} holds a number beyond the range of {datatype}."
    return RequestError(message)


def _from_bytes(
    name: str, datatype: str, size: int, data: bytes
) -> npt.NDArray[Any] | Sequence[Any]:
    if datatype == "BYTES":
        return _texts(name, size, data)
    dtype = np.dtype(_DTYPES.get(datatype, "uint16")).newbyteorder("<")
    if len(data) != size * dtype.itemsize:
        message = (
            f"Input {shorten(name)} has {len(data)} bytes; expected {size * dtype.itemsize} for "
            f"{size} items of {datatype}."
        )
        raise RequestError(message)
    array: npt.NDArray[Any] = np.frombuffer(data, dtype)
    if datatype == "BF16":
        # The upper half of an FP32.
        wide: npt.NDArray[Any] = np.left_shift(array, 16, dtype="<u4")
        return wide.view(np.dtype("<f4"))
    if datatype == "BOOL":
        flags: npt.NDArray[Any] = np.frombuffer(data, np.uint8) != 0
        return flags
    return array.astype(dtype.newbyteorder("="), copy=False)


def _texts(name: str, size: int, data: bytes) -> list[str]:
    texts: list[str] = []
    place = 0
    while place < len(data) and len(texts) <= size:
        if place + _LENGTH.size > len(data):
            break
        (length,) = _LENGTH.unpack_from(data, place)
        start = place + _LENGTH.size
        place = start + length
        if place > len(data):
            break
        texts.append(_text(name, data[start:place]))
    if len(texts) != size or place != len(data):
        message = (
            f"Input {shorten(name)}: its bytes are not {size} items of BYTES. Expected for each "
            "its length in four bytes, the lowest first, and then that many bytes."
        )
        raise RequestError(message)
    return texts


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        message = f"Input {shorten(name)} holds {shorten(data)}; expected text in UTF-8."
        raise RequestError(message) from None


def decoded_base64(tensor: Tensor) -> Tensor:
    """Give the texts that a tensor holds in Base64.

    Raises
    ------
    RequestError
        If a cell is no text in Base64.
    """
    texts = []
    for cell in tensor.cells:
        try:
            data = None if cell is None else base64.b64decode(cell, validate=True)
        except (TypeError, ValueError, binascii.Error):
            message = f"Input {shorten(tensor.name)} holds {shorten(cell)}; expected Base64."
            raise RequestError(message) from None
        texts.append(None if data is None else _text(tensor.name, data))
    return tensor._replace(cells=texts)


def tensor_of(name: str, items: list[Any]) -> Tensor:
    """Make a tensor of what a model answered, one item a row.

    Numbers of one kind stay numbers, and texts are BYTES. What no tensor holds (rows of different
    length, texts among numbers, objects) is BYTES too, each item written as JSON.

    Examples
    --------
    >>> tensor_of("predict_proba", [[0.25, 0.75], [1.0, 0.0]])
    Tensor(name='predict_proba', datatype='FP64', shape=(2, 2), cells=[0.25, 0.75, 1.0, 0.0])
    >>> tensor_of("predict", ["no", 1]).cells
    ['no', '1']
    """
    shape = [len(items)]
    while items and all(type(item) is list for item in items):
        lengths = set(map(len, items))
        if len(lengths) > 1:
            break
        shape.append(lengths.pop())
        items = list(chain.from_iterable(items))
    datatype = _datatype(items)
    if datatype == "BYTES":
        items = [
            item if item is None or type(item) is str else dump_json(item).decode()
            for item in items
        ]
    return Tensor(name, datatype, tuple(shape), items)


def _datatype(items: list[Any]) -> str:
    types = set(map(type, items)) - {type(None)}
    if types == {bool}:
        return "BOOL"
    if types == {int}:
        present = [item for item in items if item is not None]
        low, high = min(present), max(present)
        if low >= _LEAST_INT64 and high < _INT64_END:
            return "INT64"
        return "UINT64" if low >= 0 and high < _UINT64_END else "BYTES"
    return "FP64" if types <= {int, float} else "BYTES"


def pack(tensor: Tensor) -> tuple[Tensor, bytes]:
    r"""Write the cells of a tensor as bytes.

    Returns
    -------
    tensor, data
        The tensor again, because whole numbers with gaps are FP64 there: bytes have no null.

    Examples
    --------
    >>> pack(Tensor("predict", "INT64", (2,), [1, -1]))[1].hex()
    '0100000000000000ffffffffffffffff'
    >>> pack(Tensor("predict", "BYTES", (1,), ["no"]))[1]
    b'\x02\x00\x00\x00no'
    """
    if tensor.datatype == "BYTES":
        texts = [_bytes_of(cell) for cell in tensor.cells]
        return tensor, b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    if None in tensor.cells and tensor.datatype != "FP64":
        tensor = tensor._replace(datatype="FP64")
    dtype = np.dtype(_DTYPES[tensor.datatype]).newbyteorder("<")
    return tensor, np.array(tensor.cells, dtype=dtype).tobytes()


def _bytes_of(cell: str | None) -> bytes:
    # Half a surrogate pair has no UTF-8; JSON escapes it, and so does this.
    return b"" if cell is None else cell.encode(errors="backslashreplace")
