"""Several models in one service: each answers under its name, behind one address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import list_values
from nbdeploy.models.misfit import near_miss
from nbdeploy.monitoring.details import reason_of
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.access_control import AccessControl
from nbdeploy.serving.asgi import App, Receive, Scope, Send
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.health import Health
from nbdeploy.serving.metrics_route import add_metrics_route
from nbdeploy.serving.protocol_lane import ProtocolLane
from nbdeploy.serving.protocol_routes import Context, endpoints
from nbdeploy.serving.reading_routes import add_reading_routes, json_response
from nbdeploy.serving.security import AccessPolicy, OneTimeCodes
from nbdeploy.serving.served_models import ServedModels
from nbdeploy.serving.service import ModelService

__all__ = ["MODELS_PATH", "SeveralModels"]

MODELS_PATH = "/models/"
"""Where the models are: ``/models/churn/predict``."""

_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SHOWN = 12


class _Application(FastAPI):
    """FastAPI for what all models share; each model's own application answers under its name."""

    gate: AccessControl
    protocols: ProtocolLane
    children: Mapping[str, App]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(MODELS_PATH):
            name, slash, rest = scope["path"].removeprefix(MODELS_PATH).partition("/")
            child = self.children.get(name)
            if child is not None:
                # Its gate asks the same as this one.
                prefix = f"{scope.get('root_path', '')}{MODELS_PATH}{name}"
                path = slash + rest or "/"
                inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": prefix}
                await child(inner, receive, send)
                return
        await self.gate(scope, receive, send)

    async def behind_the_gate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what passed the gate: by name in a protocol, or what all share."""
        if scope["type"] == "http" and self.protocols.has(scope["path"]):
            await self.protocols(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class SeveralModels:
    """Serve several models as one FastAPI application.

    Parameters
    ----------
    services
        The service of each model by its name; all with the same `access`.
    name
        What they are called together.
    access
        Who may call.
    """

    def __init__(
        self, services: Mapping[str, ModelService], *, name: str, access: AccessPolicy
    ) -> None:
        self.services = dict(services)
        self.name = name
        self.access = access
        self.codes = OneTimeCodes()
        # What is refused before a model is found.
        self._own = ModelMonitor(status_of=lambda error: answer_of(error).status)
        self.health = Health(self._state)
        self.app = self._application()

    @property
    def monitor(self) -> ModelMonitor:
        """What all models did together, as of now."""
        models = (each.monitor for each in self.services.values())
        return ModelMonitor.merged([*models, self._own])

    def info(self) -> dict[str, Any]:
        """Tell what is served: the answer of ``GET /model/info``."""
        models = {name: each.info() for name, each in self.services.items()}
        return {"name": self.name, "models": models}

    def find(self, name: str | None) -> ModelService:
        """Give the service of a model.

        Raises
        ------
        RequestError
            404, with the names that are there.
        """
        if name is not None and name in self.services:
            return self.services[name]
        known = list_values(tuple(self.services), shown=_SHOWN, last=" and ")
        near = near_miss(name, self.services) if name is not None else None
        hint = f" Did you mean {near!r}?" if near else ""
        what = "Name a model" if name is None else f"There is no model {name!r:.80}"
        first = next(iter(self.services))
        message = (
            f"{what}.{hint} This service has {known}: ask {MODELS_PATH}{first}/predict, for "
            "example."
        )
        raise RequestError(message, status=404)

    def __repr__(self) -> str:
        """Say what is served; no address, so that notebooks can be compared."""
        return f"<SeveralModels {self.name!r}: {', '.join(self.services)}>"

    def _state(self) -> str:
        states = [each.health.readiness()[1] for each in self.services.values()]
        return next((state for state in states if state != "ready"), "ready")

    def _application(self) -> _Application:
        app = _Application(
            title=self.name,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            root_path_in_servers=False,
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        app.children = {name: each.app for name, each in self.services.items()}
        served = ServedModels({name: each.inference for name, each in self.services.items()})
        app.protocols = ProtocolLane(endpoints(), Context(served, self.health), self._own)
        app.gate = AccessControl(
            app.behind_the_gate,
            express=app.behind_the_gate,
            is_express=lambda _: False,
            policy=lambda: self.access,
            codes=self.codes,
            on_refusal=lambda status: self._own.details.reject(reason_of(status)),
        )
        app.state.service = self
        add_reading_routes(app)
        add_metrics_route(app)
        app.router.routes.append(HttpRoute("/models/{name:path}", self._unknown, methods=_VERBS))
        app.router.routes.append(HttpRoute("/{method}", self._nameless, methods=_VERBS))
        return app

    async def _unknown(self, request: Request) -> Response:
        return self._refused(request.path_params["name"].partition("/")[0])

    async def _nameless(self, _: Request) -> Response:
        return self._refused(None)

    def _refused(self, name: str | None) -> Response:
        try:
            self.find(name)
        except RequestError as error:
            answer = answer_of(error)
            return json_response(answer.body, answer.status, answer.headers)
        return json_response(self.info())

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for each in self.services.values():
                await stack.enter_async_context(each.app.router.lifespan_context(each.app))
            yield
