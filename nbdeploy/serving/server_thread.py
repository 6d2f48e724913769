"""One life of an HTTP server in a thread: its loop, its end, and what a fork leaves of it."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack, suppress
from typing import Any, cast

import uvicorn

from nbdeploy.serving.cell_output import CellOutput
from nbdeploy.serving.event_loop import new_event_loop
from nbdeploy.serving.listener import release_descriptor
from nbdeploy.serving.log_ring import LogRing, LogTap
from nbdeploy.serving.thread_settings import quick_switching

__all__ = ["Application", "HostedApplication", "ServerThread"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_EXIT_TIMEOUT = 2.0
_EXIT_GRACE = 1.2
_CANCEL_MARGIN = 0.3

_TAPS = (
    LogTap("uvicorn.error"),
    LogTap("uvicorn.asgi"),
    LogTap("asyncio"),
    LogTap("nbdeploy", passes=True),
)
_live: set[ServerThread] = set()
_log = logging.getLogger("nbdeploy")


class HostedApplication:
    """The application as a server calls it: in the right context, and with its failure kept.

    Parameters
    ----------
    app
        Any ASGI application.
    logs
        Where to keep what is logged while it runs.
    """

    def __init__(self, app: Application, logs: LogRing) -> None:
        self._app = app
        self._logs = logs
        self.cell = CellOutput.current()
        self.failure: BaseException | None = None
        self.report = ""

    def adopt_context(self) -> None:
        """Lead what the calling thread or task logs to the ring, and what it prints to the cell."""
        if not self._logs.is_current:
            self._logs.adopt_thread()
            if self.cell is not None:
                self.cell.adopt_thread()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass everything on, and keep what a start-up failed of, which uvicorn only logs."""
        # Some versions of uvicorn, 0.40 for one, give every request an empty context.
        self.adopt_context()
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_and_note(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.report = message.get("message", "").strip()
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except BaseException as error:
            self.failure = error
            raise


class _SignallingServer(uvicorn.Server):
    """A uvicorn server that tells when it is up, instead of being asked again and again."""

    def __init__(self, config: uvicorn.Config, settled: threading.Event) -> None:
        super().__init__(config)
        self._settled = settled

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start up, then tell."""
        await super().startup(sockets=sockets)
        self._settled.set()


class ServerThread(threading.Thread):
    """One life of a server, from a bound socket to a closed one."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        app: HostedApplication,
        name: str,
    ) -> None:
        # A thread that is no daemon would keep a kernel from ending until it is killed.
        super().__init__(name=f"nbdeploy-{name}", daemon=True)
        self.app = app
        self.port: int = listener.getsockname()[1]
        self.settled = threading.Event()
        # Python 3.11 and 3.12 take a thread for dead when an interrupt ends a join() of it: nothing
        # here asks the thread itself whether it lives.
        self._ended = threading.Event()
        self._is_abandoned = False
        self.failure: BaseException | None = None
        self._server = _SignallingServer(config, self.settled)
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def is_serving(self) -> bool:
        """Whether it is up, and was not told to end."""
        running = self._server.started and not self._server.should_exit
        return running and not self.is_gone

    @property
    def is_gone(self) -> bool:
        """Whether there is nothing left to stop."""
        return self._ended.is_set() or self._is_abandoned

    def await_end(self, timeout: float) -> bool:
        """Wait until it has ended; tell whether it has."""
        if self._ended.wait(timeout):
            self.join()
        return self.is_gone

    def ask_to_stop(self, grace: float) -> None:
        """Begin to stop, from any thread; requests in flight have ``grace`` seconds."""
        # Annotated as whole seconds, but handed to asyncio.wait_for, which takes any number.
        self._server.config.timeout_graceful_shutdown = cast("int", grace)
        self._server.should_exit = True

    def abort(self) -> None:
        """End now, whatever is still running."""
        self.ask_to_stop(0)
        loop, serving = self._loop, self._serving
        if loop is not None and serving is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(serving.cancel)
        if not self.await_end(_CANCEL_MARGIN):
            self._is_abandoned = True
            self._release_sockets()
            _log.warning(
                "A request of %s cannot be interrupted: its thread goes on until it is done. "
                "The port is free.",
                self.name,
            )

    def forget(self) -> None:
        """Close in a forked child what belongs to the parent's thread."""
        self._is_abandoned = True
        self._release_sockets()

    def _release_sockets(self) -> None:
        """Close the descriptors only, for those who must not touch the objects of the loop."""
        connections = list(self._server.server_state.connections)
        sockets = [c.transport.get_extra_info("socket") for c in connections if c.transport]
        for descriptor in [s.fileno() for s in [self._listener, *sockets] if s is not None]:
            with suppress(OSError):
                release_descriptor(descriptor)

    def run(self) -> None:
        """Serve until told to end; whatever happens, close the socket."""
        with ExitStack() as stack:
            stack.callback(self._ended.set)
            stack.callback(_live.discard, self)
            _live.add(self)
            stack.callback(self.settled.set)
            stack.callback(self._listener.close)
            for tap in _TAPS:
                stack.enter_context(tap.open())
            stack.enter_context(quick_switching())
            self.app.adopt_context()
            try:
                self._run_loop()
            except BaseException as error:  # noqa: BLE001 -- whoever waits for the start raises it
                self.failure = error

    def _run_loop(self) -> None:
        # Neither asyncio.run nor uvicorn's own run: nest_asyncio replaces the former.
        loop = self._loop = new_event_loop()
        try:
            self._serving = loop.create_task(self._serve())
            while not self._serving.done():
                # asyncio lets SystemExit out of any task through the loop, and would end it.
                with suppress(SystemExit, KeyboardInterrupt, asyncio.CancelledError):
                    loop.run_until_complete(self._serving)
            loop.run_until_complete(self._end_connections())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    async def _serve(self) -> None:
        try:
            await self._server.serve(sockets=[self._listener])
        except SystemExit:
            # uvicorn's way to say that the application did not start.
            return

    async def _end_connections(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_MARGIN)
        for server in getattr(self._server, "servers", []):
            server.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        # The loop tells protocols of their end on its next turn.
        await asyncio.sleep(0)


@atexit.register
def _stop_all() -> None:
    deadline = time.monotonic() + _EXIT_TIMEOUT
    threads = list(_live)
    for thread in threads:
        thread.ask_to_stop(_EXIT_GRACE)
    for thread in threads:
        thread.await_end(max(0.0, deadline - time.monotonic()))


def _forget_all() -> None:
    # A forked child has the sockets but not the threads: clients would wait for it in vain, and
    # the port stayed taken after the parent stopped.
    for thread in list(_live):
        thread.forget()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
