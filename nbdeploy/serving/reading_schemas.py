"""What OpenAPI says of the routes that tell of a service."""

from __future__ import annotations

from typing import Any

from nbdeploy.serving.error_schemas import ANY_ROUTE, READING, error_answers
from nbdeploy.serving.metrics_route import METRICS_PATH

__all__ = ["describe_readings"]

_TEXT = {"type": "string"}
_NUMBER = {"type": ["number", "null"]}
_LIVE = {
    "type": "object",
    "required": ["live"],
    "properties": {"live": {"type": "boolean", "const": True}},
}
_READY = {
    "type": "object",
    "required": ["ready", "status"],
    "properties": {"ready": {"type": "boolean"}, "status": _TEXT},
}
_PING = {
    "type": "object",
    "required": ["ping"],
    "properties": {"ping": {"type": "string", "description": "pong, or why it is not ready."}},
}
_INFO = {
    "type": "object",
    "required": ["name", "version", "model_type", "feature_count", "features", "input", "methods"],
    "properties": {
        "name": _TEXT,
        "version": _TEXT,
        "model_type": _TEXT,
        "feature_count": {"type": "integer"},
        "features": {"type": "array", "items": _TEXT},
        "input": {"enum": ["frame", "array", "values"]},
        "methods": {"type": "array", "items": _TEXT},
        "classes": {"type": ["array", "null"]},
        "digest": {"type": ["string", "null"]},
    },
}
_STATS = {
    "type": "object",
    "required": ["avg_latency", "max_latency", "error_rate", "total_predictions"],
    "properties": {
        "avg_latency": _NUMBER,
        "max_latency": _NUMBER,
        "error_rate": _NUMBER,
        "total_predictions": {"type": "integer"},
    },
}
_COUNTS = {
    "type": "object",
    "required": ["format", "uptime", "in_flight", "rates", "window", "series"],
}
_DRIFT = {
    "type": "object",
    "required": ["rows", "notes"],
    "properties": {
        "rows": {"type": "array", "items": {"type": "object"}},
        "notes": {"type": "array", "items": _TEXT},
    },
}
# What it is, under which heading, and the shape of the answer; not ready is told in that shape.
_READINGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    **dict.fromkeys(
        ("/health/live", "/livez", "/healthz", "/v2/health/live"),
        ("Is the process alive?", "Health", _LIVE),
    ),
    **dict.fromkeys(
        ("/health", "/health/ready", "/readyz", "/v2/health/ready"),
        ("Should requests come?", "Health", _READY),
    ),
    "/ping": ("Should requests come? As SageMaker, MLflow and vetiver ask it", "Health", _PING),
    "/model/info": ("What is served", "About", _INFO),
    "/stats": ("What the monitor counted", "About", _STATS),
    "/stats/counts": (
        "The same as counts, which those of other pods add up with",
        "About",
        _COUNTS,
    ),
    "/stats/drift": ("How far the rows have moved", "About", _DRIFT),
}


_ACCEPTED = {
    "type": "object",
    "required": ["accepted"],
    "properties": {
        "accepted": {"type": "boolean", "description": "Whether it was the first truth about it."}
    },
}


_EXPOSITIONS = ("text/plain", "application/openmetrics-text")


def describe_readings(document: dict[str, Any]) -> None:
    """Complete what FastAPI wrote of the routes that tell of a service."""
    for path, operations in document["paths"].items():
        known = _READINGS.get(path)
        for operation in operations.values():
            if path == "/feedback":
                operation["tags"] = ["Feedback"]
                operation["responses"] = {
                    "202": {"description": "Taken.", "content": _json(_ACCEPTED)},
                    **error_answers(path, (*ANY_ROUTE, 400, 404, 413, 415, 422)),
                }
                continue
            operation["responses"].pop("422", None)
            if path == METRICS_PATH:
                operation.update(summary="What the monitor counted, for Prometheus", tags=["About"])
                text = {kind: {"schema": _TEXT} for kind in _EXPOSITIONS}
                operation["responses"] = {
                    "200": {"description": "The metrics.", "content": text},
                    **error_answers(path, ANY_ROUTE),
                }
                continue
            if known is None:
                operation["responses"].update(error_answers(path, ANY_ROUTE))
                continue
            summary, tag, schema = known
            operation.update(summary=summary, tags=[tag])
            operation["responses"] = {
                "200": {"description": "The answer.", "content": _json(schema)},
                **error_answers(path, ANY_ROUTE if tag == "Health" else READING),
            }
            if schema in (_READY, _PING):
                operation["responses"]["503"] = {
                    "description": "Not ready for requests; see Retry-After.",
                    "content": _json(schema),
                }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
