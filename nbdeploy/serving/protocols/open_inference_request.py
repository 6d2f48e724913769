"""What a client of the Open Inference Protocol (V2) asks, in JSON or with binary tensors."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import list_values, shorten
from nbdeploy.models.quick_rows import QUICK_ROWS
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.named_rows import rows_of_columns
from nbdeploy.serving.protocols.native import parse_json
from nbdeploy.serving.protocols.tensors import (
    DATATYPES,
    Tensor,
    decoded_base64,
    input_datatypes,
    item_size,
    unpack,
)

__all__ = ["CODECS", "INPUT", "InferCall", "RequestedOutput", "decode"]

INPUT = "input"
"""The tensor of all features, for a model that was fitted on an array."""

CODECS = ("np", "pd", "str", "base64", "datetime")
"""What the parameter content_type may be: how MLServer's clients say what a tensor holds."""

_MATRIX = 2
_MAX_DIMENSIONS = 8
# Beside the columns of the model, for an error that names what is too much.
_MORE_INPUTS = 16
# Python's own limit of digits would be met by the product of larger ones.
_MAX_SIZE = 2**63


class RequestedOutput(NamedTuple):
    """A method of the model, and whether its answer shall come as bytes."""

    method: str
    is_binary: bool


class InferCall(NamedTuple):
    """A decoded request: rows for one method or several, and the id that goes back."""

    id: str
    rows: Any
    outputs: tuple[RequestedOutput, ...]


def decode(
    body: bytes,
    json_length: str | None,
    *,
    signature: Signature,
    methods: Sequence[str],
) -> InferCall:
    """Read the body of an infer request.

    Parameters
    ----------
    body
        JSON, followed by the bytes of the tensors that are sent so.
    json_length
        The header ``Inference-Header-Content-Length``, if there was one. 0 means that the body is
        the bytes of the only input.
    signature
        What the model takes.
    methods
        What it can be asked; the first is the usual.

    Raises
    ------
    RequestError
        If the request is malformed, or asks for an output that is not there.
    """
    length = _json_length(json_length, body)
    if length == 0 and json_length is not None:
        rows = _rows([_raw(body, signature)], signature)
        return InferCall(str(uuid.uuid4()), rows, (RequestedOutput(methods[0], is_binary=True),))
    document = parse_json(body[:length])
    if not isinstance(document, dict):
        message = "The body is no JSON object. Expected {'inputs': [...]}."
        raise RequestError(message)
    parameters = _parameters(document, "The request")
    codec = _codec(parameters, "The request")
    tensors = _tensors(document.get("inputs"), body[length:], most=signature.width + _MORE_INPUTS)
    return InferCall(
        _id(document.get("id")),
        _rows(tensors, signature, are_columns=codec == "pd"),
        _outputs(document.get("outputs"), parameters, methods),
    )


def _json_length(header: str | None, body: bytes) -> int:
    if header is None:
        return len(body)
    if not (header.isascii() and header.isdigit()) or int(header[:20]) > len(body):
        message = (
            f"Inference-Header-Content-Length is {shorten(header)}; expected the number of bytes "
            f"of the JSON at the start of the body, of which there are {len(body)}."
        )
        raise RequestError(message)
    return int(header)


def _raw(body: bytes, signature: Signature) -> Tensor:
    if signature.kind == "frame" and signature.width > 1:
        message = (
            f"The model has {signature.width} inputs; a body without JSON can hold only one. Send "
            "the JSON of the request first, and its length in Inference-Header-Content-Length."
        )
        raise RequestError(message)
    (datatype,) = input_datatypes(signature)
    if datatype == "BYTES":
        whole = len(body).to_bytes(4, "little") + body
        return unpack(INPUT, datatype, (1, 1), whole)
    width = signature.width
    rows = len(body) // (item_size(datatype) * width)
    return unpack(INPUT, datatype, (rows, width), body)


def _id(found: Any) -> str:
    if found is None or found == "":
        return str(uuid.uuid4())
    if not isinstance(found, str):
        message = f"id is {shorten(found)}; expected text."
        raise RequestError(message)
    return found


def _parameters(holder: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        message = f"{where}: parameters is {shorten(parameters)}; expected an object."
        raise RequestError(message)
    return parameters


def _codec(parameters: dict[str, Any], where: str) -> str | None:
    codec = parameters.get("content_type")
    if codec is not None and codec not in CODECS:
        message = (
            f"{where}: content_type is {shorten(codec)}; expected one of "
            f"{list_values(CODECS, last=', ')}."
        )
        raise RequestError(message)
    return codec


def _tensors(inputs: Any, data: bytes, *, most: int) -> list[Tensor]:
    if not isinstance(inputs, list) or not inputs:
        message = f"inputs is {shorten(inputs)}; expected a list of at least one tensor."
        raise RequestError(message)
    if len(inputs) > most:
        message = f"inputs holds {len(inputs)} tensors, many more than the model has columns."
        raise RequestError(message)
    tensors = []
    place = 0
    for number, spec in enumerate(inputs):
        tensor, place = _tensor(number, spec, data, place)
        tensors.append(tensor)
    if place != len(data):
        message = (
            f"{len(data)} bytes follow the JSON, and the inputs take {place} of them. Expected "
            "the sum of all binary_data_size."
        )
        raise RequestError(message)
    names = [tensor.name for tensor in tensors]
    if len(set(names)) != len(names):
        message = f"Several inputs have the same name: {list_values(tuple(names), last=', ')}."
        raise RequestError(message)
    return tensors


def _tensor(number: int, spec: Any, data: bytes, place: int) -> tuple[Tensor, int]:
    """Read a tensor, and tell the place in the data after it."""
    where = f"Input {number}"
    if not isinstance(spec, dict):
        message = f"{where} is {shorten(spec)}; expected an object with name, shape and datatype."
        raise RequestError(message)
    name, datatype, shape = spec.get("name"), spec.get("datatype"), spec.get("shape")
    if not isinstance(name, str):
        message = f"{where}: name is {shorten(name)}; expected text."
        raise RequestError(message)
    if datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        message = (
            f"Input {shorten(name)}: datatype is {shorten(datatype)}; expected one of {known}."
        )
        raise RequestError(message)
    sizes = _shape(name, shape)
    parameters = _parameters(spec, f"Input {shorten(name)}")
    codec = _codec(parameters, f"Input {shorten(name)}")
    size = parameters.get("binary_data_size")
    if size is None:
        tensor = unpack(name, datatype, sizes, spec.get("data"))
    else:
        left = len(data) - place
        if not (type(size) is int and 0 <= size <= left) or spec.get("data") is not None:
            message = (
                f"Input {shorten(name)}: binary_data_size is {shorten(size)}, and {left} bytes are "
                "left after the JSON. Expected at most so many, and no data in the JSON."
            )
            raise RequestError(message)
        tensor = unpack(name, datatype, sizes, data[place : place + size])
    if codec == "base64":
        tensor = decoded_base64(tensor)
    return tensor, place + (size or 0)


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    is_shape = (
        isinstance(shape, list)
        and 1 <= len(shape) <= _MAX_DIMENSIONS
        and all(type(size) is int and 0 <= size <= _MAX_SIZE for size in shape)
    )
    if not is_shape:
        message = (
            f"Input {shorten(name)}: shape is {shorten(shape)}; expected a list of sizes, such as "
            "[2, 4] for two rows of four values."
        )
        raise RequestError(message)
    return tuple(shape)


def _rows(tensors: list[Tensor], signature: Signature, *, are_columns: bool = False) -> Any:
    first = tensors[0]
    is_alone = len(tensors) == 1 and not are_columns and first.name not in signature.names
    if is_alone and _is_matrix(first, signature):
        return _matrix(first)
    columns = {tensor.name: _column(tensor) for tensor in tensors}
    if is_alone and signature.width == 1:
        # The only input is the only column, whatever it is called.
        columns = {signature.names[0]: columns[first.name]}
    arranged = rows_of_columns(columns, signature)
    if isinstance(arranged, dict) and set(arranged) == set(signature.names):
        values = [arranged[name] for name in signature.names]
        if {len(column) for column in values} <= set(range(1, QUICK_ROWS + 1)):
            return _joined(values) or arranged
    return arranged


def _joined(columns: list[Any]) -> list[list[Any]] | None:
    """Give few rows as lists, which are answered without a DataFrame."""
    if len({len(column) for column in columns}) != 1:
        return None
    lists = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns]
    return [list(row) for row in zip(*lists, strict=True)]


def _is_matrix(tensor: Tensor, signature: Signature) -> bool:
    if len(tensor.shape) == 1:
        # One row of a model that takes several values.
        return 1 < signature.width == tensor.shape[0]
    has_rows = len(tensor.shape) == _MATRIX and signature.kind != "values"
    return has_rows and (tensor.shape[1] != 1 or signature.width == 1 or signature.kind == "array")


def _matrix(tensor: Tensor) -> Any:
    width = tensor.shape[-1]
    cells = tensor.cells
    if isinstance(cells, np.ndarray):
        if len(cells) > QUICK_ROWS * width:
            return cells.reshape(-1, width)
        cells = cells.tolist()
    return [list(cells[start : start + width]) for start in range(0, len(cells), width or 1)]


def _column(tensor: Tensor) -> Any:
    if math.prod(tensor.shape[1:]) != 1:
        message = (
            f"Input {shorten(tensor.name)} has the shape {list(tensor.shape)}; expected [n, 1] for "
            "a column, or one input of shape [n, columns] for all of them."
        )
        raise RequestError(message)
    return tensor.cells


def _outputs(
    outputs: Any, parameters: dict[str, Any], methods: Sequence[str]
) -> tuple[RequestedOutput, ...]:
    are_binary = _flag(parameters, "binary_data_output", default=False)
    if outputs is None or outputs == []:
        return (RequestedOutput(methods[0], are_binary),)
    if not isinstance(outputs, list):
        message = f"outputs is {shorten(outputs)}; expected a list."
        raise RequestError(message)
    chosen = tuple(_output(output, are_binary, methods) for output in outputs)
    if len({output.method for output in chosen}) != len(chosen):
        message = "outputs names an output more than once; expected each once."
        raise RequestError(message)
    return chosen


def _output(output: Any, are_binary: bool, methods: Sequence[str]) -> RequestedOutput:
    name = output.get("name") if isinstance(output, dict) else output
    if not isinstance(output, dict) or not isinstance(name, str) or name not in methods:
        message = (
            f"The model has no output {shorten(name)}; expected objects with one of these names: "
            f"{list_values(tuple(methods), last=', ')}."
        )
        raise RequestError(message)
    parameters = _parameters(output, f"Output {shorten(name)}")
    return RequestedOutput(name, _flag(parameters, "binary_data", default=are_binary))


def _flag(parameters: dict[str, Any], name: str, *, default: bool) -> bool:
    found = parameters.get(name)
    if found is None:
        return default
    if not isinstance(found, bool):
        message = f"{name} is {shorten(found)}; expected true or false."
        raise RequestError(message)
    return found
