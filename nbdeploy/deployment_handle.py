"""One model that is served: the handle that `deploy` returns, with the verbs of a notebook."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdeploy.client import Client
from nbdeploy.deployment_options import Options, Recipe, route_of, signature_for
from nbdeploy.display.card import ServiceCard
from nbdeploy.display.cells import current_cell, show
from nbdeploy.display.html import visible
from nbdeploy.display.link import BrowserLink
from nbdeploy.display.members import members_of_report
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import SignatureError, StoppedError
from nbdeploy.live_deployments import live, lock
from nbdeploy.local_client import LocalClient
from nbdeploy.models.compiled import Declined
from nbdeploy.monitoring.monitor import ModelMonitor, RecordedError
from nbdeploy.registry.recognition import is_model_version
from nbdeploy.scaling.place import Server, start_service
from nbdeploy.scaling.scaling_verbs import ScalingVerbs
from nbdeploy.serving.addresses import address_of, browser_note, browser_page, surroundings
from nbdeploy.serving.control import Control
from nbdeploy.serving.dashboard_route import PANEL_PATH
from nbdeploy.serving.routing import NOT_COMPILED, Route
from nbdeploy.serving.security import LOGIN_PATH, AccessPolicy, is_loopback
from nbdeploy.serving.service import ModelService
from nbdeploy.serving.snippets import Snippets, make_snippets
from nbdeploy.serving.token_file import remove_token, write_token
from nbdeploy.serving.traffic_desk import TrafficDesk
from nbdeploy.serving.traffic_verbs import TrafficVerbs
from nbdeploy.with_blocks import StopsOnExit

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle
    from nbdeploy.dashboard import Dashboard
    from nbdeploy.registry.version import ModelVersion
    from nbdeploy.scaling.load_test import Target
    from nbdeploy.try_it import TryIt

__all__ = ["Deployment"]


class Deployment(TrafficVerbs, ScalingVerbs, StopsOnExit, ReprMixin):
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
        self._traffic = TrafficDesk(self._control.served(), recipe.example)

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
        return self._traffic

    def _make_route(self, model: Any) -> Route:
        recipe = self._recipe
        options = {"trust": recipe.trust, "copy": recipe.copy, "compile": recipe.compile}
        if is_model_version(model):
            self._recipe = replace(recipe, registry=model.registry)
        elif not isinstance(model, (str, os.PathLike)):
            # What all rows looked like is known; the few that are kept would make it narrower.
            known = signature_for(model, self._service.signature)
            seen = self._service.route.drift
            baseline = None if seen is None else seen.baseline_of_columns()
            return route_of(model, example=None, signature=known, baseline=baseline, **options)
        try:
            return route_of(model, example=None, **options)
        except SignatureError:
            if recipe.example is None:
                raise
            return route_of(model, example=recipe.example, **options)

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

    def dashboard(self) -> Dashboard:
        """Show what the service does, live, in the running cell: ``service.dashboard()``.

        Tiles, latency and throughput of the last five minutes, versions, predictions, drift and
        errors are drawn anew every second, while cells run; buttons pause it, reset the window
        and stop the service. The same is at ``/dashboard`` for a browser.

        Returns
        -------
        Dashboard
            As the last line of a cell it shows itself.
        """
        from nbdeploy.dashboard import Dashboard  # noqa: PLC0415 -- only here

        self._require_running()
        return Dashboard(
            self.name,
            lambda: self._client.page(PANEL_PATH),
            reset=lambda: self._control.reset(),  # noqa: PLW0108 -- another after the next deploy()
            stop=self.stop,
            is_running=lambda: self._server.running,
        )

    def try_it(self) -> TryIt:
        """Show a form for one row; it needs no address, so it works wherever the notebook does."""
        self._require_running()
        from nbdeploy.try_it import TryIt  # noqa: PLC0415 -- only here

        return TryIt(self.name, self._service.signature, self._ask)

    def bundle(self, folder: str | os.PathLike[str] | None = None, **options: Any) -> Bundle:
        """Write the model with all that serving it needs into a folder that builds an image.

        Parameters
        ----------
        folder
            Where to; ``build/NAME`` when ``None``.
        options
            See `Bundle.create`.

        Raises
        ------
        ContainerError
            If something cannot be packed, or the folder holds foreign files.
        """
        from nbdeploy.containers.deployment_bundle import bundle_of  # noqa: PLC0415 -- only here

        known = {"name": self.name, "example": self._traffic.example}
        limits = self._options.of_service()
        return bundle_of(self._service.route, folder, limits=limits, **{**known, **options})

    def wait(self) -> None:
        """Block until the service is stopped or the cell is interrupted; it then goes on."""
        self._server.wait()

    def stop(self) -> None:
        """Let requests in flight finish, at most 10 seconds, then end; again does nothing."""
        self._end_autoscaling()
        with lock:
            if live.get(self.name) is self:
                del live[self.name]
        self._traffic.close()
        self._server.stop()
        self._control.close()
        self._client.close()
        remove_token(self.name)

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

    def _target(self, rows: Any) -> Target:
        from nbdeploy.scaling.load_rows import bodies_of  # noqa: PLC0415 -- only here
        from nbdeploy.scaling.load_test import Target  # noqa: PLC0415 -- only here

        self._require_running()
        drawn = self._traffic.example if rows is None else rows
        certificate = self._options.ssl_certfile
        return Target(
            self.url,
            bodies_of(drawn, self._service.signature),
            token=self._service.access.token,
            replicas=lambda: self._scaled_to,
            certificate=None if certificate is None else str(certificate),
        )

    def _show(self, *notes: str) -> None:
        self._notes = notes
        self._server.pin_to_current_cell()
        # A cell that deploys several shows the first one whole, and of the others what differs.
        cells = {each._shown_in for each in live.values()} - {None}
        is_another = current_cell() in cells
        self._shown_in = show(self._card().brief() if is_another else self._card())

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


def _who_may_call(access: AccessPolicy, options: Options) -> str:
    if access.token is None:
        return "Any program on this machine can call it, without a token."
    where = "this machine" if is_loopback(options.host) else "every machine that reaches it"
    return f"Whoever has the token, from {where}. open() gives a link for the browser."
