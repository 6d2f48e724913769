"""`deploy()` and what it returns: the verbs of a notebook."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2 as httpx

from nbdeploy.client import Client
from nbdeploy.display.card import ServiceCard
from nbdeploy.display.cells import current_cell, show
from nbdeploy.display.link import BrowserLink
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import NbdeployError, StoppedError
from nbdeploy.machine import usable_cpus
from nbdeploy.models.compiled import Declined
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.serializer import snapshot
from nbdeploy.monitoring.monitor import ModelMonitor, RecordedError
from nbdeploy.scaling.place import checked_place, start_service
from nbdeploy.scaling.replica_report import ReplicaReport
from nbdeploy.serving.lane import ERROR_ID_HEADER
from nbdeploy.serving.names import checked_name, name_from
from nbdeploy.serving.routing import NOT_COMPILED, Route, route_from_file, route_from_model
from nbdeploy.serving.security import LOGIN_PATH, AccessPolicy, choose_token, is_loopback
from nbdeploy.serving.service import ModelService
from nbdeploy.serving.snippets import Snippets, make_snippets
from nbdeploy.serving.token_file import remove_token, write_token

__all__ = ["Deployment", "deploy", "deployments", "stop_all"]

_live: dict[str, Deployment] = {}
_lock = threading.RLock()


@dataclass(frozen=True)
class _Options:
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

    def of_service(self) -> dict[str, Any]:
        """Give what a `ModelService` takes of it."""
        return {
            "timeout": self.timeout,
            "max_batch_size": self.max_batch_size,
            "batch_timeout": self.batch_timeout,
            "max_concurrency": self.max_concurrency,
            "max_queue": self.max_queue,
        }


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
) -> Deployment:
    """Serve a model over HTTP, and return at once.

    The service answers in the background: the notebook goes on. Deploying under the same name
    again swaps the model behind the same URL, and no request is lost. The model is copied by one
    save and load, so fitting it again changes no answer until the next ``deploy()``.

    Parameters
    ----------
    model
        A fitted model, a function of the rows, or the path of a saved model.
    name
        What the service is called; the class of the model when ``None``, so that a second unnamed
        model of that class replaces the first.
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
        For a path: what vouches for a file that you did not save, see
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

    Returns
    -------
    Deployment
        The handle: ``predict``, ``url``, ``stats``, ``stop``.

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
    options = _Options(
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
    )
    # A wrong address is told before time is spent on the model.
    choose_token(token, host=host, expose=expose, is_shared=lambda: False)
    route = _route_of(model, example=example, trust=trust, copy=copy, compile=compile)
    chosen = checked_name(name) if name is not None else _name_of(model, route)
    with _lock:
        return _deploy(chosen, route, options, is_named=name is not None)


def deployments() -> list[Deployment]:
    """List what is alive in this process, the oldest first."""
    with _lock:
        return [deployment for deployment in _live.values() if deployment._server.running]


def stop_all() -> None:
    """Stop every deployment of this process, all at once."""
    alive = deployments()
    if alive:
        with ThreadPoolExecutor(len(alive)) as threads:
            list(threads.map(Deployment.stop, alive))


class Deployment(ReprMixin):
    """A model that is served from this process: what `deploy` returns.

    Parameters
    ----------
    service
        The application.
    options
        How it is reached.
    """

    def __init__(self, service: ModelService, options: _Options) -> None:
        self.name = service.name
        self._start(service, options)
        self._scaled_to = 0

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
        >>> from sklearn.linear_model import LinearRegression
        >>> with deploy(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), name="two") as service:
        ...     print(service.scale(1))
        ...     service.predict([[3.0]])
        1 replica answers.
        [6.0]
        """
        self._require_running()
        self._scaled_to = self._control.scale(replicas)
        return ReplicaReport(self._scaled_to, usable_cpus())

    def snippets(self) -> Snippets:
        """Write copy-paste calls for curl, Python, R and JavaScript."""
        row = self._service.signature.example_row()
        return make_snippets(self.url, row, token_file=self._token_file)

    def open(self) -> BrowserLink:
        """Give a link to the service's page; with a token, it opens once and within a minute."""
        self._require_running()
        if self._service.access.token is None:
            return BrowserLink(self.name, f"{self.url}/docs")
        code = self._control.issue_code()
        return BrowserLink(self.name, f"{self.url}{LOGIN_PATH}?code={code}")

    def wait(self) -> None:
        """Block until the service is stopped or the cell is interrupted; it then goes on."""
        self._server.wait()

    def stop(self) -> None:
        """Let requests in flight finish, at most 10 seconds, then end; again does nothing."""
        with _lock:
            if _live.get(self.name) is self:
                del _live[self.name]
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
        return self._card().to_text()

    def to_html(self) -> str:
        """Write the card: address, state, what a row looks like, who may call, how to call."""
        return self._card().to_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        if self._shown_in is not None and self._shown_in == current_cell():
            # deploy() showed the card in this very cell: once is enough.
            bundle.pop("text/html")
        return bundle

    def _start(self, service: ModelService, options: _Options) -> None:
        self._service = service
        self._options = options
        self._notes: tuple[str, ...] = ()
        self._shown_in: str | None = None
        self._server, self._control = start_service(
            service,
            where=options.where,
            host=options.host,
            port=options.port,
            options=options.of_service(),
        )
        token = service.access.token
        self._token_file = write_token(self.name, token) if token is not None else None
        self._client = _LocalClient(self.url, token=token, cause_of=self._control.cause_of)

    def _restart(self, service: ModelService, options: _Options) -> None:
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

    def _show(self, *notes: str) -> None:
        self._notes = notes
        self._server.pin_to_current_cell()
        self._shown_in = show(self._card())

    def _caller(self) -> Client:
        self._require_running()
        return self._client

    def _require_running(self) -> None:
        if not self._server.running:
            message = f"{self.name!r} was stopped. Call deploy(model, name={self.name!r}) again."
            raise StoppedError(message)

    def _card(self) -> ServiceCard:
        route = self._service.route
        is_running = self._server.running
        return ServiceCard(
            name=self.name,
            model_type=route.predictor.model_type,
            state="running" if is_running else "stopped",
            url=self.url,
            browser_url=f"{self.url}/docs" if self._token_file is None else None,
            methods=tuple(f"/{method}" for method in route.predictor.methods),
            schema=tuple(route.signature.describe()),
            who_may_call=_who_may_call(self._service.access, self._options),
            curl=self.snippets().curl,
            notes=(*self._notes, *_speed_note(route)),
            version=route.version,
        )


class _LocalClient(Client):
    """The client of a service in this process: it knows why the model raised."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        cause_of: Callable[[str], BaseException | None],
    ) -> None:
        super().__init__(url, token=token or "")
        self._cause_of = cause_of

    def _error(self, response: httpx.Response, document: Any) -> NbdeployError:
        error = super()._error(response, document)
        error_id = response.headers.get(ERROR_ID_HEADER)
        if error_id is not None:
            error.__cause__ = self._cause_of(error_id)
        return error


def _route_of(
    model: Any,
    *,
    example: Any,
    trust: Any,
    copy: bool,
    compile: bool,  # noqa: A002 -- what deploy() calls it
) -> Route:
    if isinstance(model, (str, os.PathLike)):
        return route_from_file(model, trust=trust, example=example, compile=compile)
    # Unfitted and unfit objects are told before time is spent on a copy.
    predictor_for(model)
    if not copy:
        return route_from_model(model, example=example, compile=False)
    twin, digest = snapshot(model)
    return route_from_model(twin, example=example, digest=digest, compile=compile)


def _deploy(name: str, route: Route, options: _Options, *, is_named: bool) -> Deployment:
    """Put a route behind a name; the caller holds the lock."""
    running = _live.get(name)
    if running is not None and not running._server.running:
        running = None
    if running is None:
        deployment = Deployment(_service_for(name, route, options, token=None), options)
        _live[name] = deployment
        deployment._show()
        return deployment
    replaced = running.service.route.predictor.model_type
    note = f"Replaced the {replaced} that was deployed as {name!r}."
    if not is_named:
        note += " Pass name= to keep several at once."
    if _keeps_address(running, options):
        running._control.swap(route)
        running._show(note)
        return running
    old_url, token = running.url, running.service.access.token
    service = _service_for(name, route, options, token=token)
    running._restart(service, options)
    if running.url != old_url:
        note += " Its address changed."
    running._show(note)
    return running


def _service_for(name: str, route: Route, options: _Options, *, token: str | None) -> ModelService:
    chosen = choose_token(options.token, host=options.host, expose=options.expose)
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


def _keeps_address(running: Deployment, options: _Options) -> bool:
    wanted = replace(options, port=options.port or running._server.port)
    return wanted == replace(running._options, port=running._server.port)


def _speed_note(route: Route) -> tuple[str, ...]:
    if isinstance(route.compiled, Declined) and route.compiled.reason != NOT_COMPILED.reason:
        return (f"Not compiled, so the plain model answers: {route.compiled.reason}",)
    return ()


def _who_may_call(access: AccessPolicy, options: _Options) -> str:
    if access.token is None:
        return "Any program on this machine can call it, without a token."
    where = "this machine" if is_loopback(options.host) else "every machine that reaches it"
    return f"Whoever has the token, from {where}."


def _name_of(model: Any, route: Route) -> str:
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
