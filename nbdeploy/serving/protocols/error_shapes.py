"""Every error in the shape of the protocol that was spoken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbdeploy.serving.errors import ErrorAnswer

__all__ = ["in_shape_of"]

_DOES_NOT_FIT = 422
_BAD_REQUEST = 400
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def in_shape_of(path: str, answer: ErrorAnswer) -> ErrorAnswer:
    """Write an error as the protocol behind a path writes its errors.

    Parameters
    ----------
    path
        The path of the request.
    answer
        The error in the native shape.

    Examples
    --------
    >>> native = ErrorAnswer(422, {"detail": "Row 0 has 3 values.", "error": {"type": "..."}})
    >>> in_shape_of("/v2/models/iris/infer", native)
    ErrorAnswer(status=400, body={'error': 'Row 0 has 3 values.'}, headers={})
    """
    shape = _shape(path)
    if shape is None:
        return answer
    status = _BAD_REQUEST if answer.status == _DOES_NOT_FIT else answer.status
    return ErrorAnswer(status, shape(answer), answer.headers)


def _shape(path: str) -> Callable[[ErrorAnswer], dict[str, Any]] | None:
    if path == "/v2" or path.startswith(("/v2/", "/v1/")):
        return _open_inference
    return _mlflow if path in {"/invocations", "/version"} else None


def _open_inference(answer: ErrorAnswer) -> dict[str, Any]:
    return {"error": answer.body["detail"]}


def _mlflow(answer: ErrorAnswer) -> dict[str, Any]:
    code = _CODES.get(answer.status, "BAD_REQUEST")
    if answer.status == _DOES_NOT_FIT:
        code = "INVALID_PARAMETER_VALUE"
    return {"error_code": code, "message": answer.body["detail"]}
