"""A running container as a handle: the reading verbs of a service, and what its engine does."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nbdeploy.client import Client
from nbdeploy.containers.absent_verbs import absent_verb
from nbdeploy.containers.bundle_manifests import signature_of
from nbdeploy.containers.engine import Engine
from nbdeploy.display.html import Html, element, escape, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import ContainerError
from nbdeploy.serving.dashboard_route import PANEL_PATH
from nbdeploy.serving.snippets import Snippets, make_snippets
from nbdeploy.serving.token_file import remove_token, write_token
from nbdeploy.with_blocks import StopsOnExit

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle
    from nbdeploy.dashboard import Dashboard
    from nbdeploy.monitoring.monitor import ModelMonitor
    from nbdeploy.scaling.capacity import Capacity
    from nbdeploy.scaling.load_result import LoadResult
    from nbdeploy.try_it import TryIt

__all__ = ["OWN_LABEL", "Container", "remember"]

#: Says that nbdeploy started a container, and may replace it.
OWN_LABEL = "org.nbdeploy.container"

_PAUSE = 0.5
_GRACE = 15
_LAST_GRACE = 2  # a kernel that ends is killed soon
_LOG_LINES = 200
_ELSEWHERE = {
    "scale": "Start more containers with bundle.run(), or scale the Deployment in a cluster.",
    "autoscale": "A cluster does this for containers (HPA); service.autoscale() does it here.",
    "rollout": "Build an image of the other model: service.bundle(folder).build().run() replaces.",
    "rollback": "Run the image of before: bundle.build(old_tag).run() replaces this container.",
    "split": "deploy() both models in the notebook, and split there.",
    "shadow": "deploy() both models in the notebook, and shadow there.",
    "compare": "deploy() both models in the notebook, and compare there.",
    "errors": "Tracebacks stay in the container: see logs().",
    "bundle": "It was made of one: Bundle.open(folder).",
}


# By their names; another run of a name takes the place of the one before.
_started: dict[str, Container] = {}


class Container(StopsOnExit, ReprMixin):
    """A container that `Bundle.run` started. It ends with the kernel.

    Parameters
    ----------
    bundle
        What it serves.
    engine
        Who runs it.
    name
        What the engine calls it.
    url
        Where this machine reaches it.
    token
        What callers must send.
    identity
        What the engine calls it, and no other after it; the name when ``None``.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        name: str,
        url: str,
        token: str | None,
        *,
        identity: str | None = None,
    ) -> None:
        self.name = name
        self._identity = identity or name
        self.url = url
        self.image = bundle.image
        self._engine = engine
        self._signature = signature_of(bundle)
        self._token = token
        self._token_file: Path | None = write_token(name, token) if token is not None else None
        self._client = Client(url, token=token or "")

    def predict(self, rows: Any) -> Any:
        """Predict rows over HTTP; see `Deployment.predict`."""
        return self._client.predict(rows)

    def predict_proba(self, rows: Any) -> Any:
        """Predict the probability of every class over HTTP; see `Deployment.predict_proba`."""
        return self._client.predict_proba(rows)

    def stats(self) -> dict[str, Any]:
        """Ask what the container counted; the keys of `ModelMonitor.get_statistics`."""
        return self._client.stats()

    @property
    def monitor(self) -> ModelMonitor:
        """A read-only monitor with what the container has counted by now."""
        from nbdeploy.containers.remote_monitor import remote_monitor  # noqa: PLC0415 -- only here

        return remote_monitor([self._client])

    def logs(self) -> list[str]:
        """Return the last lines that it logged, the oldest first."""
        return self._engine.call(
            "logs", "--tail", str(_LOG_LINES), self._identity, with_errors=True
        ).splitlines()

    def health(self) -> str:
        """Return what the engine's own health check says: ``starting``, ``healthy``, ..."""
        state = self._engine.inspect(self._identity).get("State", {})
        health = state.get("Health") or state.get("Healthcheck") or {}
        return str(health.get("Status") or state.get("Status") or "gone")

    def snippets(self) -> Snippets:
        """Write copy-paste calls for curl, Python, R and JavaScript."""
        return make_snippets(
            self.url, self._signature.example_row(), token_file=self._token_file, certificate=None
        )

    def open(self) -> str:
        """Return the address of its page; a browser asks for the token there."""
        return f"{self.url}/docs"

    def dashboard(self) -> Dashboard:
        """Show what it does, live, in the running cell; see `Deployment.dashboard`."""
        from nbdeploy.dashboard import Dashboard  # noqa: PLC0415 -- only here

        return Dashboard(
            self.name,
            lambda: self._client.page(PANEL_PATH),
            reset=self._refuse_reset,
            stop=self.stop,
            is_running=self._is_running,
        )

    def try_it(self) -> TryIt:
        """Show a form for one row."""
        from nbdeploy.try_it import TryIt  # noqa: PLC0415 -- only here

        return TryIt(self.name, self._signature, self._ask)

    def load_test(
        self,
        rps: float | None = None,
        *,
        seconds: float | None = None,
        concurrency: int | None = None,
        ramp: bool = False,
        goal_p95: float | None = None,
        rows: Any = None,
    ) -> LoadResult | Capacity:
        """Send a load, and measure what callers see; see `Deployment.load_test`."""
        from nbdeploy.scaling.load_rows import bodies_of  # noqa: PLC0415 -- only here
        from nbdeploy.scaling.load_test import Target, load_service  # noqa: PLC0415 -- only here

        target = Target(self.url, bodies_of(rows, self._signature), token=self._token)
        return load_service(
            target, rps, seconds=seconds, concurrency=concurrency, ramp=ramp, goal_p95=goal_p95
        )

    def wait(self) -> None:
        """Block until the container ends or the cell is interrupted; it then goes on."""
        with suppress(KeyboardInterrupt):
            while self._is_running():
                time.sleep(_PAUSE)

    def stop(self, grace: int = _GRACE) -> int | None:
        """Let requests in flight finish, end it and remove it; again does nothing.

        Parameters
        ----------
        grace
            Seconds that they have.

        Returns
        -------
        code
            What the process exited with: 0 when it ended by itself; ``None`` if it was gone.
        """
        self._client.close()
        # The token of another run of this name is not this one's to remove.
        if _started.get(self.name, self) is self:
            _started.pop(self.name, None)
            remove_token(self.name)
        if not self._engine.inspect(self._identity):
            return None
        self._engine.call("stop", "--time", str(grace), self._identity, timeout=grace + 60)
        state = self._engine.inspect(self._identity).get("State", {})
        self._engine.call("rm", "--force", self._identity)
        code = state.get("ExitCode")
        return None if code is None else int(code)

    def __getattr__(self, name: str) -> NoReturn:
        raise absent_verb(self, name, "A container", _ELSEWHERE, ContainerError)

    def __repr__(self) -> str:
        return f"<Container {self.name!r} of {self.image}>"

    def to_html(self) -> str:
        """Write where it is and how to call it."""
        curl = element("pre", escape(self.snippets().curl, keep="\n\t"), class_="nbd-copy")
        facts = (
            ("URL", element("code", self.url, class_="nbd-copy")),
            ("Image", str(self.image)),
            ("Access", "Whoever has the token" if self._token else "Any program on this machine"),
            ("Call it", curl),
        )
        rows = (Html(element("dt", label) + element("dd", value)) for label, value in facts)
        head = element("div", element("strong", self.name, class_="nbd-name"), class_="nbd-head")
        return fragment(head, element("dl", *rows), class_="nbd-card")

    def _is_running(self) -> bool:
        return bool(self._engine.inspect(self._identity).get("State", {}).get("Running"))

    def _refuse_reset(self) -> None:
        message = "A container's figures start anew with it: bundle.run() replaces it."
        raise ContainerError(message)

    def _ask(self, row: Any) -> tuple[Any, Mapping[Any, float]]:
        return self._client.predict([row])[0], {}


def remember(container: Container) -> None:
    """End it with the kernel, unless another one of its name is remembered before that."""
    _started[container.name] = container


@atexit.register
def _stop_all() -> None:
    for container in list(_started.values()):
        with suppress(ContainerError):
            container.stop(_LAST_GRACE)


if hasattr(os, "register_at_fork"):
    # They are the parent's.
    os.register_at_fork(after_in_child=_started.clear)
