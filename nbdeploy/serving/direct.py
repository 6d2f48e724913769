"""The shortest way: a small prediction is answered where its bytes arrive.

For a request that costs a few microseconds, an ASGI cycle (a task, an event, two messages) costs
more than the answer. A protocol with this mixin holds a small ``POST`` back until its body is
complete and asks the application's ``direct``. What is answered without waiting is written at once;
everything else takes the usual way through ASGI, from where it stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from nbdeploy.serving.asgi import STARTED, Reply, Scope
from nbdeploy.serving.eager import Started

__all__ = ["MAX_DIRECT_BYTES", "Direct", "DirectAnswers"]

Direct = Callable[[Scope, bytes], "Reply | Started[Reply] | None"]
"""Answers a request whose body is there, begins to, or leaves it alone."""

MAX_DIRECT_BYTES = 64 * 1024
"""Larger bodies take the usual way, which has flow control."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_DIGITS = len(str(MAX_DIRECT_BYTES))

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Base
else:
    _Base = asyncio.Protocol


class DirectAnswers(_Base):
    """Answer small requests where their bytes arrive; for uvicorn's protocol on httptools."""

    direct: Direct | None = None
    direct_paths: dict[bytes, str]
    """The paths that are asked this way, as bytes and as text."""

    _held: list[bytes] | None = None
    is_between_requests = True

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.is_between_requests = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold a request back if it may be answered when its body is there."""
        if self._may_be_direct():
            self._held = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Collect the body of a request that is held back."""
        if self._held is not None:
            self._held.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer at once, or let the request take the usual way."""
        self.is_between_requests = True
        held, self._held = self._held, None
        if held is None:
            super().on_message_complete()
            return
        body = held[0] if len(held) == 1 else b"".join(held)
        assert self.direct is not None
        scope = cast("Scope", self.scope)
        reply = self.direct(scope, body)
        if isinstance(reply, Reply):
            self._write(reply)
            return
        if reply is not None:
            scope[STARTED] = reply
        super().on_headers_complete()
        if body:
            super().on_body(body)
        super().on_message_complete()

    def _may_be_direct(self) -> bool:
        path = self.direct_paths.get(self.url)
        if path is None or self.direct is None or self.parser.get_method() != b"POST":
            return False
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.expect_100_continue or self.flow.write_paused:
            return False
        for name, value in self.headers:
            if name == b"content-length":
                is_small = len(value) <= _DIGITS and int(value) <= MAX_DIRECT_BYTES
                if not is_small:
                    return False
            elif name in {b"transfer-encoding", b"upgrade"}:
                return False
        self.scope["method"] = "POST"
        self.scope["path"] = path
        return True

    def _write(self, reply: Reply) -> None:
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        parts = [_start_of(reply.status, self.server_state.default_headers)]
        for name, value in reply.head():
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        parts.append(reply.body)
        self.transport.write(b"".join(parts))
        self.server_state.total_requests += 1
        if keep_alive:
            self._watch_quiet()
        else:
            self.transport.close()

    _quiet: asyncio.TimerHandle | None = None
    _last: float = 0.0

    def _watch_quiet(self) -> None:
        """Hang up on a connection that stays quiet; one timer serves many requests."""
        self._last = self.loop.time()
        if self._quiet is None:
            self._quiet = self.loop.call_later(self.timeout_keep_alive, self._check_quiet)

    def _check_quiet(self) -> None:
        self._quiet = None
        if self.transport.is_closing():
            return
        left = self._last + self.timeout_keep_alive - self.loop.time()
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if left > 0 or is_answering or not self.is_between_requests:
            self._quiet = self.loop.call_later(max(left, 1.0), self._check_quiet)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        super().connection_lost(exc)


_starts: dict[int, tuple[list[tuple[bytes, bytes]], bytes]] = {}


def _start_of(status: int, defaults: list[tuple[bytes, bytes]]) -> bytes:
    """Write the status line and the headers that every answer of the server has.

    The server makes a new list of these every second, with the new date in it.
    """
    known = _starts.get(status)
    if known is not None and known[0] is defaults:
        return known[1]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in defaults)
    start = _STATUS_LINES[status] + lines
    _starts[status] = (defaults, start)
    return start
