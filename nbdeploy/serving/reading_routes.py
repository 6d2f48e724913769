"""What callers may read: health, what is served, what was counted, the description.

The functions find their service through the request. FastAPI caches every function that it serves,
so a function that held its service would keep the model in memory for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route as HttpRoute

from nbdeploy.exceptions import NbdeployError, RequestError
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.protocols.native import dump_json
from nbdeploy.serving.security import OPEN_PATHS

if TYPE_CHECKING:
    from nbdeploy.serving.service import ModelService

__all__ = ["add_reading_routes", "json_response", "refuse_other_verbs"]

_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# The names that probes of the field ask for.
_LIVE = ("/health/live", "/livez", "/healthz", "/v2/health/live")
_READY = ("/health", "/health/ready", "/readyz", "/v2/health/ready")


def add_reading_routes(app: FastAPI) -> None:
    """Add the routes to an application whose ``state.service`` is set."""
    for path in _LIVE:
        app.add_api_route(path, live)
    for path in _READY:
        app.add_api_route(path, ready)
    for path in sorted(app.state.service.access.open_paths - OPEN_PATHS):
        app.add_api_route(path, ready, include_in_schema=False)
    app.add_api_route("/ping", ping)
    app.add_api_route("/model/info", model_info)
    app.add_api_route("/stats", stats)
    app.add_api_route("/stats/counts", counts)
    app.add_api_route("/stats/drift", drift)
    app.add_api_route("/openapi.json", description, include_in_schema=False)
    app.add_api_route("/", home, include_in_schema=False)


def refuse_other_verbs(app: FastAPI) -> None:
    """Answer 405 where a route of FastAPI's is asked with another verb.

    Otherwise the route of all methods of the model would take the path for the name of one.
    """
    known = [route.path for route in app.router.routes if isinstance(route, APIRoute)]
    for path in dict.fromkeys(known):
        app.router.routes.append(HttpRoute(path, wrong_verb, methods=_VERBS))


def json_response(
    document: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Write any document, labels that are no JSON included."""
    return Response(dump_json(document), status, headers, media_type="application/json")


def _service(request: Request) -> ModelService:
    service: ModelService = request.app.state.service
    return service


async def live() -> Response:
    """Tell that the process is alive."""
    return json_response({"live": True})


async def ready(request: Request) -> Response:
    """Tell whether requests should come."""
    is_ready, state = _service(request).health.readiness()
    return _readiness({"ready": is_ready, "status": state}, is_ready=is_ready)


async def ping(request: Request) -> Response:
    """Tell the same in the words of other servers."""
    is_ready, state = _service(request).health.readiness()
    return _readiness({"ping": "pong" if is_ready else state}, is_ready=is_ready)


async def model_info(request: Request) -> Response:
    """Tell what is served."""
    return _told(_service(request).info)


async def stats(request: Request) -> Response:
    """Tell what the monitor counted."""
    return _told(_service(request).monitor.get_statistics)


async def counts(request: Request) -> Response:
    """Tell the counts that the statistics are made of: those of several services add up."""
    return _told(_service(request).monitor.to_dict)


# No coroutine: to judge drift takes milliseconds, which nobody on the event loop waits for.
def drift(request: Request) -> Response:
    """Tell how far the rows have moved."""
    return _told(lambda: _service(request).monitor.drift().to_dict())


async def description(request: Request) -> Response:
    """Give the OpenAPI document."""
    return _told(request.app.openapi)


async def wrong_verb(request: Request) -> Response:
    """Tell that the path is there, and how to ask it."""
    routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    allowed = ", ".join(sorted({verb for route in fitting for verb in route.methods or ()}))
    answer = answer_of(RequestError(f"Ask this path with {allowed}.", status=405))
    return json_response(answer.body, answer.status, {"Allow": allowed})


async def home(request: Request) -> Response:
    """Lead a browser to the page; tell KServe's client that the server lives."""
    if "text/html" in request.headers.get("accept", ""):
        return Response(status_code=307, headers={"Location": "docs"})
    return json_response({"status": "alive", "docs": "docs"})


def _readiness(body: dict[str, object], *, is_ready: bool) -> Response:
    return json_response(body) if is_ready else json_response(body, 503, {"Retry-After": "1"})


def _told(facts: Callable[[], dict[str, Any]]) -> Response:
    try:
        return json_response(facts())
    except NbdeployError as error:
        answer = answer_of(error)
        return json_response(answer.body, answer.status, answer.headers)
