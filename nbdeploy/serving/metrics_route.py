"""``GET /metrics``: what was counted, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from nbdeploy.exceptions import StoppedError

if TYPE_CHECKING:
    from nbdeploy.monitoring.prometheus import ExposedModel
    from nbdeploy.serving.service import ModelService

__all__ = ["METRICS_PATH", "add_metrics_route"]

METRICS_PATH = "/metrics"


def add_metrics_route(app: FastAPI) -> None:
    """Add the route to an application whose ``state.service`` is set."""
    app.add_api_route(METRICS_PATH, metrics)


# Not a coroutine: to judge drift takes milliseconds, which nobody on the event loop waits for.
def metrics(request: Request) -> Response:
    """Write what the monitor counted for Prometheus."""
    from nbdeploy.monitoring.prometheus import exposition  # noqa: PLC0415 -- for who asks only

    models = _exposed(request.app.state.service)
    text, kind = exposition(models, request.headers.get("accept", ""))
    return Response(text, media_type=kind)


def _exposed(service: Any) -> Iterator[ExposedModel]:
    from nbdeploy.monitoring.prometheus import ExposedModel  # noqa: PLC0415 -- as above

    # Several models are the services of one.
    services: dict[str, ModelService] = getattr(service, "services", {service.name: service})
    for name, each in services.items():
        yield ExposedModel(
            name=name,
            monitor=each.monitor,
            versions=list(_versions(each)),
            waiting=each.inference.batcher.stats()["waiting"],
            variants=_variants(each),
        )


def _variants(service: ModelService) -> dict[str, int]:
    traffic, contest = service.traffic(), service.contest
    if traffic is None or contest is None or traffic.is_plain:
        return {}
    return {name: arm.requests for name, arm in contest.arms().items()}


def _versions(service: ModelService) -> Iterator[tuple[str, str, str]]:
    try:
        routes = service.routes or (service.route,)
    except StoppedError:
        # It is still loading its model.
        return
    for route in routes:
        library = type(route.model).__module__.partition(".")[0]
        yield route.version, route.digest, library
