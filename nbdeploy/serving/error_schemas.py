"""What OpenAPI says of errors: their statuses, and their shape in each protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nbdeploy.serving.errors import ErrorAnswer
from nbdeploy.serving.protocols.error_shapes import in_shape_of

__all__ = ["ANY_ROUTE", "PREDICTION", "READING", "add_error_schemas", "error_answers"]

ANY_ROUTE = (401, 403, 405, 421)
"""What any route may answer, before it looks at what is asked."""

READING = (*ANY_ROUTE, 503)
"""What a route may answer that tells of the model."""

PREDICTION = (*ANY_ROUTE, 400, 404, 413, 415, 422, 500, 503, 504)
"""What a route may answer that asks the model."""

_DESCRIPTIONS = {
    400: "The body is malformed.",
    401: "The token is missing or wrong.",
    403: "A page of another origin may not call.",
    404: "There is no such model, version or method.",
    405: "The path is asked with another verb; see Allow.",
    413: "The body is larger than the service reads.",
    415: "The Content-Type is not read here.",
    421: "The service does not answer under this Host name.",
    422: "The rows do not fit the model; the error names row, column and value.",
    500: "The model itself raised.",
    503: "Too many requests wait, or the service is starting or stopping; see Retry-After.",
    504: "No answer within the time limit.",
}
_DOES_NOT_FIT = 422

_SCHEMAS: dict[str, dict[str, Any]] = {
    "Error": {
        "type": "object",
        "required": ["detail", "error"],
        "properties": {
            "detail": {"type": "string", "description": "What happened, and what to do."},
            "error": {
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {"type": "string", "examples": ["SignatureError"]},
                    "row": {"type": ["integer", "null"]},
                    "column": {"type": ["string", "integer", "null"]},
                    "value": {},
                    "expected": {"type": ["string", "null"]},
                    "suggestion": {"type": ["string", "null"]},
                },
            },
        },
    },
    "InferenceError": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string", "description": "What happened."}},
    },
    "MlflowError": {
        "type": "object",
        "required": ["error_code", "message"],
        "properties": {
            "error_code": {"type": "string", "examples": ["BAD_REQUEST"]},
            "message": {"type": "string", "description": "What happened, and what to do."},
        },
    },
}


def add_error_schemas(schemas: dict[str, Any]) -> None:
    """Put the shapes of all errors among the schemas of a document."""
    schemas.update(_SCHEMAS)


def error_answers(path: str, statuses: Iterable[int]) -> dict[str, Any]:
    """Describe the errors of a route.

    Parameters
    ----------
    path
        The path, which tells the protocol.
    statuses
        What it may answer in the native protocol.
    """
    written = {status: in_shape_of(path, _sample(status)) for status in statuses}
    answers: dict[str, Any] = {}
    for status, answer in sorted(written.items()):
        described = answers.get(str(answer.status), {}).get("description")
        text = _DESCRIPTIONS[status]
        answers[str(answer.status)] = {
            "description": f"{described} {text}" if described else text,
            "content": {"application/json": {"schema": _reference(answer)}},
        }
    return answers


def _sample(status: int) -> ErrorAnswer:
    return ErrorAnswer(status, {"detail": "", "error": {"type": "", "row": None}})


def _reference(answer: ErrorAnswer) -> dict[str, str]:
    name = next(
        name for name, schema in _SCHEMAS.items() if set(schema["required"]) == set(answer.body)
    )
    return {"$ref": f"#/components/schemas/{name}"}
