"""The socket a server listens on, bound before any thread starts."""

from __future__ import annotations

import errno
import os
import socket

from nbdeploy.exceptions import PortInUseError, StartupError

__all__ = ["bind_listener", "release_descriptor"]

_BACKLOG = 2048
_ANY_FREE_PORT = 0


def bind_listener(host: str, port: int | None = None) -> socket.socket:
    """Bind and listen, so that whoever asks for a taken port is the one who hears of it.

    Clients that connect from now on wait in the backlog until a server accepts them.

    Parameters
    ----------
    host
        A name or an address of this machine, IPv4 or IPv6. ``"::"`` takes IPv4 clients too.
    port
        ``None`` picks a free one.

    Raises
    ------
    PortInUseError
        Something listens there already.
    StartupError
        The host is none of this machine's, or the port needs rights that the process lacks.

    Examples
    --------
    >>> with bind_listener("127.0.0.1") as listener:
    ...     listener.getsockname()[0]
    '127.0.0.1'
    """
    try:
        family, address = _resolve(host, port or _ANY_FREE_PORT)
        # SO_REUSEADDR, which this sets on POSIX, lets a server that was just stopped come back.
        listener = socket.create_server(
            address,
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise _explain(error, host, port) from error
    # asyncio sets this for sockets that it made itself only. Without it, an answer written as
    # headers and body waits 40 ms for the client's acknowledgement of the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def release_descriptor(descriptor: int) -> None:
    """Close a socket that another object still believes to own.

    The number then stands for the null device. Whoever closes it later closes that, never a file
    that got the same number meanwhile.
    """
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(null, descriptor, inheritable=False)
    finally:
        os.close(null)


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _explain(error: OSError, host: str, port: int | None) -> OSError | StartupError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"Port {port} on {host} is taken{_holder(port)}. Stop what listens there, ask for "
            "another port, or leave port=None for a free one."
        )
    if error.errno == errno.EACCES:
        return StartupError(
            f"Port {port} on {host} may not be opened: ports below 1024 need special rights. "
            "Ask for a port from 1024 to 65535, or leave port=None for a free one."
        )
    if isinstance(error, socket.gaierror):
        return StartupError(
            f"The host name {host!r} is unknown ({error.strerror}). Use 127.0.0.1 for this "
            "machine only, or 0.0.0.0 for every network it is on."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return StartupError(
            f"{host} is no address of this machine. Use 127.0.0.1 for this machine only, or "
            "0.0.0.0 for every network it is on."
        )
    return StartupError(f"The server could not listen on {host}, port {port}: {error}")


def _holder(port: int | None) -> str:
    import psutil  # noqa: PLC0415 -- heavy import, for an error only

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return ""
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.laddr and connection.laddr.port == port and connection.pid:
            return f" by {_process_name(connection.pid)}"
    return ""


def _process_name(pid: int) -> str:
    import psutil  # noqa: PLC0415 -- heavy import, for an error only

    if pid == os.getpid():
        return "a server of this very process"
    try:
        return f"process {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"process {pid}"
