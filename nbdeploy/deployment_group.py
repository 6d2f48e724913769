"""Several models behind one address: what `deploy` returns for a dict of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nbdeploy.deployment_handle import Deployment
from nbdeploy.deployment_options import (
    Options,
    Recipe,
    kept_rows,
    let_rows_go,
    route_of,
    service_for,
)
from nbdeploy.display.cells import show
from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.exceptions import RequestError
from nbdeploy.live_deployments import live, live_groups, lock
from nbdeploy.registry.recognition import is_model_version
from nbdeploy.scaling.kernel_control import KernelControl
from nbdeploy.scaling.place import Server
from nbdeploy.serving.control import Control
from nbdeploy.serving.names import checked_name
from nbdeploy.serving.routing import Route
from nbdeploy.serving.server import BackgroundServer
from nbdeploy.serving.service import ModelService
from nbdeploy.serving.several_models import MODELS_PATH, SeveralModels
from nbdeploy.serving.token_file import remove_token, write_token
from nbdeploy.with_blocks import StopsOnExit

__all__ = ["DeploymentGroup", "ModelOfGroup", "deploy_several"]


class ModelOfGroup(Deployment):
    """One model of several: every verb of a `Deployment`, on the address of all.

    Parameters
    ----------
    service
        The application of this model.
    options
        How all are reached.
    recipe
        How further versions are loaded.
    server
        The server of all.
    """

    def __init__(
        self, service: Any, options: Options, recipe: Recipe, *, server: BackgroundServer
    ) -> None:
        self._shared = server
        super().__init__(service, options, recipe)

    @property
    def url(self) -> str:
        """Where programs on this machine reach this model."""
        return f"{self._shared.url}{MODELS_PATH}{self.name}"

    def stop(self) -> None:
        """Refuse: one of several cannot stop alone.

        Raises
        ------
        RequestError
            Always; it says what to do instead.
        """
        message = (
            f"{self.name!r} shares its address with others and cannot stop alone. Stop all of "
            "them, or deploy the others again without it."
        )
        raise RequestError(message)

    def take_over(self, route: Route, recipe: Recipe) -> None:
        """Let another model answer in the place of this one."""
        self._recipe = recipe
        self._control.bring(route)
        self._traffic.replace(route, recipe.example, service=self._service)

    def close(self) -> None:
        """End what belongs to this model alone."""
        self._end_autoscaling()
        self._traffic.close()
        self._control.close()
        self._client.close()

    def _serve(self) -> tuple[Server, Control]:
        control = KernelControl(
            self._service, timeout=self._options.timeout, adopt=self._shared.adopt_thread
        )
        return self._shared, control

    def _keep_token(self, token: str | None) -> Any:  # noqa: ARG002 -- one file holds it for all
        return self._shared_token_file

    _shared_token_file: Any = None


class DeploymentGroup(StopsOnExit, ReprMixin):
    """Several models behind one address: each is a `Deployment` under its name.

    Parameters
    ----------
    several
        The application.
    options
        How it is reached.
    recipes
        How further versions of each model are loaded.
    """

    def __init__(
        self, several: SeveralModels, options: Options, recipes: Mapping[str, Recipe]
    ) -> None:
        self.name = several.name
        self.several = several
        self._options = options
        self._server = BackgroundServer(
            several.app,
            name=self.name,
            websockets=False,
            **options.of_server(),
        ).start()
        token = several.access.token
        token_file = write_token(self.name, token) if token is not None else None
        kind = type("ModelOfGroup", (ModelOfGroup,), {"_shared_token_file": token_file})
        self._models: dict[str, ModelOfGroup] = {
            name: kind(service, options, recipes[name], server=self._server)
            for name, service in several.services.items()
        }

    @property
    def url(self) -> str:
        """Where programs on this machine reach all of them."""
        return self._server.url

    def __getitem__(self, name: str) -> ModelOfGroup:
        self.several.find(name)
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def predict(self, rows: Any) -> Any:  # noqa: ARG002 -- the rows cannot tell which model
        """Refuse: nobody knows which model is meant.

        Raises
        ------
        RequestError
            Always; it names the models.
        """
        known = " or ".join(f"service[{name!r}]" for name in self._models)
        message = f"{self.name!r} has several models. Ask one of them: {known}.predict(rows)."
        raise RequestError(message)

    def takes(self, routes: Mapping[str, Route], options: Options) -> bool:
        """Tell whether the same models, fitted anew, can take the places of those that are here."""
        is_same = self._server.running and set(routes) == set(self._models)
        return is_same and options.leaves_in_place(self._options, port=self._server.port)

    def replace_models(self, routes: Mapping[str, Route], recipes: Mapping[str, Recipe]) -> None:
        """Let other models answer in the places of those that do; no request is lost."""
        for name, model in self._models.items():
            model.take_over(routes[name], recipes[name])

    def stats(self) -> dict[str, dict[str, Any]]:
        """Summarize what each model was asked."""
        return {name: model.stats() for name, model in self._models.items()}

    def logs(self) -> list[str]:
        """Return the last lines that the server logged, the oldest first."""
        return self._server.logs()

    def wait(self) -> None:
        """Block until it is stopped or the cell is interrupted; it then goes on."""
        self._server.wait()

    def stop(self) -> None:
        """Let requests in flight finish, then end all models; again does nothing."""
        with lock:
            if live_groups.get(self.name) is self:
                del live_groups[self.name]
        for model in self._models.values():
            model.close()
        self._server.stop()
        remove_token(self.name)

    def __repr__(self) -> str:
        state = "running" if self._server.running else "stopped"
        return f"{self.name}: {len(self)} models, {state}\n{self._table().to_text()}"

    def to_html(self) -> str:
        """Write the models with their paths as a card."""
        head = element("div", element("strong", self.name, class_="nbd-name"), class_="nbd-head")
        table = element("div", self._table().element(), class_="nbd-scroll")
        address = element("div", element("code", self.url), class_="nbd-quiet")
        return fragment(head, address, table, class_="nbd-card")

    def show(self) -> None:
        """Show the card in the cell that runs."""
        self._server.pin_to_current_cell()
        show(self)

    def _table(self) -> Table:
        rows = [
            (
                name,
                model.service.route.predictor.model_type,
                ", ".join(
                    f"{MODELS_PATH}{name}/{method}"
                    for method in model.service.route.predictor.methods
                ),
            )
            for name, model in self._models.items()
        ]
        return Table(("model", "class", "endpoints"), rows, noun="model")


def deploy_several(
    models: Mapping[str, Any],
    name: str,
    options: Options,
    *,
    example: Any,
    store_example: bool,
    **loading: Any,
) -> DeploymentGroup:
    """Put several models behind one address; a group of this name makes place."""
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
        checked_name(each): route_of(model, example=rows[each], **loading)
        for each, model in models.items()
    }
    options.prepare_request_log(*(route.signature for route in routes.values()))
    if not store_example:
        for route in routes.values():
            let_rows_go(route)
    together = checked_name(name)
    with lock:
        recipes = {
            each: Recipe(
                registry=models[each].registry if is_model_version(models[each]) else None,
                example=kept_rows(models[each], rows[each]) if store_example else None,
                **loading,
            )
            for each in routes
        }
        before: Deployment | DeploymentGroup | None = live_groups.get(together)
        if isinstance(before, DeploymentGroup) and before.takes(routes, options):
            before.replace_models(routes, recipes)
            before.show()
            return before
        before = before or live.get(together)
        kept = None
        if before is not None and before._server.running:
            served = before.several if isinstance(before, DeploymentGroup) else before.service
            kept = served.access.token
            # Callers keep the address that they have.
            options = replace(options, port=options.port or before._server.port)
            before.stop()
        services: dict[str, ModelService] = {}
        for each, route in routes.items():
            services[each] = service_for(each, route, options, token=kept)
            kept = services[each].access.token
        access = next(iter(services.values())).access
        for service in services.values():
            service.access = access
        several = SeveralModels(services, name=together, access=access)
        group = live_groups[together] = DeploymentGroup(several, options, recipes)
        group.show()
    return group
