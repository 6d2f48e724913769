"""HTTP connections that do not wait for ever for a client to finish its headers."""

from __future__ import annotations

import asyncio
from collections.abc import MutableSet
from typing import Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from nbdeploy.models.predictor import METHODS
from nbdeploy.serving.direct import DirectAnswers
from nbdeploy.serving.direct_lane import DirectLane
from nbdeploy.serving.raw_answers import raw_answer
from nbdeploy.serving.request_limits import HeadLimit, SendingLimits

__all__ = ["CONNECTION_LIMIT", "HEADER_TIMEOUT", "HeaderDeadline", "http_protocol"]

HEADER_TIMEOUT = 4.0
"""Seconds that a client has to send the headers of a request."""

CONNECTION_LIMIT = 512
"""Clients at the same time: half the files that most systems let a process, a kernel, have open."""

_REQUEST_TIMEOUT = raw_answer(408, "The headers did not come in time. Send the request again.")
_TOO_MANY_CONNECTIONS = raw_answer(
    503,
    "Too many clients are connected. Close connections that you do not use, or try again later.",
    (b"retry-after", b"1"),
)


class HeaderDeadline(asyncio.Protocol):
    """Limits to slow and to many clients, for the protocols of uvicorn.

    The time runs from the connection, and on a connection that is kept alive from the first byte
    of the next request. It stops while a request is answered. A client that started a request and
    did not finish its headers in time is answered 408; one that sent nothing is hung up on.
    """

    header_timeout: float = HEADER_TIMEOUT
    connection_limit: int = CONNECTION_LIMIT

    # What uvicorn's protocols have:
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    connections: MutableSet[Any]
    cycle: Any
    access_log: bool

    _deadline: asyncio.TimerHandle | None = None
    _has_data: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, or send away who is one too many."""
        super().connection_made(transport)
        # Switched off here because uvicorn's own switch changes a logger of the whole process.
        self.access_log = False
        if len(self.connections) > self.connection_limit:
            self.transport.write(_TOO_MANY_CONNECTIONS)
            self.transport.close()
            return
        self._start_clock()

    def data_received(self, data: bytes) -> None:
        """Parse, then see whether the headers are complete."""
        if self.transport.is_closing():
            return
        self._has_data = True
        super().data_received(data)
        if self._is_answering() or self.transport.get_protocol() is not self:
            self._stop_clock()
        elif getattr(self, "is_between_requests", False):
            # Answered where it arrived: the next request has its own time.
            self._stop_clock()
        elif self._deadline is None:
            self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_clock(self) -> None:
        self._deadline = self.loop.call_later(self.header_timeout, self._hang_up)

    def _stop_clock(self) -> None:
        self._has_data = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        self._deadline = None
        if self._has_data:
            self.transport.write(_REQUEST_TIMEOUT)
        self.transport.close()


def http_protocol(
    *,
    header_timeout: float = HEADER_TIMEOUT,
    connection_limit: int = CONNECTION_LIMIT,
    direct: DirectLane | None = None,
    base: type[asyncio.Protocol] = AutoHTTPProtocol,
) -> type[asyncio.Protocol]:
    """Return a protocol class for ``uvicorn.Config(http=...)``.

    Parameters
    ----------
    header_timeout
        Seconds for the headers of one request.
    connection_limit
        Connections at the same time, idle ones included; one more is answered 503.
    direct
        The lane of small predictions, see `DirectAnswers`.
    base
        A protocol of uvicorn: the faster one that is installed.
    """
    settings: dict[str, Any] = {
        "header_timeout": header_timeout,
        "connection_limit": connection_limit,
    }
    bases: tuple[type, ...] = (HeaderDeadline, SendingLimits, base)
    # Only the protocol on httptools tells its subclasses where a request stands.
    has_callbacks = hasattr(base, "on_message_complete")
    if has_callbacks:
        bases = (HeaderDeadline, HeadLimit, base)
    if direct is not None and has_callbacks:
        settings["direct"] = direct
        settings["direct_paths"] = {f"/{method}".encode(): f"/{method}" for method in METHODS}
        bases = (DirectAnswers, *bases)
    return cast("type[asyncio.Protocol]", type(base.__name__, bases, settings))
