"""The chapter's protocol: ``{"features": ...}`` in, ``{"prediction": [...]}`` out.

Also ``{"instances": [...]}`` -> ``{"predictions": [...]}``, and a top-level list of records ->
``{"<method>": [...]}``. A body without Content-Type is read as JSON: many clients send none.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import orjson

from nbdeploy.exceptions import RequestError
from nbdeploy.serving.inference import InferenceRequest, Prediction

__all__ = ["MAX_ROWS", "MAX_VALUES", "NativeRequest", "check_size", "decode", "encode"]

MAX_ROWS = 1_000_000
"""The most rows in one request."""

MAX_VALUES = 10_000_000
"""The most values in one request."""

_SMALL = 64 * 1024
_MOST_DIGITS = 300
_BEYOND_JSON = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F]")
_SHAPES = 'Expected {"features": row or rows}, {"instances": [rows]} or a list of records.'
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_ANSWER_KEYS = {"features": "prediction", "instances": "predictions"}


class NativeRequest(NamedTuple):
    """A decoded request, and the key that its answer goes under."""

    inference: InferenceRequest
    answer_key: str


def decode(method: str, content_type: bytes | None, body: bytes) -> NativeRequest:
    """Read a request body.

    Parameters
    ----------
    method
        The method of the model that is asked.
    content_type
        The header of that name, if there was one.
    body
        The body.

    Raises
    ------
    RequestError
        415 if it is no JSON by its Content-Type, 413 if it holds too many rows or values, 400 if
        it is malformed.
    """
    if content_type is not None and content_type != b"application/json":
        check_content_type(content_type)
    check_size(body)
    document = parse_json(body)
    if type(document) is dict:
        key = _only_key(document)
        return NativeRequest(InferenceRequest(method, document[key]), _ANSWER_KEYS[key])
    if type(document) is list:
        return NativeRequest(InferenceRequest(method, document), method)
    message = f"The body is {_kind(document)}. {_SHAPES}"
    raise RequestError(message)


def _only_key(document: dict[str, Any]) -> str:
    has_features, has_instances = "features" in document, "instances" in document
    if has_features != has_instances:
        return "features" if has_features else "instances"
    has = "both keys" if has_features else f"the keys {sorted(map(str, document))[:10]}"
    message = f"The body has {has}. {_SHAPES}"
    raise RequestError(message)


def encode(prediction: Prediction, answer_key: str) -> bytes:
    """Write an answer; NaN and infinity become null, as JSON knows neither."""
    return dump_json({answer_key: prediction.output})


def check_content_type(content_type: bytes) -> None:
    """Refuse what is declared to be something else than JSON.

    A web page can post text/plain and forms to any server without asking first; JSON it cannot.
    """
    kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        message = f"Content-Type {kind[:80]!r} is not read here. Send application/json."
        raise RequestError(message, status=415)


def parse_json(body: bytes) -> Any:
    """Parse JSON, and what Python writes beyond it: NaN, Infinity, lone surrogates."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # Its words before and since version 3.13.
        if "ecursion limit" in error.msg or "depth limit" in error.msg:
            message = "The body is nested too deeply. " + _SHAPES
            raise RequestError(message) from None
        problem = f"{error.msg} at position {error.pos}"
    # The slow parser, and what it builds, is paid for only where it may do better.
    if len(body) <= _SMALL or _BEYOND_JSON.search(body) is not None:
        with suppress(ValueError, RecursionError):
            return json.loads(body, parse_int=_whole_number)
    message = f"The body is not JSON: {problem}."
    raise RequestError(message) from None


def _whole_number(digits: str) -> int | float:
    """Read a whole number; one beyond every float is infinite, as 1e999 is."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def check_size(body: bytes) -> None:
    """Refuse more rows or values than one request may hold, before they are made.

    Parsed, a few bytes become an object of many: 64 MiB of ``[],`` would take more than a gigabyte.
    """
    if len(body) <= MAX_ROWS:
        return
    rows = body.count(b"[") + body.count(b"{")
    values = body.count(b",") + rows
    for counted, limit, noun in ((rows, MAX_ROWS, "rows"), (values, MAX_VALUES, "values")):
        if counted > limit:
            message = (
                f"The body holds about {counted} {noun}; expected {limit} at most. "
                "Send them in several requests."
            )
            raise RequestError(message, status=413)


def dump_json(document: Any) -> bytes:
    """Write JSON; what is no JSON value (a label of an own class) is written as its text."""
    try:
        return orjson.dumps(document, str, _OPTIONS)
    except orjson.JSONEncodeError:
        # Lone surrogates and integers above 64 bits: the standard library writes both.
        exact = json.dumps(document, default=_plain)
        return json.dumps(json.loads(exact, parse_constant=lambda _: None)).encode()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _kind(document: Any) -> str:
    return "null" if document is None else f"a {type(document).__name__}"
