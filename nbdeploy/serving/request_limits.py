"""How much a client may send before anybody pays for it, and how long it may take."""

from __future__ import annotations

import asyncio
from typing import Any

from nbdeploy.serving.raw_answers import raw_answer

__all__ = ["MAX_HEAD_BYTES", "HeadLimit", "SendingLimits"]

MAX_HEAD_BYTES = 64 * 1024
"""The most that the request line and the headers of a request may be."""

BODY_STALL = 4.0
"""Seconds that a body may stand still."""

BODY_RATE = 1024
"""Bytes a second that a body must come with on average, after `BODY_STALL`."""

LINGER_SECONDS = 2.0
"""Time for a client to read an answer that came before it had sent its whole body."""

LINGER_BYTES = 1024 * 1024
"""What is read of such a body, and thrown away."""

_LATE = 1.0

_NOT_HTTP = raw_answer(400, "This is no HTTP/1.1 request.")
_SLOW_BODY = raw_answer(
    408,
    f"The body did not come: it may stand still for {BODY_STALL:g} s and must bring "
    f"{BODY_RATE} bytes a second. Send the request again.",
)
_LARGE_HEAD = raw_answer(
    431, f"The address and the headers are larger than {MAX_HEAD_BYTES // 1024} KiB."
)


class SendingLimits(asyncio.Protocol):
    """Limits to slow bodies, and to bodies that nobody wants any more; for uvicorn's protocols.

    A body that stands still, or drips, is answered 408. After an answer that did not wait for
    the body (413, or 401) the client has a moment to read it: closing at once would reset the
    connection under its hands, and reading on would take in what was just refused.
    """

    # What uvicorn's protocols have:
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any
    flow: Any

    _body_timer: asyncio.TimerHandle | None = None
    _watched: Any = None
    _due = 0.0
    _body_began = 0.0
    _body_moved = 0.0
    _body_bytes = 0

    _lingering: Any = None
    _linger_timer: asyncio.TimerHandle | None = None
    _discarded = 0

    def data_received(self, data: bytes) -> None:
        """Parse, then see whether a body is on its way, and whether it is still wanted."""
        super().data_received(data)
        if self.cycle is not None and self.cycle.more_body:
            self._body_has_come(len(data))

    def on_response_complete(self) -> None:
        """See whether the answer came before the body was complete."""
        super().on_response_complete()  # type: ignore[misc]
        cycle = self.cycle
        if not self.transport.is_closing() and cycle.more_body and cycle.response_complete:
            self._linger(cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timers."""
        for timer in (self._body_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        self._body_timer = self._linger_timer = self._lingering = self._watched = None
        super().connection_lost(exc)

    def send_400_response(self, _: str) -> None:
        """Answer what is no HTTP, in the form that every error has."""
        self.transport.write(_NOT_HTTP)
        self.transport.close()

    def _body_has_come(self, size: int) -> None:
        if self.cycle is self._lingering:
            self._discard(size)
        elif not self.cycle.response_complete:
            self._body_has_moved(self.cycle, size)

    def _body_has_moved(self, cycle: Any, size: int) -> None:
        self._body_moved = self.loop.time()
        if cycle is not self._watched:
            self._watched = cycle
            self._body_began = self._body_moved
            self._body_bytes = 0
            self._watch_body(BODY_STALL)
        self._body_bytes += size

    def _watch_body(self, seconds: float) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
        self._due = self.loop.time() + seconds
        self._body_timer = self.loop.call_later(seconds, self._check_body)

    def _check_body(self) -> None:
        self._body_timer = None
        cycle, now = self._watched, self.loop.time()
        if self.transport.is_closing() or not cycle.more_body or cycle.response_complete:
            self._watched = None
            return
        # The whole process may have stood still, because a cell held its interpreter; or it is we
        # who do not read, or did not ask for the body yet.
        is_our_fault = now - self._due > _LATE or self.flow.read_paused
        if is_our_fault or cycle.waiting_for_100_continue:
            self._body_began += now - self._body_moved
            self._body_moved = now
        allowed = BODY_STALL + self._body_bytes / BODY_RATE
        left = min(self._body_moved + BODY_STALL, self._body_began + allowed) - now
        if left > 0:
            self._watch_body(left)
        else:
            self._give_up(cycle)

    def _give_up(self, cycle: Any) -> None:
        if not cycle.response_started:
            self.transport.write(_SLOW_BODY)
        # What waits for the body is told that nobody is there any more.
        cycle.disconnected = True
        cycle.message_event.set()
        self.transport.close()

    def _linger(self, cycle: Any) -> None:
        if getattr(self, "expect_100_continue", False) and cycle is not self._watched:
            # It asked before it sent, and got its answer.
            self.transport.close()
            return
        self._lingering = cycle
        self._discarded = 0
        self._linger_timer = self.loop.call_later(LINGER_SECONDS, self._end_lingering)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self._end_lingering()

    def _end_lingering(self) -> None:
        # Unless another request came on the same connection: then that one was complete after all.
        if self.cycle is self._lingering:
            self.transport.close()


class HeadLimit(SendingLimits):
    """A limit to the head of a request too; for uvicorn's protocol on httptools, which has none.

    It also ignores trailers, the headers after a body: uvicorn would take them for headers, after
    whoever stands in front has looked at those.
    """

    headers: list[tuple[bytes, bytes]]

    # What `DirectAnswers` tells of requests that it does not pass on.
    is_between_requests = False
    _held: list[bytes] | None = None

    _in_head = False
    _in_body = False
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse, unless the head is too large."""
        is_large = len(data) > MAX_HEAD_BYTES and not self._in_body and self._held is None
        if is_large and data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES) < 0:
            self._refuse_head()
            return
        # Around the method that this one stands for: every call counts here.
        super(SendingLimits, self).data_received(data)
        if self._in_head and not self.is_between_requests and self._held is None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
        elif self.cycle is not None and self.cycle.more_body:
            self._body_has_come(len(data))

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()  # type: ignore[misc]

    def on_headers_complete(self) -> None:
        """End the head."""
        self._in_head = False
        self._in_body = True
        super().on_headers_complete()  # type: ignore[misc]

    def on_chunk_header(self) -> None:
        """Keep nothing of the headers that may follow the chunks."""
        self.headers = _Nothing()

    def on_message_complete(self) -> None:
        """End the request."""
        self._in_body = False
        super().on_message_complete()  # type: ignore[misc]

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_LARGE_HEAD)
            self.transport.close()


class _Nothing(list[tuple[bytes, bytes]]):
    """A list that keeps nothing."""

    def append(self, _: tuple[bytes, bytes], /) -> None:
        """Forget it."""
