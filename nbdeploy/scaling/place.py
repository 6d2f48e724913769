"""Where a service runs: in this process, or in one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from nbdeploy.scaling.kernel_control import KernelControl
from nbdeploy.serving.control import Control
from nbdeploy.serving.server import BackgroundServer
from nbdeploy.serving.service import ModelService

if TYPE_CHECKING:
    from nbdeploy.scaling.process_server import ProcessServer

__all__ = ["Server", "checked_place", "start_service"]

Server: TypeAlias = "BackgroundServer | ProcessServer"


def start_service(
    service: ModelService,
    *,
    where: str,
    server_options: dict[str, Any],
    service_options: dict[str, Any],
) -> tuple[Server, Control]:
    """Start to serve, and give the server with what it is controlled by.

    Parameters
    ----------
    service
        What is served.
    where
        ``"kernel"`` or ``"process"``.
    server_options
        What `BackgroundServer` takes: where it listens, and with which certificate.
    service_options
        What `service` was made with: a process makes its own like it.

    Raises
    ------
    PortInUseError, StartupError
        If it does not start.
    """
    if where == "process":
        from nbdeploy.scaling.process_server import ProcessServer  # noqa: PLC0415 -- only here

        process = ProcessServer(
            service, server_options=server_options, service_options=service_options
        ).start()
        return process, process
    server = BackgroundServer(
        service.app, name=service.name, websockets=False, **server_options
    ).start()
    timeout = service_options["timeout"]
    control = KernelControl(service, timeout=timeout, adopt=server.adopt_thread)
    return server, control


def checked_place(where: str, *, copy: bool) -> str:
    """Refuse a place that there is not.

    Examples
    --------
    >>> checked_place("process", copy=True)
    'process'
    """
    if where not in {"kernel", "process"}:
        message = (
            f"where={where!r}: expected 'kernel' (this process serves) or 'process' (another one)."
        )
        raise ValueError(message)
    if where == "process" and not copy:
        message = (
            "where='process' serves a copy of the model, and copy=False wants none. Leave one of "
            "them out."
        )
        raise ValueError(message)
    return where
