"""The one table from errors to HTTP answers, and back for the client."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbdeploy.exceptions import (
    DeadlineError,
    NbdeployError,
    OverloadedError,
    PredictionError,
    RequestError,
    ScalingError,
    ServingError,
    SignatureError,
    StoppedError,
    UnknownPredictionError,
    VersionError,
)

__all__ = ["ErrorAnswer", "answer_of", "error_of"]

_STATUS: tuple[tuple[type[NbdeployError], int], ...] = (
    (SignatureError, 422),
    (VersionError, 404),
    (UnknownPredictionError, 404),
    (OverloadedError, 503),
    (StoppedError, 503),
    (ScalingError, 503),
    (DeadlineError, 504),
    (PredictionError, 500),
)

_SIGNATURE_FIELDS = ("row", "column", "value", "expected", "suggestion")


@dataclass(frozen=True)
class ErrorAnswer:
    """An error as it goes over the wire: ``{"detail": sentence, "error": {"type": ..., ...}}``."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def answer_of(error: BaseException) -> ErrorAnswer:
    """Turn an error into the answer that a caller gets.

    An error that nbdeploy did not raise on purpose becomes a bare 500: its text could hold rows,
    paths or secrets, and stays in ``service.errors()``.
    """
    if not isinstance(error, NbdeployError):
        return _answer(500, "InternalError", "The service failed. Its owner sees why in errors().")
    if isinstance(error, RequestError):
        return _answer(error.status or 400, "RequestError", str(error))
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    details: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, SignatureError):
        details = {name: _plain(getattr(error, name)) for name in _SIGNATURE_FIELDS}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, (StoppedError, ScalingError)):
        headers["Retry-After"] = "1"
    return _answer(status, type(error).__name__, str(error), details, headers)


def _answer(
    status: int,
    kind: str,
    message: str,
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> ErrorAnswer:
    body = {"detail": message, "error": {"type": kind, **(details or {})}}
    return ErrorAnswer(status, body, headers or {})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def error_of(status: int, body: Any, *, retry_after: str | None = None) -> NbdeployError:
    """Rebuild from an answer the error that the server raised.

    Parameters
    ----------
    status
        The HTTP status, 400 or above.
    body
        The decoded JSON body, or text when it was none.
    retry_after
        The header of that name, in seconds.
    """
    error = body.get("error") if isinstance(body, dict) else None
    details: dict[str, Any] = error if isinstance(error, dict) else {}
    message = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(message, str):
        message = f"The server answered {status}: {str(body)[:200]}"
    kind = details.get("type")
    if kind == "SignatureError":
        fields: dict[str, Any] = {name: details.get(name) for name in _SIGNATURE_FIELDS}
        return SignatureError(message, **fields)
    if kind == "OverloadedError":
        return OverloadedError(message, retry_after=_seconds(retry_after))
    for known, _ in _STATUS:
        if kind == known.__name__:
            return known(message)
    if kind == "InternalError":
        return ServingError(message)
    return RequestError(message, status=status)


def _seconds(text: str | None) -> float:
    try:
        return float(text or 1.0)
    except ValueError:
        return 1.0
