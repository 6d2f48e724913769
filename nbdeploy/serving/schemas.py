"""The OpenAPI description: what the model learned about its rows, written for clients."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from nbdeploy.serving.routing import Route

__all__ = ["PredictionRequest", "describe_paths"]


class PredictionRequest(BaseModel):
    """The body of ``POST /predict``.

    Parameters
    ----------
    features
        One row (a list of values, or a dict by column name), or a list of rows.

    Examples
    --------
    >>> PredictionRequest(features=[5.1, 3.5, 1.4, 0.2]).model_dump_json()
    '{"features":[5.1,3.5,1.4,0.2]}'
    """

    model_config = ConfigDict(extra="forbid")

    features: list[Any] | dict[str, Any]


_ERRORS = {
    400: "The body is not JSON, or has none of the accepted keys.",
    401: "The token is missing or wrong.",
    403: "A page of another origin may not call.",
    404: "The model has no such method.",
    413: "The body is larger than the service reads.",
    415: "The Content-Type is not read here.",
    421: "The service does not answer under this Host name.",
    422: "The rows do not fit the model; the error names row, column and value.",
    500: "The model itself raised.",
    503: "Too many requests wait, or the service is starting or stopping; see Retry-After.",
    504: "No answer within the time limit.",
}
_ANY_ROUTE = (401, 403, 421)

_WITH_ID: dict[str, Any] = {
    "name": "with_id",
    "in": "query",
    "required": False,
    "schema": {"type": "boolean", "default": False},
    "description": "Answer with X-Prediction-ID, to tell the truth about it with POST /feedback.",
}

ERROR_SCHEMA: dict[str, Any] = {
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
}


def describe_paths(document: dict[str, Any], route: Route | None, *, needs_token: bool) -> None:
    """Complete an OpenAPI document in place.

    Parameters
    ----------
    document
        What FastAPI wrote of the routes that it knows.
    route
        The model in force, or ``None`` while it loads.
    needs_token
        Whether callers must send a token.
    """
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components["Error"] = ERROR_SCHEMA
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].update(_error_answers(_ANY_ROUTE))
    if route is not None:
        components["Row"] = _row_schema(route)
        for method in route.predictor.methods:
            document["paths"][f"/{method}"] = {"post": _operation(method, route)}
    # Relative to this document: right directly and behind every proxy.
    document["servers"] = [{"url": "./"}]
    if needs_token:
        components_security = document["components"].setdefault("securitySchemes", {})
        components_security["bearer"] = {"type": "http", "scheme": "bearer"}
        components_security["key"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        document["security"] = [{"bearer": []}, {"key": []}]


def _row_schema(route: Route) -> dict[str, Any]:
    return {**route.signature.row_schema(), "examples": [route.signature.example_row()]}


def _operation(method: str, route: Route) -> dict[str, Any]:
    row = route.signature.example_row()
    return {
        "summary": f"{route.predictor.model_type}.{method}",
        "operationId": method,
        "description": "One row or many; the answer has one item a row, in the same order.",
        "parameters": [_WITH_ID],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _request_schema(route),
                    "examples": {
                        "one row": {"value": {"features": row}},
                        "rows": {"value": {"instances": [row, row]}},
                    },
                }
            },
        },
        "responses": {"200": _answer(method), **_error_answers(_ERRORS)},
    }


def _request_schema(route: Route) -> dict[str, Any]:
    row: dict[str, Any] = {"$ref": "#/components/schemas/Row"}
    if route.signature.kind == "frame":
        values = {"type": "array", "description": "Values in the order of the columns."}
        row = {"anyOf": [row, values]}
    rows = {"type": "array", "items": row, "minItems": 1}
    return {
        "anyOf": [
            {
                "title": "features",
                "type": "object",
                "required": ["features"],
                "properties": {"features": {"anyOf": [row, rows]}},
            },
            {
                "title": "instances",
                "type": "object",
                "required": ["instances"],
                "properties": {"instances": rows},
            },
            {"title": "records", **rows},
        ]
    }


def _answer(method: str) -> dict[str, Any]:
    items = {"type": "array", "items": {}}
    keys = dict.fromkeys(("prediction", "predictions", method), items)
    return {
        "description": "One answer a row.",
        "headers": {
            "X-Model-Version": {
                "schema": {"type": "string"},
                "description": "The version of the model that answered.",
            },
            "X-Prediction-ID": {
                "schema": {"type": "string"},
                "description": "Names the answer for POST /feedback, where it was asked for or "
                "several versions are tried.",
            },
        },
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": keys, "minProperties": 1}
            }
        },
    }


def _error_answers(statuses: Any) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        str(status): {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": schema}},
        }
        for status in statuses
    }
