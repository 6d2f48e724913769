"""A model as a web service: the chapter's `ModelService`, complete."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.routing import Route as HttpRoute

from nbdeploy.exceptions import NbdeployError
from nbdeploy.machine import usable_cpus
from nbdeploy.models.predictor import METHODS
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.details import reason_of
from nbdeploy.monitoring.drift_window import DriftWindow
from nbdeploy.monitoring.feedback import FeedbackLog
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.registry.recognition import is_model_version
from nbdeploy.serving.access_control import AccessControl, access_policy
from nbdeploy.serving.application import ServiceApplication, answer_http_error
from nbdeploy.serving.batching import MicroBatcher
from nbdeploy.serving.dashboard_route import add_dashboard_routes
from nbdeploy.serving.direct_lane import DirectLane
from nbdeploy.serving.docs_page import add_docs_routes
from nbdeploy.serving.elsewhere import Elsewhere
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.feedback_route import add_feedback_route
from nbdeploy.serving.health import Health
from nbdeploy.serving.inference import Inference
from nbdeploy.serving.junction import Junction
from nbdeploy.serving.lane import PredictionLane
from nbdeploy.serving.metrics_route import add_metrics_route
from nbdeploy.serving.protocol_lane import ProtocolLane
from nbdeploy.serving.protocol_routes import Context, endpoints
from nbdeploy.serving.reading_routes import add_reading_routes, refuse_other_verbs
from nbdeploy.serving.request_recording import record_requests
from nbdeploy.serving.routing import Route, route_from_file, route_from_version
from nbdeploy.serving.schemas import PredictionRequest, describe_paths
from nbdeploy.serving.security import (
    AccessPolicy,
    OneTimeCodes,
)
from nbdeploy.serving.served_models import ServedModels
from nbdeploy.serving.thread_settings import serving_thread
from nbdeploy.serving.traffic import Traffic

if TYPE_CHECKING:
    from nbdeploy.monitoring.contest import Contest
    from nbdeploy.registry.version import ModelVersion

__all__ = ["ModelService", "PredictionRequest"]

logger = logging.getLogger("nbdeploy")

_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A thread that calls a model also takes memory for its rows.
_MOST_CORES = 4
_EXPRESS = frozenset(f"/{method}" for method in METHODS)


class ModelService:
    """Serve a saved model as a FastAPI application.

    Parameters
    ----------
    model_path
        A file that `ModelSerializer.save_model` wrote, or a version: ``versions["1.0"]`` (or the
        route of a model in memory).
    name
        What the service is called; the file's stem, or what the versions are of, when ``None``.
    trust
        What vouches for a file that this user did not save: its ``"sha256:..."``.
    example
        Rows like those the model was fitted on, for a file that does not tell.
    token
        What callers must send: ``"auto"`` takes the environment's ``NBDEPLOY_TOKEN``; without it,
        none while only this machine can call, else a fresh one, which the log tells how to read.
        ``None`` asks for none and answers whoever can reach the port.
    allowed_hosts
        Host names that callers may use beside those of this machine.
    access
        Who may call, where that is decided already; `token` and `allowed_hosts` are then not used.
    load
        ``False`` loads the model in the background once the server runs: until then readiness is
        503 and liveness 200.
    timeout
        Seconds from a request to its answer, then 504.
    compile
        Answer few rows without scikit-learn's checks, where that is known to give the same.
    max_batch_size
        Rows of several requests that share a call of the model, at most; 1 joins nothing.
    batch_timeout
        Seconds that a request waits for others to share a call with; by default none waits.
    max_concurrency
        Calls of the model at once; by default one, and as many long ones as there are cores.
    max_queue
        Requests that may wait; the next gets 503 with Retry-After.
    request_log
        A folder to record requests in, or a `RequestLog`; ``None`` records none.

    Raises
    ------
    ModelFileError
        If the file is missing, corrupted or not trusted.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> from starlette.testclient import TestClient
    >>> from nbdeploy import ModelSerializer
    >>> path = os.path.join(tempfile.mkdtemp(), "sign.joblib")
    >>> ModelSerializer.save_model(LogisticRegression().fit([[-1.0], [1.0]], ["-", "+"]), path)
    >>> service = ModelService(path)
    >>> TestClient(service.app).post("/predict", json={"features": [3.5]}).json()
    {'prediction': ['+']}
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | ModelVersion | Route,
        *,
        name: str | None = None,
        trust: Any = None,
        example: Any = None,
        token: str | None = "auto",  # noqa: S107 -- a keyword, not a secret
        allowed_hosts: Iterable[str] = (),
        access: AccessPolicy | None = None,
        load: bool = True,
        compile: bool = True,  # noqa: A002 -- what deploy() calls it
        timeout: float = 30.0,
        max_batch_size: int | None = None,
        batch_timeout: float = 0.0,
        max_concurrency: int | None = None,
        max_queue: int = 1024,
        request_log: Any = None,
    ) -> None:
        route: Route | None = None
        self._load_route: Callable[[], Route] | None = None
        self._loading = threading.Lock()
        if isinstance(model_path, Route):
            route = model_path
            self.name = name or model_path.predictor.model_type
        elif is_model_version(model_path):
            version = model_path
            self.name = name or version.registry.name
            self._load_route = lambda: route_from_version(
                version, trust=trust, example=example, compile=compile
            )
        else:
            path = Path(model_path)
            self.name = name or path.stem
            self._load_route = lambda: route_from_file(
                path, trust=trust, example=example, compile=compile
            )
        self.access = access or access_policy(token, allowed_hosts)
        self.codes = OneTimeCodes()
        self.monitor = ModelMonitor(status_of=lambda error: answer_of(error).status)
        self.health = Health(self._state)
        self._batcher = MicroBatcher(
            max_queue=max_queue,
            timeout=timeout,
            max_batch_size=max_batch_size,
            batch_timeout=batch_timeout,
            concurrency=max_concurrency or 1,
            wide_concurrency=max_concurrency or _cores(),
            on_call=self.monitor.details.add_batch,
        )
        self.monitor.attach("batching", self._batcher.stats)
        self.monitor.attach("members", self._members)
        self.inference = Inference(
            monitor=self.monitor, batcher=self._batcher, name=self.name, route=route
        )
        self.inference.request_log = record_requests(request_log, self.name, self.monitor)
        self.monitor.follow_drift(self._drift_windows)
        self._elsewhere: Elsewhere | None = None
        self.feedback = FeedbackLog(quality=self.monitor.quality)
        self._junction = Junction(self.inference, feedback=self.feedback, salt=self.name)
        self._described: tuple[object, dict[str, Any]] | None = None
        self.app = self._application()
        if load:
            self.load()

    def load(self) -> None:
        """Load the model, unless it is loaded."""
        with self._loading:
            if self.inference.route is None and self._load_route is not None:
                self.inference.adopt(self._load_route())

    def swap(self, route: Route) -> None:
        """Answer with another model from now on; requests on their way keep the one they had."""
        self.set_traffic(Traffic.to(route))

    def set_traffic(self, traffic: Traffic, contest: Contest | None = None) -> None:
        """Let other versions answer from now on; requests on their way keep the one they had.

        Parameters
        ----------
        traffic
            Who answers which share.
        contest
            Where to collect what each version does, while there is more than one.
        """
        if self._elsewhere is not None:
            for route in traffic.routes:
                self._elsewhere.publish(route)
        if traffic.is_plain:
            self.inference.route = traffic.primary
            self.inference.junction = None
            self._junction.set(None)
        else:
            self._junction.set(traffic, contest)
            self.inference.route = traffic.primary
            self.inference.junction = self._junction

    @property
    def routes(self) -> tuple[Route, ...]:
        """The models that answer now, each its share."""
        return tuple(self._junction.traffic().routes)

    def traffic(self) -> Traffic | None:
        """Tell who answers which share; ``None`` while the model loads."""
        return None if self.inference.route is None else self._junction.traffic()

    @property
    def contest(self) -> Contest | None:
        """What each version did since the traffic was parted, or somebody asked for an id."""
        return self._junction.contest

    def answer_elsewhere(self, elsewhere: Elsewhere | None) -> None:
        """Let replicas call the models from now on; ``None`` calls them here again.

        Parameters
        ----------
        elsewhere
            The replicas. Call again when their number has changed.
        """
        self._elsewhere = elsewhere
        self._batcher.answer_elsewhere(elsewhere)
        if elsewhere is None:
            self.health.remove_check("replicas")
            self.monitor.detach("replicas")
        else:
            self.health.add_check("replicas", lambda: elsewhere.is_ready)
            self.monitor.attach("replicas", elsewhere.stats)

    @property
    def route(self) -> Route:
        """The model in force.

        Raises
        ------
        StoppedError
            While it loads.
        """
        return self.inference.current_route()

    @property
    def model(self) -> Any:
        """The model in force."""
        return self.route.model

    @property
    def signature(self) -> Signature:
        """What a row of the model looks like."""
        return self.route.signature

    def info(self) -> dict[str, Any]:
        """Tell what is served: the answer of ``GET /model/info``."""
        route = self.route
        traffic = self._junction.traffic()
        return {
            "name": self.name,
            "version": route.version,
            "model_type": route.predictor.model_type,
            "feature_count": route.signature.width,
            "features": list(route.signature.names),
            "input": route.signature.kind,
            "methods": list(route.predictor.methods),
            "classes": route.predictor.classes,
            "classes_by_version": {each.version: each.predictor.classes for each in traffic.routes},
            "shares": traffic.shares,
            "digest": route.digest or None,
        }

    def close(self) -> None:
        """End the threads that predict."""
        self._batcher.close()
        self.monitor.close()
        self._junction.close()
        self.inference.close()

    def __repr__(self) -> str:
        """Say what is served; no address, so that notebooks can be compared."""
        kind = self.inference.route.predictor.model_type if self.inference.route else "loading"
        return f"<ModelService {self.name!r}: {kind}>"

    def _drift_windows(self) -> list[tuple[str, DriftWindow | None]]:
        """Give the versions that answer, each with the rows that it was asked lately."""
        if self.inference.route is None:
            return []
        return [(each.version, each.drift) for each in self.routes]

    def _members(self) -> dict[str, Any] | None:
        """Tell what the members of an ensemble did."""
        route = self.inference.route
        report = getattr(route.predictor, "member_report", None) if route else None
        return None if report is None else dict(report())

    def _state(self) -> str:
        return "ready" if self.inference.route is not None else "loading"

    def _application(self) -> ServiceApplication:
        app = ServiceApplication(
            title=self.name,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            root_path_in_servers=False,
            # A redirect would name an address that is wrong behind a proxy.
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        inference = self.inference
        app.lane = PredictionLane(inference, self._junction)
        app.spoken = endpoints()
        context = Context(ServedModels({self.name: inference}), self.health)
        app.protocols = ProtocolLane(app.spoken, context, self.monitor)
        app.gate = AccessControl(
            app.behind_the_gate,
            express=app.lane,
            is_express=lambda path: path in _EXPRESS and not app.user_middleware,
            policy=lambda: self.access,
            codes=self.codes,
            on_refusal=lambda status: self.monitor.details.reject(reason_of(status)),
        )
        app.direct = DirectLane(
            app.lane,
            gate=app.gate,
            batcher=self._batcher,
            # Middleware that a user adds sees every request, and a junction the whole head of it:
            # then there is no shorter way.
            is_open=lambda: inference.junction is None and not app.user_middleware,
        )
        app.add_exception_handler(HTTPException, answer_http_error)
        app.state.service = self
        add_reading_routes(app)
        add_feedback_route(app)
        add_metrics_route(app)
        add_docs_routes(app)
        add_dashboard_routes(app)
        refuse_other_verbs(app)
        # All verbs, so that an unknown path is not found rather than "not allowed".
        for path in dict.fromkeys(endpoint.path for endpoint in app.spoken):
            app.router.routes.append(HttpRoute(path, app.protocols, methods=_VERBS))
        app.router.routes.append(HttpRoute("/{method}", app.lane, methods=_VERBS))
        app.openapi = self._openapi  # type: ignore[method-assign]
        return app

    def _openapi(self) -> dict[str, Any]:
        key = (self.inference.route, self.access)
        if self._described is None or self._described[0] != key:
            document = get_openapi(title=self.name, version="1", routes=self.app.routes)
            describe_paths(
                document,
                self.inference.route,
                names=[self.name],
                spoken=self.app.spoken,
                access=self.access,
            )
            self._described = (key, document)
        return self._described[1]

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        loading = None
        if self.inference.route is None:
            loading = asyncio.create_task(asyncio.to_thread(self._load_in_background))
        try:
            with serving_thread():
                yield
        finally:
            if loading is not None:
                loading.cancel()
            self.close()

    def _load_in_background(self) -> None:
        try:
            self.load()
        except NbdeployError as error:
            # The server stays up, not ready, so that its log can be read.
            self.health.fail(f"{type(error).__name__}: {error}")
            logger.error("%s cannot load its model: %s", self.name, error)  # noqa: TRY400 -- no traceback in a shared log


def _cores() -> int:
    return min(_MOST_CORES, max(1, int(usable_cpus())))
