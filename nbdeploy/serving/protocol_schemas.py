"""What OpenAPI says of the protocols beside the native one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nbdeploy.models.signature import Signature
from nbdeploy.serving import protocol_routes as routes
from nbdeploy.serving.error_schemas import ANY_ROUTE, PREDICTION, READING, error_answers
from nbdeploy.serving.protocol_examples import infer_example, scoring_examples, v1_examples
from nbdeploy.serving.protocol_routes import BINARY, JSON, Endpoint, Handler
from nbdeploy.serving.protocols.open_inference_request import CODECS
from nbdeploy.serving.protocols.tensors import DATATYPES
from nbdeploy.serving.routing import Route
from nbdeploy.serving.row_schemas import TABLE_CONTENT, columns_schema, records_schema, rows_schema

__all__ = ["describe_protocols"]

_OPEN_INFERENCE = "Open Inference Protocol (V2): KServe, Triton, MLServer"
_V1 = "V1: TensorFlow Serving, KServe, Vertex AI"
_MLFLOW = "MLflow and SageMaker"
_VETIVER = "vetiver"

_TEXT = {"type": "string"}
_LIST = {"type": "array", "items": {}}
_ERROR = {"$ref": "#/components/schemas/InferenceError"}
_OBJECT = {"type": "object"}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


_TENSOR_METADATA = _object(
    "name",
    "datatype",
    "shape",
    name=_TEXT,
    datatype={"enum": list(DATATYPES)},
    shape={"type": "array", "items": {"type": "integer", "minimum": -1}},
)
_MODEL_METADATA = _object(
    "name",
    "versions",
    "platform",
    "inputs",
    "outputs",
    name=_TEXT,
    versions={"type": "array", "items": _TEXT},
    platform=_TEXT,
    inputs={"type": "array", "items": _TENSOR_METADATA},
    outputs={"type": "array", "items": _TENSOR_METADATA},
)
_SIZES = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0},
    "minItems": 1,
    "maxItems": 8,
}
_CODEC = {"enum": [*CODECS, None]}
_INPUT = _object(
    "name",
    "shape",
    "datatype",
    name=_TEXT,
    shape=_SIZES,
    datatype={"enum": list(DATATYPES)},
    data={"type": ["array", "null"], "description": "The cells, flat or nested as the shape."},
    parameters={
        "type": ["object", "null"],
        "properties": {
            "content_type": _CODEC,
            "binary_data_size": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "The bytes of this tensor after the JSON.",
            },
        },
    },
)
_OUTPUT = _object(
    "name",
    "shape",
    "datatype",
    name=_TEXT,
    shape=_SIZES,
    datatype={"enum": list(DATATYPES)},
    data=_LIST,
    parameters=_OBJECT,
)
_INFER_ANSWER = _object(
    "model_name",
    "model_version",
    "id",
    "outputs",
    model_name=_TEXT,
    model_version=_TEXT,
    id=_TEXT,
    outputs={"type": "array", "items": _OUTPUT},
)
_READY = _object("name", "ready", name=_TEXT, ready={"type": "boolean"})
_STATUS = _object(
    "name",
    "ready",
    name=_TEXT,
    ready={"type": "boolean"},
    model_version_status={
        "type": "array",
        "items": _object("version", "state", "status", version=_TEXT, state=_TEXT, status=_OBJECT),
    },
)


def _infer_request(methods: Sequence[str]) -> dict[str, Any]:
    flags = {"type": ["boolean", "null"]}
    output = _object(
        "name",
        name={"enum": list(methods)},
        parameters={"type": ["object", "null"], "properties": {"binary_data": flags}},
    )
    return _object(
        "inputs",
        id={"type": ["string", "null"]},
        inputs={"type": "array", "minItems": 1, "items": _INPUT},
        outputs={"type": ["array", "null"], "items": output},
        parameters={
            "type": ["object", "null"],
            "properties": {"content_type": _CODEC, "binary_data_output": flags},
        },
    )


def _v1_request(signature: Signature, methods: Sequence[str]) -> dict[str, Any]:
    name = {"enum": ["serving_default", *methods, "", None]}
    return {
        "anyOf": [
            _object("instances", instances=rows_schema(signature), signature_name=name),
            _object("inputs", inputs=_columns(signature), signature_name=name),
        ]
    }


def _scoring_request(signature: Signature) -> dict[str, Any]:
    params = {"type": ["object", "null"]}
    records = records_schema(signature)
    split = _object(
        "data",
        columns={"type": ["array", "null"], "items": _TEXT},
        index={},
        data={
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "array",
                "minItems": signature.width,
                "maxItems": signature.width,
            },
        },
    )
    return {
        "anyOf": [
            _object("dataframe_split", dataframe_split=split, params=params),
            _object("dataframe_records", dataframe_records=records, params=params),
            _object("instances", instances=rows_schema(signature), params=params),
            _object("inputs", inputs=_columns(signature), params=params),
        ]
    }


def _columns(signature: Signature) -> dict[str, Any]:
    return {"anyOf": [columns_schema(signature), *rows_schema(signature)["anyOf"]]}


def _infer_content(route: Route) -> dict[str, Any]:
    methods = route.predictor.methods
    example = infer_example(route.signature, methods)
    return {
        JSON: {
            "schema": _infer_request(methods),
            "examples": {"one row": {"value": example}},
        },
        BINARY: {
            "schema": {"type": "string", "format": "binary"},
            "description": "The same JSON, its length in Inference-Header-Content-Length, and "
            "after it the bytes of the tensors that have a binary_data_size.",
        },
    }


def _v1_content(route: Route) -> dict[str, Any]:
    schema = _v1_request(route.signature, route.predictor.methods)
    return {JSON: {"schema": schema, "examples": _named(v1_examples(route.signature))}}


def _scoring_content(route: Route) -> dict[str, Any]:
    schema = _scoring_request(route.signature)
    examples = _named(scoring_examples(route.signature))
    return {JSON: {"schema": schema, "examples": examples}, **TABLE_CONTENT}


def _named(examples: dict[str, Any]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in examples.items()}


@dataclass(frozen=True)
class _Description:
    """What a handler reads and answers; its words are those of its docstring."""

    answer: dict[str, Any]
    statuses: tuple[int, ...] = READING
    content_type: str = JSON
    is_readiness: bool = False
    request: Callable[[Route], dict[str, Any]] | None = None
    other_types: tuple[str, ...] = ()


_DESCRIPTIONS: dict[Handler, _Description] = {
    routes.server_metadata: _Description(
        _object(
            "name",
            "version",
            "extensions",
            name=_TEXT,
            version=_TEXT,
            extensions={"type": "array", "items": _TEXT},
        ),
        ANY_ROUTE,
    ),
    routes.list_models: _Description(
        _object("models", models={"type": "array", "items": _TEXT}), ANY_ROUTE
    ),
    routes.repository_index: _Description(
        {
            "type": "array",
            "items": _object(
                "name", "version", "state", name=_TEXT, version=_TEXT, state=_TEXT, reason=_TEXT
            ),
        },
        (*ANY_ROUTE, 413, 415),
    ),
    routes.model_metadata: _Description(_MODEL_METADATA, (*READING, 504)),
    routes.model_ready: _Description(_READY, is_readiness=True),
    routes.infer: _Description(
        _INFER_ANSWER, PREDICTION, request=_infer_content, other_types=(BINARY,)
    ),
    routes.model_status: _Description(_STATUS, is_readiness=True),
    routes.predict_v1: _Description(
        {
            "anyOf": [_object("predictions", predictions=_LIST), _object("outputs", outputs=_LIST)],
        },
        PREDICTION,
        request=_v1_content,
    ),
    routes.invocations: _Description(
        _object("predictions", predictions=_LIST),
        PREDICTION,
        request=_scoring_content,
        other_types=tuple(TABLE_CONTENT),
    ),
    routes.server_version: _Description(_TEXT, ANY_ROUTE, content_type="text/plain"),
    routes.vetiver_metadata: _Description(
        _object("version", "required_pkgs", "python_version", version=_TEXT)
    ),
    routes.vetiver_prototype: _Description(_object("title", "type", "properties", "required")),
}


def describe_protocols(
    document: dict[str, Any],
    route: Route | None,
    *,
    names: Sequence[str],
    spoken: Sequence[Endpoint],
) -> None:
    """Add the protocols to an OpenAPI document.

    Parameters
    ----------
    document
        The document.
    route
        The model in force, or ``None`` while it loads: what asks the model is then left out.
    names
        The names of the models.
    spoken
        The endpoints that the service has.
    """
    for endpoint in spoken:
        described = _DESCRIPTIONS[endpoint.handler]
        if route is None and described.statuses is not ANY_ROUTE:
            continue
        operation = _operation(endpoint, described, route)
        if "{" in endpoint.path:
            operation["parameters"] = _parameters(endpoint.path, route, names)
        document["paths"].setdefault(endpoint.path, {})[endpoint.verb.lower()] = operation


def _operation(endpoint: Endpoint, described: _Description, route: Route | None) -> dict[str, Any]:
    statuses = set(described.statuses)
    if "{" in endpoint.path:
        statuses.add(404)
    answers = error_answers(endpoint.path, statuses)
    content = {described.content_type: {"schema": described.answer}}
    for other in described.other_types:
        content[other] = {"schema": {"type": "string", "format": "binary"}}
    answers["200"] = {"description": "The answer.", "content": content}
    if described.request is not None:
        answers["200"]["headers"] = {"X-Model-Version": {"schema": _TEXT, "required": True}}
    if described.is_readiness:
        answers["503"] = {
            "description": "Not ready for requests; see Retry-After.",
            "content": {JSON: {"schema": {"anyOf": [described.answer, _ERROR]}}},
        }
    operation: dict[str, Any] = {
        "summary": (endpoint.handler.__doc__ or "").partition("\n")[0].rstrip("."),
        "operationId": _identifier(endpoint),
        "tags": [_tag(endpoint.path)],
        "responses": dict(sorted(answers.items())),
    }
    if described.request is not None and route is not None:
        operation["requestBody"] = {"required": True, "content": described.request(route)}
    return operation


def _identifier(endpoint: Endpoint) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", endpoint.path.lower()).strip("_")
    return f"{endpoint.verb.lower()}_{words}"


def _tag(path: str) -> str:
    starts = {"/v2": _OPEN_INFERENCE, "/v1": _V1, "/invocations": _MLFLOW, "/version": _MLFLOW}
    return next((tag for start, tag in starts.items() if path.startswith(start)), _VETIVER)


def _parameters(path: str, route: Route | None, names: Sequence[str]) -> list[dict[str, Any]]:
    known = {"name": list(names)}
    if "{version}" in path and route is not None:
        known["version"] = [route.version]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": values}}
        for name, values in known.items()
    ]
