"""`deploy()` and what it returns: the verbs of a notebook."""

from __future__ import annotations

import atexit
import inspect
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nbdeploy.client import Client, LocalClient
from nbdeploy.display.card import ServiceCard
from nbdeploy.display.cells import current_cell, show
from nbdeploy.display.html import visible
from nbdeploy.display.link import BrowserLink
from nbdeploy.display.members import members_of_report
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import RequestError, ServingError, SignatureError, StoppedError
from nbdeploy.machine import usable_cpus
from nbdeploy.models.compiled import Declined
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.serializer import snapshot
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.monitor import ModelMonitor, RecordedError
from nbdeploy.registry.version import ModelVersion
from nbdeploy.registry.version_control import ModelVersionControl
from nbdeploy.scaling.autoscaler import AutoScaler
from nbdeploy.scaling.capacity import Capacity
from nbdeploy.scaling.load_result import LoadResult
from nbdeploy.scaling.load_rows import bodies_of
from nbdeploy.scaling.load_test import Target, load_service
from nbdeploy.scaling.place import Server, checked_place, start_service
from nbdeploy.scaling.policies import Policy
from nbdeploy.scaling.replica_report import ReplicaReport
from nbdeploy.scaling.service_autoscaler import autoscaler_of
from nbdeploy.serving.addresses import address_of, browser_note, browser_page, surroundings
from nbdeploy.serving.control import Control
from nbdeploy.serving.names import checked_name, name_from
from nbdeploy.serving.rehearsal import few_of
from nbdeploy.serving.routing import (
    NOT_COMPILED,
    Route,
    route_from_file,
    route_from_model,
    route_from_version,
)
from nbdeploy.serving.security import (
    LOGIN_PATH,
    AccessPolicy,
    choose_token,
    is_loopback,
    is_shared_machine,
)
from nbdeploy.serving.service import ModelService
from nbdeploy.serving.snippets import Snippets, make_snippets
from nbdeploy.serving.token_file import remove_token, write_token
from nbdeploy.serving.traffic_desk import TrafficDesk
from nbdeploy.serving.traffic_verbs import TrafficVerbs
from nbdeploy.try_it import TryIt

if TYPE_CHECKING:
    from nbdeploy.deployment_group import DeploymentGroup

__all__ = ["Deployment", "deploy", "deployments", "stop_all"]

_live: dict[str, Deployment] = {}
_groups: dict[str, DeploymentGroup] = {}
_lock = threading.RLock()


@dataclass(frozen=True)
class Options:
    """How a deployment is reached; a change of it needs another server."""

    host: str
    port: int | None
    token: str | None = field(repr=False)
    expose: bool
    allowed_hosts: frozenset[str]
    timeout: float
    max_batch_size: int | None
    batch_timeout: float
    max_concurrency: int | None
    max_queue: int
    where: str
    ssl_certfile: Path | None
    ssl_keyfile: Path | None

    def of_service(self) -> dict[str, Any]:
        """Give what a `ModelService` takes of it."""
        return {
            "timeout": self.timeout,
            "max_batch_size": self.max_batch_size,
            "batch_timeout": self.batch_timeout,
            "max_concurrency": self.max_concurrency,
            "max_queue": self.max_queue,
        }

    def of_server(self) -> dict[str, Any]:
        """Give what a server takes of it."""
        return {
            "host": self.host,
            "port": self.port,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
        }


@dataclass(frozen=True)
class Recipe:
    """How models of a deployment are made into routes."""

    registry: ModelVersionControl | None
    example: Any = field(repr=False)
    trust: Any = field(repr=False)
    copy: bool
    compile: bool


def deploy(
    model: Any,
    *,
    name: str | None = None,
    example: Any = None,
    port: int | None = None,
    host: str = "127.0.0.1",
    token: str | None = "auto",  # noqa: S107 -- a keyword, not a secret
    expose: bool = False,
    allowed_hosts: Iterable[str] | None = None,
    trust: Any = None,
    copy: bool = True,
    compile: bool = True,  # noqa: A002 -- scikit-learn's users know torch.compile
    max_batch_size: int | None = None,
    batch_timeout: float = 0.0,
    max_concurrency: int | None = None,
    max_queue: int = 1024,
    timeout: float = 30.0,
    where: str = "kernel",
    store_example: bool = True,
    ssl_certfile: str | os.PathLike[str] | None = None,
    ssl_keyfile: str | os.PathLike[str] | None = None,
) -> Any:
    """Serve a model over HTTP, and return at once.

    The service answers in the background: the notebook goes on. Deploying under the same name
    again swaps the model behind the same URL, and no request is lost. The model is copied by one
    save and load, so fitting it again changes no answer until the next ``deploy()``.

    Parameters
    ----------
    model
        A fitted model, a function of the rows, the path of a saved model, or a version of one:
        ``versions["1.0"]``. Several of them by name, ``{"churn": a, "fraud": b}``, answer behind
        one address at ``/models/churn/predict``; `example` may then be a dict as well.
    name
        What the service is called; the class of the model when ``None``, so that a second unnamed
        model of that class replaces the first. For a version it is what the versions are of.
    example
        Rows that the model was fitted on, such as ``X_train``: columns, types and missing values
        are learned from them. Without it, what the fitted model remembers is used.
    port
        The port to listen on; a free one when ``None``.
    host
        The address to listen on. Anything but this machine needs ``expose=True``.
    token
        What callers must send. ``"auto"`` asks for none as long as nobody else can reach the
        service, and makes one otherwise; a text is used as it is; ``None`` asks for none.
    expose
        Let other machines call; a token is then required.
    allowed_hosts
        Host names that callers may use, beside those of this machine, while there is no token.
    trust
        For a path or a version: what vouches for a file that you did not save, see
        `ModelSerializer.load_model`.
    copy
        ``False`` serves the object itself: for models too big to be held twice.
    compile
        Answer few rows without scikit-learn's checks, where that is known to give the same
        answers; the card tells when it is not.
    max_batch_size
        Rows of several requests that share a call of the model, at most. 1 joins nothing: for a
        function whose answer for a row depends on the rows around it.
    batch_timeout
        Seconds that a request waits for others to share a call with; by default none waits.
    max_concurrency
        Calls of the model at once. ``None`` makes one, so that requests which wait can share the
        next; long calls of scikit-learn's models run side by side, as many as there are cores.
        More than one helps a model that itself waits.
    max_queue
        Requests that may wait; more are refused with 503.
    timeout
        Seconds until a request is given up.
    where
        ``"kernel"`` serves from this process. ``"process"`` serves from one of its own, which ends
        with this one: a busy cell then costs callers nothing. It takes seconds to start, and
        needs a model that can be saved.
    store_example
        Keep at most 32 rows of `example` in memory: versions that come later are asked them
        before they go live.
    ssl_certfile
        A PEM file with a certificate: the service then speaks https and nothing else.
    ssl_keyfile
        A PEM file with its key, unless the certificate's file holds it.

    Returns
    -------
    Deployment
        The handle: ``predict``, ``url``, ``stats``, ``stop``. For several models a group of
        them: ``service["churn"].predict(rows)``.

    Raises
    ------
    UnfittedModelError, UnsupportedModelError
        If the object cannot predict.
    SignatureError
        If the example does not fit the model, or nothing tells what a row looks like.
    ModelFileError
        If the model cannot be saved, or the file is missing, corrupted or not trusted.
    PortInUseError
        If another program listens on `port`.
    StartupError
        If the certificate cannot be used.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> service = deploy(LogisticRegression(max_iter=500).fit(X, y), name="iris", example=X)
    >>> service.predict(X.head(2)).tolist()
    [0, 0]
    >>> service.stop()
    """
    options = Options(
        host=host,
        port=port,
        token=token,
        expose=expose,
        allowed_hosts=frozenset(each.lower() for each in allowed_hosts or ()),
        timeout=timeout,
        max_batch_size=max_batch_size,
        batch_timeout=batch_timeout,
        max_concurrency=max_concurrency,
        max_queue=max_queue,
        where=checked_place(where, copy=copy),
        ssl_certfile=Path(ssl_certfile) if ssl_certfile is not None else None,
        ssl_keyfile=Path(ssl_keyfile) if ssl_keyfile is not None else None,
    )
    # A wrong address is told before time is spent on the model.
    choose_token(token, host=host, expose=expose, is_shared=lambda: False)
    loading = {"trust": trust, "copy": copy, "compile": compile}
    if isinstance(model, Mapping):
        return _deploy_several(model, name or "models", options, example=example, **loading)
    route = _route_of(model, example=example, trust=trust, copy=copy, compile=compile)
    chosen = checked_name(name) if name is not None else _name_of(model, route)
    kept = _kept_rows(model, example) if store_example else None
    registry = model.registry if isinstance(model, ModelVersion) else None
    recipe = Recipe(registry=registry, example=kept, trust=trust, copy=copy, compile=compile)
    with _lock:
        return _deploy(chosen, route, options, recipe, is_named=name is not None)


def deployments() -> list[Deployment]:
    """List what is alive in this process, the oldest first."""
    with _lock:
        return [deployment for deployment in _live.values() if deployment._server.running]


def stop_all() -> None:
    """Stop every deployment of this process, all at once."""
    alive: list[Any] = [*deployments()]
    with _lock:
        alive += list(_groups.values())
        _groups.clear()
    if alive:
        with ThreadPoolExecutor(len(alive)) as threads:
            list(threads.map(lambda each: each.stop(), alive))


class Deployment(TrafficVerbs, ReprMixin):
    """A model that is served from this process: what `deploy` returns.

    Parameters
    ----------
    service
        The application.
    options
        How it is reached.
    recipe
        How further versions are loaded.
    """

    def __init__(self, service: ModelService, options: Options, recipe: Recipe) -> None:
        self.name = service.name
        self._recipe = recipe
        self._start(service, options)
        self._scaled_to = 0
        self._scaler: AutoScaler | None = None
        self._traffic = TrafficDesk(service, recipe.example)

    @property
    def service(self) -> ModelService:
        """The FastAPI application and the model behind it."""
        return self._service

    @property
    def monitor(self) -> ModelMonitor:
        """What the service did, in numbers; a read-only copy if another process serves."""
        return self._control.monitor()

    @property
    def url(self) -> str:
        """Where programs on this machine reach it, for example ``http://127.0.0.1:8000``."""
        return self._server.url

    @property
    def _desk(self) -> TrafficDesk:
        self._require_running()
        if self._options.where == "process":
            message = (
                f"The traffic of {self.name!r} is parted only where='kernel' serves it: deploy it "
                "there, or deploy() the new model under the same name."
            )
            raise ServingError(message)
        return self._traffic

    def _make_route(self, model: Any) -> Route:
        recipe = self._recipe
        options = {"trust": recipe.trust, "copy": recipe.copy, "compile": recipe.compile}
        if isinstance(model, ModelVersion):
            self._recipe = replace(recipe, registry=model.registry)
        elif not isinstance(model, (str, os.PathLike)):
            # What all rows looked like is known; the few that are kept would make it narrower.
            known = _signature_for(model, self._service.signature)
            return _route_of(model, example=None, signature=known, **options)
        try:
            return _route_of(model, example=None, **options)
        except SignatureError:
            if recipe.example is None:
                raise
            return _route_of(model, example=recipe.example, **options)

    def _saved_version(self, name: str) -> ModelVersion | None:
        registry = self._recipe.registry
        return registry[name] if registry is not None and name in registry else None

    def predict(self, rows: Any) -> Any:
        """Predict rows over HTTP, through the same endpoint as everybody else.

        Parameters
        ----------
        rows
            A DataFrame, an array of shape ``[n, columns]``, a list of rows or a dict of one row.

        Returns
        -------
        predictions
            In the form of the rows: a Series with the DataFrame's index, an array for an array,
            a list for a list, one value for one dict.

        Raises
        ------
        SignatureError
            If the rows do not fit the model.
        PredictionError
            If the model itself raised; its error is the cause.
        StoppedError
            If the service was stopped.
        """
        return self._caller().predict(rows)

    def predict_proba(self, rows: Any) -> Any:
        """Predict the probability of every class over HTTP; see `predict`.

        Returns
        -------
        probabilities
            Shape ``[n, classes]``; of a DataFrame a DataFrame with the classes as columns.
        """
        return self._caller().predict_proba(rows)

    def stats(self) -> dict[str, Any]:
        """Summarize what was asked: the keys of `ModelMonitor.get_statistics`."""
        return self._control.statistics()

    def logs(self) -> list[str]:
        """Return the last lines that the server logged, the oldest first."""
        return self._server.logs()

    def errors(self) -> list[RecordedError]:
        """Return the last failed requests, the oldest first, with their tracebacks."""
        return self._control.errors()

    def scale(self, replicas: int) -> ReplicaReport:
        """Let so many processes answer, behind the same URL.

        A process that dies is replaced, and what it was asked is answered by another. More are
        ready when this returns; those too many first finish what they do.

        Parameters
        ----------
        replicas
            How many; 0 lets the model answer in this process again.

        Raises
        ------
        ScalingError
            If they do not come up; what answered before goes on.

        Examples
        --------
        >>> with deploy(lambda rows: rows[:, 0] * 2, name="two", example=[[0.0], [1.5]]) as service:
        ...     print(service.scale(1))
        ...     service.predict([[3.0]])
        1 replica answers.
        [6.0]
        """
        self._require_running()
        self._end_autoscaling()
        return self._resize(replicas)

    def autoscale(
        self,
        *,
        min_replicas: int = 1,
        max_replicas: int = 4,
        policy: Policy | str = "concurrency",
        target_cpu: float = 70.0,
    ) -> AutoScaler:
        """Let the number of replicas follow the load, until `scale` sets one or it is stopped.

        Parameters
        ----------
        min_replicas, max_replicas
            The bounds.
        policy
            ``"concurrency"``: one request in flight for each replica; ``"hpa"``, ``"threshold"``;
            or a policy of `nbdeploy.scaling` with its own numbers.
        target_cpu
            For the policies of CPU, in percent of this machine, the notebook included.

        Returns
        -------
        AutoScaler
            It looks and acts in the background: ``history()``, ``stop()``.
        """
        self._require_running()
        self._end_autoscaling()
        self._scaler = autoscaler_of(
            _Replicas(self),
            lambda: self.monitor,
            min_replicas=min_replicas,
            max_replicas=max_replicas,
            policy=policy,
            target_cpu=target_cpu,
        )
        return self._scaler

    def load_test(
        self,
        rps: float | Sequence[float] | None = None,
        *,
        seconds: float | None = None,
        concurrency: int | None = None,
        ramp: bool = False,
        goal_p95: float | None = None,
        rows: Any = None,
    ) -> LoadResult | Capacity:
        """Send many requests from a process of its own, and tell what came of them.

        An interrupt of the cell ends it early, with what there is.

        Parameters
        ----------
        rps
            Requests a second, each at its moment whether or not others are answered, as callers
            who do not know of each other send them. A list makes steps. ``None`` sends the next
            request when the one before is answered.
        seconds
            How long; 10, or with `goal_p95` 3 for each rate that is tried.
        concurrency
            Requests at once, at most; without `rps` that many callers, 8 when ``None``.
        ramp
            Go evenly from one rate of the list to the next.
        goal_p95
            Search for the highest rate at which 95 % of the answers come within so many seconds.
        rows
            Rows to draw from, such as ``X_test``: each request sends one, in turn. ``None`` draws
            from the few rows of the example that are kept, or makes up a typical one.

        Returns
        -------
        LoadResult or Capacity
            Latency quantiles, throughput and errors as a table, with ``plot()``; with `goal_p95`
            the rate, what was tried, and whether the front or the model is the limit.

        Raises
        ------
        ScalingError
            If the load is none.
        """
        self._require_running()
        drawn = self._desk.example if rows is None else rows
        certificate = self._options.ssl_certfile
        target = Target(
            self.url,
            bodies_of(drawn, self._service.signature),
            token=self._service.access.token,
            replicas=lambda: self._scaled_to,
            certificate=None if certificate is None else str(certificate),
        )
        return load_service(
            target, rps, seconds=seconds, concurrency=concurrency, ramp=ramp, goal_p95=goal_p95
        )

    def snippets(self) -> Snippets:
        """Write copy-paste calls for curl, Python, R and JavaScript."""
        row = self._service.signature.example_row()
        return make_snippets(
            self.url,
            row,
            token_file=self._token_file,
            certificate=self._options.ssl_certfile,
        )

    def open(self) -> BrowserLink:
        """Give a link to the service's page; with a token, it opens once and within a minute.

        Raises
        ------
        ServingError
            If no browser can reach the service from where the notebook runs.
        """
        self._require_running()
        if self._service.access.token is None:
            return BrowserLink(self.name, browser_page(self._address, "docs"))
        path = f"{LOGIN_PATH.lstrip('/')}?code={self._control.issue_code()}"
        return BrowserLink(self.name, browser_page(self._address, path))

    def try_it(self) -> TryIt:
        """Show a form for one row; it needs no address, so it works wherever the notebook does."""
        self._require_running()
        return TryIt(self.name, self._service.signature, self._ask)

    def wait(self) -> None:
        """Block until the service is stopped or the cell is interrupted; it then goes on."""
        self._server.wait()

    def stop(self) -> None:
        """Let requests in flight finish, at most 10 seconds, then end; again does nothing."""
        self._end_autoscaling()
        with _lock:
            if _live.get(self.name) is self:
                del _live[self.name]
        self._traffic.close()
        self._server.stop()
        self._control.close()
        self._client.close()
        remove_token(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        route = self._service.route
        state = "running" if self._server.running else "stopped"
        return f"<Deployment {self.name!r}: {visible(route.predictor.model_type)}, {state}>"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the card as plain text; it holds no address, so that notebooks can be compared."""
        return self._card().to_text()

    def to_html(self) -> str:
        """Write the card: address, state, what a row looks like, who may call, how to call."""
        return self._card().to_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if self._shown_in is not None and self._shown_in == current_cell():
            # deploy() showed the card in this very cell: once is enough.
            return {"text/plain": repr(self)}
        return bundle

    def _start(self, service: ModelService, options: Options) -> None:
        self._service = service
        self._options = options
        self._notes: tuple[str, ...] = ()
        self._shown_in: str | None = None
        self._server, self._control = self._serve()
        self._address = address_of(self.url, surroundings())
        token = service.access.token
        self._token_file = self._keep_token(token)
        self._client = LocalClient(
            self.url,
            token=token,
            cause_of=self._control.cause_of,
            certificate=options.ssl_certfile,
        )

    def _serve(self) -> tuple[Server, Control]:
        """Start the server, and give it with what it is controlled by."""
        return start_service(
            self._service,
            where=self._options.where,
            server_options=self._options.of_server(),
            service_options=self._options.of_service(),
        )

    def _keep_token(self, token: str | None) -> Path | None:
        """Keep the token where only this user reads it."""
        return write_token(self.name, token) if token is not None else None

    def _restart(self, service: ModelService, options: Options) -> None:
        old, old_client, old_control = self._server, self._client, self._control
        if options.port is None and options.host == self._options.host:
            options = replace(options, port=old.port)
        shares_port = options.port == old.port
        if shares_port:
            old.stop()
        # On another port the old server answers until the new one does: if that fails, it stays.
        self._start(service, options)
        old.stop()
        old_client.close()
        old_control.close()
        if self._scaled_to:
            self._control.scale(self._scaled_to)

    def _resize(self, replicas: int) -> ReplicaReport:
        self._scaled_to = self._control.scale(replicas)
        return ReplicaReport(self._scaled_to, usable_cpus())

    def _end_autoscaling(self) -> None:
        scaler, self._scaler = self._scaler, None
        if scaler is not None:
            scaler.stop()

    def _show(self, *notes: str) -> None:
        self._notes = notes
        self._server.pin_to_current_cell()
        self._shown_in = show(self._card())

    def _caller(self) -> Client:
        self._require_running()
        return self._client

    def _ask(self, row: Any) -> tuple[Any, Mapping[Any, float]]:
        """Predict one row, with the probability of every class where the model tells them."""
        prediction = self.predict([row])[0]
        if "predict_proba" not in self._service.route.predictor.methods:
            return prediction, {}
        shares = self.predict_proba([row])[0]
        classes = self._service.route.predictor.classes or range(len(shares))
        return prediction, dict(zip(classes, shares, strict=False))

    def _require_running(self) -> None:
        if not self._server.running:
            message = f"{self.name!r} was stopped. Call deploy(model, name={self.name!r}) again."
            raise StoppedError(message)

    def _card(self) -> ServiceCard:
        route = self._service.route
        is_running = self._server.running
        (_, curl), *others = self.snippets().by_language()
        return ServiceCard(
            name=self.name,
            model_type=route.predictor.model_type,
            state="running" if is_running else "stopped",
            url=self.url,
            browser_url=self._address.page("docs") if self._token_file is None else None,
            browser_note=browser_note(self._address, self._service.access),
            methods=tuple(f"/{method}" for method in route.predictor.methods),
            schema=tuple(route.signature.describe()),
            who_may_call=_who_may_call(self._service.access, self._options),
            curl=curl,
            other_calls=others,
            notes=(*self._notes, *_traffic_note(self._traffic), *_speed_note(route)),
            version=route.version,
            members=members_of_report(self.stats().get("members", {})),
        )


class _Replicas:
    """The replicas of a deployment, for its autoscaler to start and stop."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    @property
    def replicas(self) -> int:
        return self._deployment._scaled_to

    def scale(self, replicas: int) -> None:
        self._deployment._resize(replicas)


def _route_of(
    model: Any,
    *,
    example: Any,
    trust: Any,
    copy: bool,
    compile: bool,  # noqa: A002 -- what deploy() calls it
    signature: Signature | None = None,
) -> Route:
    if isinstance(model, ModelVersion):
        return route_from_version(model, trust=trust, example=example, compile=compile)
    if isinstance(model, (str, os.PathLike)):
        return route_from_file(model, trust=trust, example=example, compile=compile)
    # Unfitted and unfit objects are told before time is spent on a copy.
    predictor_for(model)
    if not copy:
        return route_from_model(model, signature=signature, example=example, compile=False)
    twin, digest = snapshot(model)
    return route_from_model(
        twin, signature=signature, example=example, digest=digest, compile=compile
    )


def _deploy_several(
    models: Mapping[str, Any], name: str, options: Options, *, example: Any, **loading: Any
) -> DeploymentGroup:
    """Put several models behind one address; a group of this name makes place."""
    from nbdeploy.deployment_group import DeploymentGroup  # noqa: PLC0415 -- it knows this module
    from nbdeploy.serving.several_models import SeveralModels  # noqa: PLC0415 -- only for several

    if not models:
        message = 'deploy({}) has no model. Expected models by name: deploy({"churn": model}).'
        raise RequestError(message)
    if options.where == "process":
        message = (
            "where='process' serves one model. Deploy each model of the dict under a name of its "
            "own, or leave where= out."
        )
        raise ValueError(message)
    examples = example if isinstance(example, Mapping) else dict.fromkeys(models, example)
    rows = {each: examples.get(each) for each in models}
    routes = {
        checked_name(each): _route_of(model, example=rows[each], **loading)
        for each, model in models.items()
    }
    with _lock:
        before = _groups.pop(name, None)
        kept = None
        if before is not None and before._server.running:
            kept = before.several.access.token
            # Callers keep the address that they have.
            options = replace(options, port=options.port or before._server.port)
            before.stop()
        services: dict[str, ModelService] = {}
        for each, route in routes.items():
            services[each] = _service_for(each, route, options, token=kept)
            kept = services[each].access.token
        access = next(iter(services.values())).access
        for service in services.values():
            service.access = access
        recipes = {
            each: Recipe(
                registry=models[each].registry if isinstance(models[each], ModelVersion) else None,
                example=_kept_rows(models[each], rows[each]),
                **loading,
            )
            for each in services
        }
        several = SeveralModels(services, name=checked_name(name), access=access)
        group = _groups[name] = DeploymentGroup(several, options, recipes)
        group.show()
    return group


def _kept_rows(model: Any, example: Any) -> Any:
    if example is None and isinstance(model, ModelVersion):
        return model.example()
    return few_of(example)


def _signature_for(model: Any, live: Signature) -> Signature | None:
    """Give the signature of the live model for one that was fitted on the same columns."""
    try:
        own = Signature.learn(model)
    except SignatureError:
        # It tells nothing of its own: the rehearsal will show whether it takes these rows.
        return live
    is_same = own.width == live.width and (own.kind == "array" or own.names == live.names)
    return live if is_same else own


def _deploy(
    name: str, route: Route, options: Options, recipe: Recipe, *, is_named: bool
) -> Deployment:
    """Put a route behind a name; the caller holds the lock."""
    running = _live.get(name)
    if running is not None and not running._server.running:
        running = None
    if running is None:
        deployment = Deployment(_service_for(name, route, options, token=None), options, recipe)
        _live[name] = deployment
        deployment._show()
        return deployment
    replaced = running.service.route.predictor.model_type
    note = f"Replaced the {replaced} that was deployed as {name!r}."
    if not is_named:
        note += " Pass name= to keep several at once."
    running._recipe = recipe
    if _keeps_address(running, options):
        running._control.bring(route)
        running._traffic.replace(route, recipe.example, service=running._service)
        running._show(note)
        return running
    old_url, token = running.url, running.service.access.token
    service = _service_for(name, route, options, token=token)
    running._restart(service, options)
    running._traffic.replace(route, recipe.example, service=service)
    if running.url != old_url:
        note += " Its address changed."
    running._show(note)
    return running


def _service_for(name: str, route: Route, options: Options, *, token: str | None) -> ModelService:
    chosen = choose_token(
        options.token, host=options.host, expose=options.expose, is_shared=_is_shared
    )
    if options.token == "auto" and chosen is not None and token is not None:  # noqa: S105
        # Callers keep the token that they have.
        chosen = token
    policy = AccessPolicy(
        chosen, loopback_only=is_loopback(options.host), allowed_hosts=options.allowed_hosts
    )
    return ModelService(
        route,
        name=name,
        access=policy,
        **options.of_service(),
    )


def _keeps_address(running: Deployment, options: Options) -> bool:
    wanted = replace(options, port=options.port or running._server.port)
    return wanted == replace(running._options, port=running._server.port)


def _traffic_note(desk: TrafficDesk) -> tuple[str, ...]:
    traffic = desk.traffic
    return () if traffic.is_plain else (f"Several versions are tried: {traffic.describe()}.",)


def _speed_note(route: Route) -> tuple[str, ...]:
    # That a function is called as it is surprises nobody.
    if inspect.isroutine(route.model):
        return ()
    if isinstance(route.compiled, Declined) and route.compiled.reason != NOT_COMPILED.reason:
        return (f"Not compiled, so the plain model answers: {route.compiled.reason}",)
    return ()


def _is_shared() -> bool:
    # A browser that comes by the name of another machine cannot be told from a foreign page.
    return is_shared_machine() or address_of("http://127.0.0.1:80", surroundings()).is_elsewhere


def _who_may_call(access: AccessPolicy, options: Options) -> str:
    if access.token is None:
        return "Any program on this machine can call it, without a token."
    where = "this machine" if is_loopback(options.host) else "every machine that reaches it"
    return f"Whoever has the token, from {where}. open() gives a link for the browser."


def _name_of(model: Any, route: Route) -> str:
    if isinstance(model, ModelVersion):
        return name_from(model.registry.name)
    if isinstance(model, (str, os.PathLike)):
        return checked_name(Path(model).stem)
    return name_from(route.predictor.model_type)


@atexit.register
def _forget_tokens() -> None:
    for name in list(_live):
        remove_token(name)


if hasattr(os, "register_at_fork"):
    # The servers stay with the parent.
    os.register_at_fork(after_in_child=_live.clear)
