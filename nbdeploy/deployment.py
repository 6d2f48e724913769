"""`deploy()`: a model, or several, behind an address."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

from nbdeploy.deployment_group import DeploymentGroup, deploy_several
from nbdeploy.deployment_handle import Deployment
from nbdeploy.deployment_options import (
    DeployKeywords,
    Options,
    Recipe,
    kept_rows,
    let_rows_go,
    name_of,
    route_of,
    service_for,
)
from nbdeploy.live_deployments import deployments, live, live_groups, lock, stop_all
from nbdeploy.monitoring.request_log import RequestLog
from nbdeploy.registry.recognition import is_model_version
from nbdeploy.scaling.place import checked_place
from nbdeploy.serving.names import checked_name
from nbdeploy.serving.routing import Route
from nbdeploy.serving.security import choose_token

__all__ = ["Deployment", "DeploymentGroup", "deploy", "deployments", "stop_all"]


@overload
def deploy(model: Mapping[str, Any], **keywords: Unpack[DeployKeywords]) -> DeploymentGroup: ...


@overload
def deploy(model: Any, **keywords: Unpack[DeployKeywords]) -> Deployment: ...


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
    request_log: str | os.PathLike[str] | RequestLog | None = None,
    ssl_certfile: str | os.PathLike[str] | None = None,
    ssl_keyfile: str | os.PathLike[str] | None = None,
) -> Deployment | DeploymentGroup:
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
        are learned from them, and how they are distributed, for ``monitor.drift()``. Without it,
        what the fitted model remembers is used.
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
        needs a model that can be saved. Several models are served from this one only.
    store_example
        Keep at most 32 rows of `example` in memory: versions that come later are asked them
        before they go live; and 256 until ``monitor.drift()`` is first asked for. The baseline of
        the drift is counts and no rows, and is kept in any case.
    request_log
        A folder to record requests in, rows and answers, one JSON object a line: for
        ``service.shadow("1.1", replay=folder)``. `nbdeploy.monitoring.RequestLog` records a share
        of them, or leaves columns out. At most 100 MB are kept. What cannot be written is lost and
        counted in ``stats()["request_log"]``; no answer waits for it.
    ssl_certfile
        A PEM file with a certificate: the service then speaks https and nothing else.
    ssl_keyfile
        A PEM file with its key, unless the certificate's file holds it.

    Returns
    -------
    Deployment or DeploymentGroup
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
        request_log=RequestLog.of(request_log),
        ssl_certfile=Path(ssl_certfile) if ssl_certfile is not None else None,
        ssl_keyfile=Path(ssl_keyfile) if ssl_keyfile is not None else None,
    )
    # A wrong address is told before time is spent on the model.
    choose_token(token, host=host, expose=expose, is_shared=lambda: False)
    loading = {"trust": trust, "copy": copy, "compile": compile}
    if isinstance(model, Mapping):
        return deploy_several(
            model,
            name or "models",
            options,
            example=example,
            store_example=store_example,
            **loading,
        )
    route = route_of(model, example=example, trust=trust, copy=copy, compile=compile)
    options.prepare_request_log(route.signature)
    chosen = checked_name(name) if name is not None else name_of(model, route)
    if not store_example:
        let_rows_go(route)
    kept = kept_rows(model, example) if store_example else None
    registry = model.registry if is_model_version(model) else None
    recipe = Recipe(registry=registry, example=kept, trust=trust, copy=copy, compile=compile)
    with lock:
        return _deploy(chosen, route, options, recipe, is_named=name is not None)


def _deploy(
    name: str, route: Route, options: Options, recipe: Recipe, *, is_named: bool
) -> Deployment:
    """Put a route behind a name; the caller holds the lock."""
    group = live_groups.get(name)
    if group is not None:
        # One name, one service: callers keep the address that they have.
        options = replace(options, port=options.port or group._server.port)
        group.stop()
    running = live.get(name)
    if running is not None and not running._server.running:
        running = None
    if running is None:
        deployment = Deployment(service_for(name, route, options, token=None), options, recipe)
        live[name] = deployment
        deployment._show()
        return deployment
    replaced = running.service.route.predictor.model_type
    note = f"Replaced the {replaced} that was deployed as {name!r}."
    if not is_named:
        note += " Pass name= to keep several at once."
    running._recipe = recipe
    if options.leaves_in_place(running._options, port=running._server.port):
        running._control.bring(route)
        running._traffic.replace(route, recipe.example, service=running._control.served())
        running._show(note)
        return running
    old_url, token = running.url, running.service.access.token
    service = service_for(name, route, options, token=token)
    running._restart(service, options)
    running._traffic.replace(route, recipe.example, service=running._control.served())
    if running.url != old_url:
        note += " Its address changed."
    running._show(note)
    return running
