"""The chapter's protocol: ``{"features": ...}`` in, ``{"prediction": [...]}`` out.

Also ``{"instances": [...]}`` -> ``{"predictions": [...]}``, and a top-level list of records ->
``{"<method>": [...]}``. A body without Content-Type is read as JSON: many clients send none. By
Content-Type rows may come as a table (CSV, npy, Arrow, Parquet), and by Accept answers go as one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import orjson

from nbdeploy.exceptions import RequestError
from nbdeploy.models.quick_rows import QUICK_ROWS
from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import InferenceRequest, Prediction
from nbdeploy.serving.protocols.collector import uncollected
from nbdeploy.serving.protocols.sizes import check_json_size
from nbdeploy.serving.protocols.tables import TABLES, is_table, read_table, write_table

__all__ = [
    "JSON_FORMATS",
    "TIMEOUT_HEADER",
    "Formats",
    "NativeRequest",
    "decode",
    "encode",
    "formats_of",
    "seconds_of",
    "table_wanted",
]

_LARGE = 4 * 1024
_MANY = QUICK_ROWS + 1
_SMALL = 64 * 1024
_MOST_DIGITS = 300
_BEYOND_JSON = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F]")
_SHAPES = 'Expected {"features": row or rows}, {"instances": [rows]} or a list of records.'
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_ANY = frozenset({b"*/*", b"application/json"})
TIMEOUT_HEADER = b"x-request-timeout"
_ANSWER_KEYS = {"features": "prediction", "instances": "predictions"}


class NativeRequest(NamedTuple):
    """A decoded request, and the key that its answer goes under."""

    inference: InferenceRequest
    answer_key: str


class Formats(NamedTuple):
    """How a body is written, and how its answer shall be: media types, ``None`` for JSON.

    Also in how many seconds, as the caller wrote it.
    """

    body: bytes | None = None
    answer: str | None = None
    within: bytes | None = None


JSON_FORMATS = Formats()


def formats_of(headers: Iterable[tuple[bytes, bytes]]) -> Formats:
    """Read Content-Type, Accept and X-Request-Timeout.

    Parameters
    ----------
    headers
        Names in lower case, and values.
    """
    body = answer = within = None
    for name, value in headers:
        if name == b"content-type":
            body = value
        elif name == b"accept" and value not in _ANY:
            answer = table_wanted(value.decode("latin-1"))
        elif name == TIMEOUT_HEADER:
            within = value
    is_usual = body is None and answer is None and within is None
    return JSON_FORMATS if is_usual else Formats(body, answer, within)


def seconds_of(within: bytes) -> float:
    """Read how long a caller waits.

    Raises
    ------
    RequestError
        If it is no number of seconds.

    Examples
    --------
    >>> seconds_of(b"0.5")
    0.5
    """
    try:
        seconds = float(within)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        text = within.decode("latin-1")[:40]
        message = f"X-Request-Timeout is {text!r}; expected seconds, such as 0.5."
        raise RequestError(message)
    return seconds


def table_wanted(accept: str) -> str | None:
    """Choose what the caller likes best; JSON when nothing that is asked for can be written."""
    wanted: list[tuple[float, str]] = []
    for part in accept.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        weights = [word[2:] for word in parameters if word.startswith("q=")]
        try:
            wanted.append((-float(weights[0]) if weights else -1.0, kind))
        except ValueError:
            continue
    for weight, kind in sorted(wanted, key=itemgetter(0)):
        if weight < 0 and is_table(kind):
            return kind
        if weight < 0 and kind in {"application/json", "application/*", "*/*"}:
            return None
    return None


def decode(
    method: str,
    content_type: bytes | None,
    body: bytes,
    signature: Callable[[], Signature] | None = None,
) -> NativeRequest:
    """Read a request body.

    Parameters
    ----------
    method
        The method of the model that is asked.
    content_type
        The header of that name, if there was one.
    body
        The body.
    signature
        Gives the columns of the model; a table needs them.

    Raises
    ------
    RequestError
        415 if it is neither JSON nor a table by its Content-Type, 413 if it holds too many rows
        or values, 400 if it is malformed.
    """
    if content_type is not None and content_type != b"application/json":
        kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
        if signature is not None and is_table(kind):
            return NativeRequest(
                InferenceRequest(method, read_table(kind, body, signature())), "prediction"
            )
        check_content_type(content_type)
    check_json_size(body)
    if len(body) < _LARGE:
        return _from_document(method, parse_json(body))
    return uncollected(lambda: _packed(_from_document(method, parse_json(body)), signature))


def _packed(request: NativeRequest, signature: Callable[[], Signature] | None) -> NativeRequest:
    rows = request.inference.rows
    if signature is None or type(rows) is not list or len(rows) < _MANY:
        return request
    asked = request.inference._replace(rows=signature().packed(rows))
    return NativeRequest(asked, request.answer_key)


def _from_document(method: str, document: Any) -> NativeRequest:
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


def encode(prediction: Prediction, answer_key: str, kind: str | None = None) -> bytes:
    """Write an answer.

    Parameters
    ----------
    prediction
        The answers; NaN and infinity become null in JSON, which knows neither.
    answer_key
        What they are called.
    kind
        The media type of a table, JSON otherwise.
    """
    if kind is not None:
        return write_table(kind, answer_key, prediction.output)
    return dump_json({answer_key: prediction.output})


def check_content_type(content_type: bytes) -> None:
    """Refuse what is declared to be something else than JSON.

    A web page can post text/plain and forms to any server without asking first; JSON it cannot.
    """
    kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        message = (
            f"Content-Type {kind[:80]!r} is not read here. Send application/json, or a table: "
            f"{', '.join(TABLES)}."
        )
        raise RequestError(message, status=415)


def parse_json(body: bytes) -> Any:
    """Parse JSON, and what Python writes beyond it: NaN, Infinity, lone surrogates."""
    try:
        return orjson.loads(body) if len(body) < _LARGE else uncollected(lambda: orjson.loads(body))
    except orjson.JSONDecodeError as error:
        # Its words before and since version 3.13.
        if "ecursion limit" in error.msg or "depth limit" in error.msg:
            message = "The body is nested too deeply. Expected rows: lists or objects of values."
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
