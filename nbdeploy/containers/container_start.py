"""The start of a container: what it may do, and what is left when it does not come up."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from nbdeploy.client import Client
from nbdeploy.containers.container import OWN_LABEL, Container, remember
from nbdeploy.containers.engine import Engine
from nbdeploy.exceptions import ContainerError

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle

__all__ = ["run_container"]

_RUN = "org.nbdeploy.run"
_PAUSE = 0.1
_GRACE = 15
_SCRATCH = "/tmp"  # noqa: S108 -- inside of the container
_LAST_PORT = 65535
_TAKEN = re.compile("address already in use|port is already allocated", re.IGNORECASE)


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
    secret = _token_of(token)
    outside = "" if port is None else str(_checked_port(port))
    _remove_own(engine, name)
    mark = f"{_RUN}={secrets.token_hex(8)}"
    command = [
        "run", "--detach", "--name", name, "--label", f"{OWN_LABEL}=1", "--label", mark,
        "--publish", f"127.0.0.1:{outside}:{bundle.port}",
        "--read-only", f"--tmpfs={_SCRATCH}", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--stop-timeout", str(_GRACE),
    ]  # fmt: skip
    # By its name only: what stands in a command, everybody on this machine can read.
    told = [] if secret is None else ["--env", "NBDEPLOY_TOKEN"]
    words = ["serve", "--no-token"] if secret is None else []
    environment = {} if secret is None else {"NBDEPLOY_TOKEN": secret}
    try:
        said = engine.call(*command, *told, bundle.image, *words, environment=environment)
        identity = (said.split() or [name])[-1]
        url = f"http://127.0.0.1:{_port_of(engine, name, identity, bundle.port)}"
        with Client(url, token=secret or "") as client:
            _wait_until_ready(client, engine, name, identity, timeout=timeout, clock=clock)
        container = Container(bundle, engine, name, url, secret, identity=identity)
    except BaseException as error:
        # By the mark: another one may have taken the name meanwhile.
        _remove_marked(engine, mark)
        if port is not None and _TAKEN.search(str(error)):
            message = f"Port {port} of this machine is taken. port=None finds a free one. {error}"
            raise ContainerError(message) from error
        raise
    remember(container)
    return container


def _remove_marked(engine: Engine, mark: str) -> None:
    with suppress(ContainerError):
        for identity in engine.call("ps", "--all", "--quiet", "--filter", f"label={mark}").split():
            engine.call("rm", "--force", identity)


def _checked_port(port: object) -> int:
    if isinstance(port, int) and not isinstance(port, bool) and 1 <= port <= _LAST_PORT:
        return port
    message = (
        f"port={port!r} is no port of this machine. Expected a whole number from 1 to "
        f"{_LAST_PORT}, or None for a free one."
    )
    raise ContainerError(message)


def _remove_own(engine: Engine, name: str) -> None:
    known = engine.inspect(name)
    if not known:
        return
    if (known.get("Config", {}).get("Labels") or {}).get(OWN_LABEL) != "1":
        message = (
            f"There is a container {name!r} that nbdeploy did not start. Remove it "
            f"({engine.command} rm {name}), or give the bundle another name."
        )
        raise ContainerError(message)
    # What is in flight there is answered.
    engine.call("stop", "--time", str(_GRACE), name, timeout=_GRACE + 60)
    engine.call("rm", "--force", name)


def _token_of(token: str | None) -> str | None:
    if token is not None and not (
        isinstance(token, str) and token.isascii() and token.isprintable() and token.strip()
    ):
        message = (
            "token= must be printable ASCII and not empty: it travels in a header. "
            "token='auto' makes a good one, token=None asks for none."
        )
        raise ContainerError(message)
    if token != "auto":  # noqa: S105 -- a keyword, not a secret
        return token
    return os.environ.get("NBDEPLOY_TOKEN") or secrets.token_urlsafe(24)


def _port_of(engine: Engine, name: str, identity: str, inside: int) -> str:
    ports = engine.inspect(identity).get("NetworkSettings", {}).get("Ports") or {}
    published = ports.get(f"{inside}/tcp") or []
    if not published:
        raise ContainerError(_ended(name, _said(engine, identity)))
    return str(published[0]["HostPort"])


def _wait_until_ready(
    client: Client,
    engine: Engine,
    name: str,
    identity: str,
    *,
    timeout: float,
    clock: Callable[[], float],
) -> None:
    end = clock() + timeout
    while clock() < end:
        if client.is_ready():
            return
        if not engine.inspect(identity).get("State", {}).get("Running"):
            raise ContainerError(_ended(name, _said(engine, identity)))
        time.sleep(_PAUSE)
    message = f"{name!r} was not ready within {timeout:g} s. {_said(engine, identity)}"
    raise ContainerError(message)


def _ended(name: str, said: str) -> str:
    return f"{name!r} ended while it started. {said}"


def _said(engine: Engine, identity: str) -> str:
    return "It said at last:\n" + engine.call("logs", "--tail", "20", identity, with_errors=True)
