"""An HTTP server in a thread of this process: a notebook goes on while it answers."""

from __future__ import annotations

import ipaddress
import os
import threading
from contextlib import suppress
from typing import Self

import uvicorn

from nbdeploy.exceptions import StartupError, StoppedError
from nbdeploy.serving.http_protocol import CONNECTION_LIMIT, HEADER_TIMEOUT, http_protocol
from nbdeploy.serving.listener import bind_listener
from nbdeploy.serving.log_ring import LogRing
from nbdeploy.serving.server_thread import Application, HostedApplication, ServerThread
from nbdeploy.with_blocks import StopsOnExit

__all__ = ["BackgroundServer", "url_of"]

_KEEP_ALIVE = 75
# Beyond the time for open requests: uvicorn looks at its flags ten times a second, and the
# application may tidy up.
_STOP_MARGIN = 0.6


class BackgroundServer(StopsOnExit):
    """A web application, served by a daemon thread with an event loop of its own.

    The port is bound by `start`, in the thread of the caller. What the application prints is shown
    under the cell that called `start`; what the server logs is kept for `logs`.

    Parameters
    ----------
    app
        Any ASGI application.
    name
        What to call the server in messages.
    host
        A name or an address of this machine.
    port
        ``None`` picks a free one at each start.
    graceful_timeout
        Seconds that `stop` gives requests in flight before it cancels them.
    header_timeout
        Seconds that a client has to send the headers of a request.
    connection_limit
        Clients connected at the same time, idle ones included; one more is answered 503.
    websockets
        Whether to speak WebSocket. Its library knows none of the limits above.
    ssl_certfile
        A PEM file with the certificate; with it, the server speaks HTTPS only.
    ssl_keyfile
        A PEM file with the key, unless the certificate's file holds it.

    Examples
    --------
    >>> import httpx2
    >>> async def app(scope, receive, send):
    ...     assert scope["type"] == "http"
    ...     await send({"type": "http.response.start", "status": 200})
    ...     await send({"type": "http.response.body", "body": b"Hello"})
    >>> with BackgroundServer(app, name="hello") as server:
    ...     httpx2.get(server.url).text
    'Hello'
    """

    def __init__(
        self,
        app: Application,
        *,
        name: str,
        host: str = "127.0.0.1",
        port: int | None = None,
        graceful_timeout: float = 10.0,
        header_timeout: float = HEADER_TIMEOUT,
        connection_limit: int = CONNECTION_LIMIT,
        websockets: bool = True,
        ssl_certfile: str | os.PathLike[str] | None = None,
        ssl_keyfile: str | os.PathLike[str] | None = None,
    ) -> None:
        if port is not None and not 1 <= port <= 65535:  # noqa: PLR2004 -- what TCP has
            message = f"port is {port}; expected 1 to 65535, or None for a free one"
            raise ValueError(message)
        self.name = name
        self.host = host
        self._wanted_port = port
        self._graceful_timeout = graceful_timeout
        self._app = app
        self._protocol = http_protocol(
            header_timeout=header_timeout,
            connection_limit=connection_limit,
            direct=getattr(app, "direct", None),
        )
        self._websockets = websockets
        self._ssl_certfile = ssl_certfile
        self._ssl_keyfile = ssl_keyfile
        self._logs = LogRing()
        self._thread: ServerThread | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<BackgroundServer {self.name!r}, {state}>"

    def __enter__(self) -> Self:
        return self.start()

    @property
    def running(self) -> bool:
        """Whether it answers: started, and not told to stop."""
        return self._thread is not None and self._thread.is_serving

    @property
    def port(self) -> int:
        """The port it listens on, or listened on last.

        Raises
        ------
        StoppedError
            It was never started, and was not told which port to take.
        """
        port = self._thread.port if self._thread is not None else self._wanted_port
        if port is None:
            message = f"The server {self.name!r} has no port yet: start() picks a free one."
            raise StoppedError(message)
        return port

    @property
    def url(self) -> str:
        """Where programs on this machine reach it, without a slash at the end."""
        return url_of(self.host, self.port, scheme="https" if self._ssl_certfile else "http")

    def logs(self, *, tracebacks: bool = False) -> list[str]:
        """Return the last lines that the server logged, with the time, the oldest first.

        Parameters
        ----------
        tracebacks
            Whether an error brings its traceback along.
        """
        return self._logs.lines(tracebacks=tracebacks)

    def start(self, timeout: float = 10.0) -> Self:
        """Bind the port, start the thread, return once it answers. Do nothing if it runs already.

        Parameters
        ----------
        timeout
            Seconds that the application may take to start up.

        Raises
        ------
        PortInUseError
            Something listens on the port already.
        StartupError
            The address cannot be bound, the certificate cannot be read, or the application failed
            to start up or took too long.
        """
        with self._lock:
            if self.running:
                return self
            self.stop()  # a stop that nobody waited for still holds the port
            thread = self._make_thread()
            thread.start()
            try:
                self._await_start(thread, timeout)
            except BaseException:
                thread.abort()
                raise
            self._thread = thread
        return self

    def stop(self, timeout: float | None = None) -> None:
        """Take no more requests, let those in flight finish, end the thread, free the port.

        A second call does nothing. A call from inside a request of this server returns at once:
        the server stops after that request has been answered.

        Parameters
        ----------
        timeout
            Seconds for the requests in flight; ``graceful_timeout`` if ``None``. Those that take
            longer are cancelled. The call returns at most a second later.
        """
        thread = self._thread
        if thread is None or thread.is_gone:
            return
        grace = self._graceful_timeout if timeout is None else timeout
        thread.ask_to_stop(grace)
        if thread is threading.current_thread() or self._logs.is_current:
            return
        if not thread.await_end(grace + _STOP_MARGIN):
            thread.abort()

    def wait(self) -> None:
        """Block until the server stops, or until the user interrupts; the server then goes on."""
        thread = self._thread
        with suppress(KeyboardInterrupt):
            # Without a timeout some systems would not let an interrupt through.
            while thread is not None and not thread.await_end(0.5):
                pass

    def adopt_thread(self) -> None:
        """Keep what the calling thread logs with this server's log, and print under its cell."""
        if self._thread is not None:
            self._thread.app.adopt_context()

    def pin_to_current_cell(self) -> None:
        """Show from now on under the cell that runs now what the application prints."""
        if self._thread is not None and self._thread.app.cell is not None:
            self._thread.app.cell.move_to_current_cell()

    def _make_thread(self) -> ServerThread:
        app = HostedApplication(self._app, self._logs)
        config = uvicorn.Config(
            app,
            http=self._protocol,
            interface="asgi3",
            ws="auto" if self._websockets else "none",
            log_config=None,
            # Who is behind a proxy is decided by the application, not by whoever sends a header.
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            ssl_certfile=self._ssl_certfile,
            ssl_keyfile=self._ssl_keyfile,
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one
            message = (
                f"The server {self.name!r} cannot use the certificate "
                f"{os.fspath(self._ssl_certfile or '')!r}: {error}. "
                "Expected ssl_certfile and ssl_keyfile to be PEM files that belong together."
            )
            raise StartupError(message) from error
        listener = bind_listener(self.host, self._wanted_port)
        return ServerThread(config, listener, app, self.name)

    def _await_start(self, thread: ServerThread, timeout: float) -> None:
        settled = thread.settled.wait(timeout)
        if thread.is_serving:
            return
        cause = thread.failure or thread.app.failure
        if not settled:
            reason = f"the application did not finish its start-up within {timeout:g} s"
        elif cause is not None:
            reason = f"{type(cause).__name__}: {cause}"
        else:
            reason = thread.app.report or "the application ended at once"
        message = f"The server {self.name!r} did not start: {reason.rstrip('.')}."
        raise StartupError(message) from cause


def url_of(host: str, port: int, *, scheme: str = "http") -> str:
    """Write where programs on this machine reach a server, without a slash at the end.

    Examples
    --------
    >>> url_of("0.0.0.0", 8000)
    'http://127.0.0.1:8000'
    """
    return f"{scheme}://{_host_in_url(host)}:{port}"


def _host_in_url(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"  # noqa: PLR2004 -- IPv4
    return f"[{host}]" if address.version == 6 else host  # noqa: PLR2004 -- IPv6
