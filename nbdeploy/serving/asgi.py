"""The few words of ASGI that this package speaks itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from nbdeploy.serving.errors import ErrorAnswer
from nbdeploy.serving.protocols.native import dump_json

__all__ = [
    "JSON",
    "SAFE_HEADERS",
    "STARTED",
    "App",
    "Headers",
    "Message",
    "Receive",
    "Reply",
    "Scope",
    "Send",
    "reply_to",
    "send_reply",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

STARTED = "nbdeploy.started"
"""Under this key of a scope is the prediction that began when its body came in."""

JSON = b"application/json"
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
SAFE_HEADERS = (
    _NO_SNIFFING,
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What every page and every reading carries, unless it says it differently itself: nothing guesses
its type, tells of it, keeps it, takes it into another site's page or lets it load anything."""


class Reply(NamedTuple):
    """An answer: status, body, what else its head says, and the media type of the body."""

    status: int
    body: bytes
    headers: Headers = ()
    kind: bytes = JSON

    def head(self) -> Headers:
        """Give all headers."""
        return (*self.head_without_length(), (b"content-length", b"%d" % len(self.body)))

    def head_without_length(self) -> Headers:
        """Give what is the same for many answers.

        Answers to POST are never kept: they need no word on it.
        """
        return ((b"content-type", self.kind), _NO_SNIFFING, *self.headers)


def reply_to(answer: ErrorAnswer) -> Reply:
    """Write an error as an answer."""
    headers = (
        (name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()
    )
    return Reply(answer.status, dump_json(answer.body), tuple(headers))


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer."""
    head = {"type": "http.response.start", "status": reply.status, "headers": reply.head()}
    await send(head)
    await send({"type": "http.response.body", "body": reply.body})
