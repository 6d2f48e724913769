"""A running container as a handle: the reading verbs of a service, and what its engine does."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from nbdeploy.client import Client
from nbdeploy.containers.bundle_manifests import signature_of
from nbdeploy.containers.engine import Engine
from nbdeploy.display.html import Html, element, escape, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import ContainerError
from nbdeploy.serving.dashboard_route import PANEL_PATH
from nbdeploy.serving.snippets import Snippets, make_snippets
from nbdeploy.serving.token_file import remove_token, write_token

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle
    from nbdeploy.dashboard import Dashboard
    from nbdeploy.scaling.capacity import Capacity
    from nbdeploy.scaling.load_result import LoadResult
    from nbdeploy.try_it import TryIt

__all__ = ["Container", "run_container"]

_OWN = "org.nbdeploy.container"
_PAUSE = 0.1
_GRACE = 15
_LOG_LINES = 200
_SCRATCH = "/tmp"  # noqa: S108 -- inside of the container
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
    "monitor": "stats() tells the same figures; the monitor itself is in the container.",
}


class Container(ReprMixin):
    """A container that `Bundle.run` started.

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
    """

    def __init__(
        self, bundle: Bundle, engine: Engine, name: str, url: str, token: str | None
    ) -> None:
        self.name = name
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

    def logs(self) -> list[str]:
        """Return the last lines that it logged, the oldest first."""
        return self._engine.call(
            "logs", "--tail", str(_LOG_LINES), self.name, with_errors=True
        ).splitlines()

    def health(self) -> str:
        """Return what the engine's own health check says: ``starting``, ``healthy``, ..."""
        state = self._engine.inspect(self.name).get("State", {})
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
        while self._is_running():
            time.sleep(_PAUSE)

    def stop(self) -> int | None:
        """Let requests in flight finish, end it and remove it; again does nothing.

        Returns
        -------
        code
            What the process exited with: 0 when it ended by itself; ``None`` if it was gone.
        """
        self._client.close()
        remove_token(self.name)
        if not self._engine.inspect(self.name):
            return None
        self._engine.call("stop", "--time", str(_GRACE), self.name, timeout=_GRACE + 60)
        state = self._engine.inspect(self.name).get("State", {})
        self._engine.call("rm", "--force", self.name)
        code = state.get("ExitCode")
        return None if code is None else int(code)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __getattr__(self, name: str) -> NoReturn:
        if name in _ELSEWHERE:
            message = f"A container has no {name}. {_ELSEWHERE[name]}"
            raise ContainerError(message)
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(message)

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
        return bool(self._engine.inspect(self.name).get("State", {}).get("Running"))

    def _refuse_reset(self) -> None:
        message = "A container's figures start anew with it: bundle.run() replaces it."
        raise ContainerError(message)

    def _ask(self, row: Any) -> tuple[Any, Mapping[Any, float]]:
        return self._client.predict([row])[0], {}


def run_container(
    bundle: Bundle,
    engine: Engine,
    *,
    port: int | None,
    token: str | None,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
) -> Container:
    """Do what `Bundle.run` tells."""
    assert bundle.image is not None
    name = f"nbdeploy-{bundle.name}"
    _remove_own(engine, name)
    secret = _token_of(token)
    outside = "" if port is None else str(port)
    command = [
        "run", "--detach", "--name", name, "--label", f"{_OWN}=1",
        "--publish", f"127.0.0.1:{outside}:{bundle.port}",
        "--read-only", f"--tmpfs={_SCRATCH}", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--stop-timeout", str(_GRACE),
    ]  # fmt: skip
    if secret is None:
        engine.call(*command, bundle.image, "serve", "--no-token")
    else:
        # By its name only: what stands in a command, everybody on this machine can read.
        command += ["--env", "NBDEPLOY_TOKEN", bundle.image]
        engine.call(*command, environment={"NBDEPLOY_TOKEN": secret})
    try:
        url = f"http://127.0.0.1:{_port_of(engine, name, bundle.port)}"
        container = Container(bundle, engine, name, url, secret)
        _wait_until_ready(container, engine, timeout, clock)
    except BaseException:
        engine.call("rm", "--force", name)
        raise
    return container


def _remove_own(engine: Engine, name: str) -> None:
    known = engine.inspect(name)
    if not known:
        return
    if (known.get("Config", {}).get("Labels") or {}).get(_OWN) != "1":
        message = (
            f"There is a container {name!r} that nbdeploy did not start. Remove it "
            f"({engine.command} rm {name}), or give the bundle another name."
        )
        raise ContainerError(message)
    engine.call("rm", "--force", name)


def _token_of(token: str | None) -> str | None:
    if token != "auto":  # noqa: S105 -- a keyword, not a secret
        return token
    return os.environ.get("NBDEPLOY_TOKEN") or secrets.token_urlsafe(24)


def _port_of(engine: Engine, name: str, inside: int) -> str:
    ports = engine.inspect(name).get("NetworkSettings", {}).get("Ports") or {}
    published = ports.get(f"{inside}/tcp") or []
    if not published:
        raise ContainerError(_ended(engine, name))
    return str(published[0]["HostPort"])


def _wait_until_ready(
    container: Container, engine: Engine, timeout: float, clock: Callable[[], float]
) -> None:
    end = clock() + timeout
    while clock() < end:
        if container._client.is_ready():  # noqa: SLF001 -- one unit
            return
        if not container._is_running():  # noqa: SLF001 -- as above
            raise ContainerError(_ended(engine, container.name))
        time.sleep(_PAUSE)
    message = f"{container.name!r} was not ready within {timeout:g} s. " + _said(
        engine, container.name
    )
    raise ContainerError(message)


def _ended(engine: Engine, name: str) -> str:
    return f"{name!r} ended while it started. {_said(engine, name)}"


def _said(engine: Engine, name: str) -> str:
    return "It said at last:\n" + engine.call("logs", "--tail", "20", name, with_errors=True)
