"""The OpenAPI description: what the model learned about its rows, written for clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from nbdeploy.models.signature import Signature
from nbdeploy.serving.error_schemas import PREDICTION, add_error_schemas, error_answers
from nbdeploy.serving.protocol_routes import Endpoint
from nbdeploy.serving.protocol_schemas import describe_protocols
from nbdeploy.serving.reading_schemas import describe_readings
from nbdeploy.serving.routing import Route
from nbdeploy.serving.row_schemas import TABLE_CONTENT, columns_schema, row_schemas, rows_schema
from nbdeploy.serving.security import AccessPolicy

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


_WITH_ID: dict[str, Any] = {
    "name": "with_id",
    "in": "query",
    "required": False,
    "schema": {"type": "boolean", "default": False},
    "description": "Answer with X-Prediction-ID, to tell the truth about it with POST /feedback.",
}


def describe_paths(
    document: dict[str, Any],
    route: Route | None,
    *,
    names: Sequence[str],
    spoken: Sequence[Endpoint],
    access: AccessPolicy,
) -> None:
    """Complete an OpenAPI document in place.

    Parameters
    ----------
    document
        What FastAPI wrote of the routes that it knows.
    route
        The model in force, or ``None`` while it loads.
    names
        The names of the models.
    spoken
        The endpoints of the protocols beside the native one.
    access
        What callers must show.
    """
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    add_error_schemas(schemas)
    describe_readings(document)
    readings = document["paths"]
    document["paths"] = {}
    if route is not None:
        schemas["Row"] = {
            **route.signature.row_schema(),
            "examples": [route.signature.example_row()],
        }
        for method in route.predictor.methods:
            document["paths"][f"/{method}"] = {"post": _operation(method, route)}
    describe_protocols(document, route, names=names, spoken=spoken)
    document["paths"].update(readings)
    # Relative to this document: right directly and behind every proxy.
    document["servers"] = [{"url": "./"}]
    if access.token is not None:
        for path in access.open_paths & document["paths"].keys():
            for operation in document["paths"][path].values():
                operation["security"] = []
                del operation["responses"]["401"]
        components_security = document["components"].setdefault("securitySchemes", {})
        components_security["bearer"] = {"type": "http", "scheme": "bearer"}
        components_security["key"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        document["security"] = [{"bearer": []}, {"key": []}]


def _operation(method: str, route: Route) -> dict[str, Any]:
    row = route.signature.example_row()
    return {
        "summary": f"{route.predictor.model_type}.{method}",
        "operationId": method,
        "tags": ["Predict"],
        "description": "One row or many; the answer has one item a row, in the same order.",
        "parameters": [_WITH_ID],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _request_schema(route.signature),
                    "examples": {
                        "one row": {"value": {"features": row}},
                        "rows": {"value": {"instances": [row, row]}},
                    },
                },
                **TABLE_CONTENT,
            },
        },
        "responses": {"200": _answer(method), **error_answers(f"/{method}", PREDICTION)},
    }


def _request_schema(signature: Signature) -> dict[str, Any]:
    rows = rows_schema(signature)
    features = [*row_schemas(signature), *rows["anyOf"], columns_schema(signature)]
    return {
        "anyOf": [
            {
                "title": "features",
                "type": "object",
                "required": ["features"],
                "properties": {"features": {"anyOf": features}},
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
            },
            **TABLE_CONTENT,
        },
    }
