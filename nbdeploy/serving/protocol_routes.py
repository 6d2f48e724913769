"""Which path leads to which protocol: a table, and the few lines that answer each.

The adapters in `nbdeploy.serving.protocols` decode and encode; here their requests find their model
and go through the one path of a prediction, `Inference.predict`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from nbdeploy.exceptions import PredictionError, RequestError, SignatureError
from nbdeploy.serving.asgi import Reply
from nbdeploy.serving.health import Health
from nbdeploy.serving.inference import Inference, InferenceRequest, Prediction
from nbdeploy.serving.protocols import (
    mlflow,
    open_inference_answer,
    open_inference_request,
    prediction_v1,
    vetiver,
)
from nbdeploy.serving.protocols.native import (
    TIMEOUT_HEADER,
    dump_json,
    seconds_of,
    table_wanted,
)
from nbdeploy.serving.routing import Route
from nbdeploy.serving.served_models import ServedModel, ServedModels

__all__ = [
    "BINARY",
    "ENDPOINTS",
    "JSON",
    "Call",
    "Context",
    "Endpoint",
    "Handler",
    "endpoints",
]

JSON = "application/json"
BINARY = "application/octet-stream"
TEXT = b"text/plain; charset=utf-8"
JSON_LENGTH_HEADER = "inference-header-content-length"

_UNREAD_TYPE = 415


class Call(NamedTuple):
    """A request that has found its endpoint."""

    names: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    started: float | None = None


@dataclass(frozen=True, eq=False)
class Context:
    """What the endpoints of one service have to do with."""

    models: ServedModels
    health: Health
    # What a method answers for a row, learned when somebody asks; it goes with its model.
    samples: WeakKeyDictionary[Route, list[tuple[str, list[Any] | None]]] = field(
        default_factory=WeakKeyDictionary
    )


Handler = Callable[[Call, Context], Awaitable[Reply]]


class Endpoint(NamedTuple):
    """A path with names in braces, the verb that it takes, and what answers it."""

    verb: str
    path: str
    handler: Handler


def _json(document: Any) -> Reply:
    return Reply(200, dump_json(document))


def _not_ready(document: Any) -> Reply:
    return Reply(503, dump_json(document), ((b"retry-after", b"1"),))


def _predicted(
    prediction: Prediction, body: bytes, kind: str = JSON, *more: tuple[bytes, bytes]
) -> Reply:
    if prediction.look is not None:
        prediction.look.encoded()
    headers = [(b"x-model-version", prediction.version.encode("latin-1")), *more]
    if prediction.id is not None:
        headers.append((b"x-prediction-id", prediction.id.encode()))
    return Reply(200, body, tuple(headers), kind.encode())


def _model(call: Call, context: Context) -> ServedModel:
    return context.models.find(call.names.get("name"), call.names.get("version"))


async def server_metadata(_: Call, __: Context) -> Reply:
    """Tell what the server is."""
    return _json(
        {
            "name": "nbdeploy",
            "version": version_of("nbdeploy"),
            "extensions": ["binary_tensor_data"],
        }
    )


async def list_models(_: Call, context: Context) -> Reply:
    """Tell which models there are."""
    return _json({"models": context.models.names})


async def repository_index(_: Call, context: Context) -> Reply:
    """Tell which models there are, with their state."""
    is_ready, state = context.health.readiness()
    listed = []
    for name in context.models.names:
        route = context.models.find(name).inference.route
        listed.append(
            {
                "name": name,
                "version": route.version if route is not None else "",
                "state": "READY" if is_ready else "UNAVAILABLE",
                "reason": "" if is_ready else state,
            }
        )
    return _json(listed)


async def model_ready(call: Call, context: Context) -> Reply:
    """Tell whether a model is ready."""
    name, _ = _model(call, context)
    is_ready, _ = context.health.readiness()
    if is_ready:
        return _json({"name": name, "ready": True})
    return _not_ready({"name": name, "ready": False})


async def model_metadata(call: Call, context: Context) -> Reply:
    """Tell what a model takes and gives."""
    name, inference = _model(call, context)
    route = inference.current_route()
    if route not in context.samples:
        context.samples[route] = await _samples(inference, route)
    return _json(
        open_inference_answer.model_metadata(
            name,
            route.version,
            platform=_platform(route.model),
            signature=route.signature,
            samples=context.samples[route],
        )
    )


def _platform(model: Any) -> str:
    library = type(model).__module__.partition(".")[0]
    is_plain = library == "__main__" or library in sys.stdlib_module_names
    return "python" if is_plain else f"{library}_python"


async def _samples(inference: Inference, route: Route) -> list[tuple[str, list[Any] | None]]:
    """Ask each method for the made-up row: nothing else tells what a model gives."""
    found: list[tuple[str, list[Any] | None]] = []
    for method in route.predictor.methods:
        try:
            question = route.question(method, [route.signature.example_row()])
            found.append((method, await inference.batcher.submit(question)))
        except (PredictionError, SignatureError):
            # The made-up row may be one that this model cannot take.
            found.append((method, None))
    return found


async def infer(call: Call, context: Context) -> Reply:
    """Answer an infer request of the Open Inference Protocol."""
    name, inference = _model(call, context)
    route = inference.current_route()
    _check_type(call, BINARY)
    asked = open_inference_request.decode(
        call.body,
        call.headers.get(JSON_LENGTH_HEADER),
        signature=route.signature,
        methods=route.predictor.methods,
    )
    methods = [output.method for output in asked.outputs]
    predictions = await _predict_all(inference, methods, asked.rows, call)
    body, json_length = open_inference_answer.encode(asked, predictions, model_name=name)
    if json_length is None:
        return _predicted(predictions[0], body)
    length = (JSON_LENGTH_HEADER.encode(), b"%d" % json_length)
    return _predicted(predictions[0], body, BINARY, length)


async def _predict(inference: Inference, request: InferenceRequest, call: Call) -> Prediction:
    """Predict with the version that the request, or else chance, chooses, in the time it has."""
    request = request._replace(within=_within(call))
    junction = inference.junction
    if junction is None:
        return await inference.predict(request, started=call.started)
    headers = ((name.encode(), value.encode("latin-1")) for name, value in call.headers.items())
    key = junction.key_of(headers, call.body)
    return await junction.predict(request, key, started=call.started)


def _within(call: Call) -> float | None:
    text = call.headers.get(TIMEOUT_HEADER.decode())
    return None if text is None else seconds_of(text.encode("latin-1"))


async def _predict_all(
    inference: Inference, methods: Sequence[str], rows: Any, call: Call
) -> list[Prediction]:
    """Ask for several outputs, all of one version, whatever is deployed meanwhile."""
    route, junction = inference.current_route(), inference.junction
    first = await _predict(inference, InferenceRequest(methods[0], rows), call)
    routes = (route,) if junction is None else junction.traffic().routes
    pinned = next((each for each in routes if each.version == first.version), route)
    others = [
        await inference.predict(InferenceRequest(method, rows, _within(call)), route=pinned)
        for method in methods[1:]
    ]
    return [first, *others]


async def predict_v1(call: Call, context: Context) -> Reply:
    """Answer a predict request of TensorFlow Serving, KServe V1 or Vertex AI."""
    _, inference = _model(call, context)
    route = inference.current_route()
    _check_type(call)
    request, key = prediction_v1.decode(
        call.body, signature=route.signature, methods=route.predictor.methods
    )
    prediction = await _predict(inference, request, call)
    return _predicted(prediction, prediction_v1.encode(prediction, key))


async def model_status(call: Call, context: Context) -> Reply:
    """Tell the state of a model in the words of V1."""
    name, inference = _model(call, context)
    is_ready, _ = context.health.readiness()
    if not is_ready:
        return _not_ready({"name": name, "ready": False})
    return _json(prediction_v1.model_status(name, inference.current_route().version))


async def invocations(call: Call, context: Context) -> Reply:
    """Answer a scoring request of MLflow or SageMaker."""
    _, inference = context.models.find()
    route = inference.current_route()
    rows = mlflow.decode(call.headers.get("content-type"), call.body, signature=route.signature)
    request = InferenceRequest(route.predictor.methods[0], rows)
    prediction = await _predict(inference, request, call)
    kind = table_wanted(call.headers.get("accept", ""))
    return _predicted(prediction, mlflow.encode(prediction, kind), kind or JSON)


async def server_version(_: Call, __: Context) -> Reply:
    """Tell the version of the server as bare text, as MLflow's scoring server does."""
    return Reply(200, version_of("nbdeploy").encode(), kind=TEXT)


async def vetiver_metadata(_: Call, context: Context) -> Reply:
    """Tell what vetiver's clients ask: the version and what it needs."""
    route = context.models.find().inference.current_route()
    return _json(vetiver.metadata(route.version, route.model))


async def vetiver_prototype(_: Call, context: Context) -> Reply:
    """Describe a record of the input."""
    return _json(vetiver.prototype(context.models.find().inference.current_route().signature))


def _check_type(call: Call, *also: str) -> None:
    content_type = call.headers.get("content-type")
    if content_type is None:
        return
    kind = content_type.partition(";")[0].strip().lower()
    if kind != JSON and not kind.endswith("+json") and kind not in also:
        wanted = " or ".join((JSON, *also))
        message = f"Content-Type {kind[:80]!r} is not read here. Send {wanted}."
        raise RequestError(message, status=_UNREAD_TYPE)


_V2_MODEL = "/v2/models/{name}"
_V2_VERSION = f"{_V2_MODEL}/versions/{{version}}"
_V1_MODEL = "/v1/models/{name}"
_V1_VERSION = f"{_V1_MODEL}/versions/{{version}}"

ENDPOINTS = (
    Endpoint("GET", "/v2", server_metadata),
    Endpoint("GET", "/v2/models", list_models),
    Endpoint("POST", "/v2/repository/index", repository_index),
    Endpoint("GET", _V2_MODEL, model_metadata),
    Endpoint("GET", _V2_VERSION, model_metadata),
    Endpoint("GET", f"{_V2_MODEL}/ready", model_ready),
    Endpoint("GET", f"{_V2_VERSION}/ready", model_ready),
    Endpoint("POST", f"{_V2_MODEL}/infer", infer),
    Endpoint("POST", f"{_V2_VERSION}/infer", infer),
    Endpoint("GET", "/v1/models", list_models),
    Endpoint("GET", _V1_MODEL, model_status),
    Endpoint("GET", _V1_VERSION, model_status),
    Endpoint("POST", f"{_V1_MODEL}:predict", predict_v1),
    Endpoint("POST", f"{_V1_VERSION}:predict", predict_v1),
    Endpoint("POST", "/invocations", invocations),
    Endpoint("GET", "/version", server_version),
    Endpoint("GET", "/metadata", vetiver_metadata),
    Endpoint("GET", "/prototype", vetiver_prototype),
)
"""The protocols that every service speaks, beside the native one and the routes of health."""


def endpoints(environment: Mapping[str, str] | None = None) -> tuple[Endpoint, ...]:
    """Give the protocols of a service, with the path that Vertex AI names in the environment."""
    path = (os.environ if environment is None else environment).get("AIP_PREDICT_ROUTE", "")
    if not path.startswith("/") or path in {endpoint.path for endpoint in ENDPOINTS}:
        return ENDPOINTS
    return (*ENDPOINTS, Endpoint("POST", path, predict_v1))
