"""The shortest way in: small predictions take the direct lane from where their bytes arrive.

A protocol with this mixin holds a small ``POST`` back until its body is complete and hands it to
the `DirectLane`. It also remembers heads: clients that keep a connection send the same bytes before
every body, and the same bytes were parsed, and decided on, before. Everything else takes the usual
way through ASGI.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast

from nbdeploy.serving.asgi import STARTED, Headers, Reply, Scope
from nbdeploy.serving.direct_lane import Admitted, DirectLane
from nbdeploy.serving.eager import Started

__all__ = ["MAX_DIRECT_BYTES", "DirectAnswers"]

MAX_DIRECT_BYTES = 64 * 1024
"""Larger bodies take the usual way, which has flow control."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_DIGITS = len(str(MAX_DIRECT_BYTES))
_HEAD_END = b"\r\n\r\n"
_HEADS = 16
_MAX_HEAD_BYTES = 4096

logger = logging.getLogger("nbdeploy")

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Base
else:
    _Base = asyncio.Protocol


class _Head(NamedTuple):
    admitted: Admitted
    length: int


class DirectAnswers(_Base):
    """Answer small requests where their bytes arrive; for uvicorn's protocol on httptools."""

    direct: DirectLane
    direct_paths: dict[bytes, str]
    """The paths that are asked this way, as bytes and as text."""

    is_between_requests = True
    # The heads of this connection that were let in, by their bytes.
    _heads: dict[bytes, _Head]
    # What came when nothing was half read: perhaps one whole request.
    _arrived: bytes | None = None
    _admitted: Admitted | None = None
    _held: list[bytes] | None = None
    # A whole request whose answer comes at the end of this turn of the loop.
    _joined: bytes | None = None
    _begun: Started[Reply] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with no known heads."""
        self._heads = {}
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Recognize a request by its head, or parse it."""
        if self._joined is not None:
            # Sent before its turn: first things first.
            self.direct.run()
        if self.is_between_requests:
            if self._heads and self._take(data):
                return
            self._arrived = data
        else:
            self._arrived = None
        super().data_received(data)

    def _take(self, data: bytes) -> bool:
        """Join a request whose head is known with the others of this turn."""
        end = data.find(_HEAD_END) + len(_HEAD_END)
        head = self._heads.get(data[:end])
        if head is None or len(data) - end != head.length:
            return False
        if self._is_answering() or self.flow.write_paused or self.transport.is_closing():
            return False
        if not self.direct.still_admits(head.admitted):
            return False
        self._unset_keepalive_if_required()
        self._joined = data
        self.direct.join(self, head.admitted, data[end:])
        return True

    def tell(self, answer: Reply | Started[Reply]) -> None:
        """Write an answer, or let its request go on by the usual way."""
        data, self._joined = self._joined, None
        if data is None or self.transport.is_closing():
            if isinstance(answer, Started):
                answer.coroutine.close()
        elif isinstance(answer, Reply):
            self._write(answer, keep_alive=True)
        else:
            self._begun = answer
            super().data_received(data)
            if self._begun is not None:
                self._begun.coroutine.close()
                self._begun = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.is_between_requests = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold a request back if it may be answered when its body is there."""
        self._admitted = self._admit()
        if self._admitted is not None:
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
        arrived, self._arrived = self._arrived, None
        held, self._held = self._held, None
        admitted = self._admitted
        if held is None or admitted is None:
            super().on_message_complete()
            return
        body = held[0] if len(held) == 1 else b"".join(held)
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        if arrived is not None and keep_alive:
            self._remember(arrived, _Head(admitted, len(body)))
        begun, self._begun = self._begun, None
        answer = self.direct.answer(admitted, body) if begun is None else begun
        if isinstance(answer, Reply):
            self._write(answer, keep_alive=keep_alive)
            return
        cast("Scope", self.scope)[STARTED] = answer
        super().on_headers_complete()
        if body:
            super().on_body(body)
        super().on_message_complete()

    def _remember(self, arrived: bytes, head: _Head) -> None:
        end = arrived.find(_HEAD_END) + len(_HEAD_END)
        if len(arrived) - end != head.length or end > _MAX_HEAD_BYTES:
            return
        if len(self._heads) >= _HEADS:
            self._heads.clear()
        self._heads[arrived[:end]] = head

    def _admit(self) -> Admitted | None:
        path = self.direct_paths.get(self.url)
        if path is None or self.parser.get_method() != b"POST":
            return None
        if self._is_answering() or self.expect_100_continue or self.flow.write_paused:
            return None
        if not _is_small(self.headers):
            return None
        self.scope["method"] = "POST"
        self.scope["path"] = path
        try:
            return self.direct.admit(cast("Scope", self.scope))
        except Exception:
            # Raised out of a callback of the parser it would be taken for a malformed request.
            logger.exception("The direct lane failed; the request takes the usual way")
            return None

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _write(self, reply: Reply, *, keep_alive: bool) -> None:
        body = reply.body
        start = _start_of(reply, self.server_state.default_headers)
        end = _HEAD_END if keep_alive else b"\r\nconnection: close\r\n\r\n"
        self.transport.write(b"".join((start, b"%d" % len(body), end, body)))
        self.server_state.total_requests += 1
        if not keep_alive:
            self.transport.close()
        elif self._quiet is None:
            self._watch_quiet()
        else:
            self._is_quiet = False

    _quiet: asyncio.TimerHandle | None = None
    _is_quiet = False

    def _watch_quiet(self) -> None:
        self._is_quiet = True
        self._quiet = self.loop.call_later(self.timeout_keep_alive, self._check_quiet)

    def _check_quiet(self) -> None:
        """Hang up on a connection that stayed quiet; one timer serves many requests."""
        self._quiet = None
        if self.transport.is_closing():
            return
        if self._is_quiet and self.is_between_requests and not self._is_answering():
            self.transport.close()
        else:
            self._watch_quiet()

    def shutdown(self) -> None:
        """Answer what was taken, then end as the server wants it."""
        if self._joined is not None:
            self.direct.run()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        super().connection_lost(exc)


def _is_small(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"content-length":
            if len(value) > _DIGITS or int(value) > MAX_DIRECT_BYTES:
                return False
        elif name in {b"transfer-encoding", b"upgrade"}:
            return False
    return True


_starts: dict[tuple[int, Headers, bytes], tuple[list[tuple[bytes, bytes]], bytes]] = {}
_STARTS = 256


def _start_of(reply: Reply, defaults: list[tuple[bytes, bytes]]) -> bytes:
    """Write a head up to the number of its Content-Length.

    The server makes a new list of its default headers every second, with the new date in it.
    """
    key = (reply.status, reply.headers, reply.kind)
    known = _starts.get(key)
    if known is not None and known[0] is defaults:
        return known[1]
    lines = [*defaults, *reply.head_without_length()]
    fields = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
    start = _STATUS_LINES[reply.status] + fields + b"content-length: "
    if len(_starts) >= _STARTS:
        _starts.clear()
    _starts[key] = (defaults, start)
    return start
