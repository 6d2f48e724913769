"""The V1 protocol of TensorFlow Serving, KServe and Vertex AI: ``POST /v1/models/NAME:predict``.

``{"instances": [row, ...]}`` -> ``{"predictions": [...]}``, and by column ``{"inputs": {name:
values}}`` -> ``{"outputs": [...]}``. ``signature_name`` chooses a method of the model.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import list_values, shorten
from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import InferenceRequest, Prediction
from nbdeploy.serving.protocols.named_rows import checked_instances, rows_of_columns
from nbdeploy.serving.protocols.native import dump_json, parse_json

__all__ = ["V1Request", "decode", "encode", "model_status"]

_SHAPES = 'Expected {"instances": [rows]} or {"inputs": {column: values}}.'
_USUAL_METHOD = "serving_default"
_DEEPEST_CELL = 4
_ANSWER_KEYS = {"instances": "predictions", "inputs": "outputs"}


class V1Request(NamedTuple):
    """A decoded request, and the key that its answer goes under."""

    inference: InferenceRequest
    answer_key: str


def decode(body: bytes, *, signature: Signature, methods: Sequence[str]) -> V1Request:
    """Read the body of a request.

    Parameters
    ----------
    body
        The body.
    signature
        What the model takes.
    methods
        What it can be asked; the first is the usual.

    Raises
    ------
    RequestError
        If it is malformed.
    """
    document = parse_json(body)
    if not isinstance(document, dict):
        message = f"The body is no JSON object. {_SHAPES}"
        raise RequestError(message)
    keys = [key for key in _ANSWER_KEYS if key in document]
    if len(keys) != 1:
        has = "both keys" if keys else f"the keys {sorted(map(str, document))[:10]}"
        message = f"The body has {has}. {_SHAPES}"
        raise RequestError(message)
    given = document[keys[0]]
    # A column may be called so.
    if b'"b64"' in body and "b64" not in signature.names:
        given = _with_texts(given)
    if keys[0] == "inputs" and isinstance(given, dict):
        rows = rows_of_columns(given, signature)
    else:
        rows = checked_instances(given, signature, key=keys[0])
    method = _method(document.get("signature_name"), methods)
    return V1Request(InferenceRequest(method, rows), _ANSWER_KEYS[keys[0]])


def _method(name: Any, methods: Sequence[str]) -> str:
    if name is None or name in ("", _USUAL_METHOD):
        return methods[0]
    if name not in methods:
        message = (
            f"signature_name is {shorten(name)}; expected {_USUAL_METHOD!r} or one of "
            f"{list_values(tuple(methods), last=', ')}."
        )
        raise RequestError(message)
    return str(name)


def _with_texts(value: Any, depth: int = _DEEPEST_CELL) -> Any:
    """Put texts where they are wrapped as ``{"b64": ...}``; rows are lists or objects of cells."""
    if not depth:
        return value
    if isinstance(value, dict):
        if value.keys() == {"b64"}:
            return _text(value["b64"])
        return {key: _with_texts(cell, depth - 1) for key, cell in value.items()}
    return [_with_texts(cell, depth - 1) for cell in value] if isinstance(value, list) else value


def _text(encoded: Any) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (TypeError, ValueError, binascii.Error):
        message = f"b64 is {shorten(encoded)}; expected text in UTF-8, encoded in Base64."
        raise RequestError(message) from None


def encode(prediction: Prediction, answer_key: str) -> bytes:
    """Write an answer; NaN and infinity become null, as JSON knows neither."""
    return dump_json({answer_key: prediction.output})


def model_status(name: str, version: str) -> dict[str, Any]:
    """Tell of a model that is ready, in the words of TensorFlow Serving and of KServe."""
    status = {"error_code": "OK", "error_message": ""}
    return {
        "name": name,
        "ready": True,
        "model_version_status": [{"version": version, "state": "AVAILABLE", "status": status}],
    }
