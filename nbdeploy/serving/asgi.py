"""The few words of ASGI that this package speaks itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nbdeploy.serving.errors import ErrorAnswer
from nbdeploy.serving.protocols.native import dump_json

__all__ = ["SAFE_HEADERS", "App", "Message", "Receive", "Scope", "Send", "send_answer", "send_json"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
"""What every answer carries: nothing guesses its type, tells where it came from or keeps it."""

_JSON = (b"content-type", b"application/json")


async def send_json(send: Send, body: bytes, version: str) -> None:
    """Send an answer of a model."""
    headers = [
        _JSON,
        (b"content-length", str(len(body)).encode()),
        (b"x-model-version", version.encode("latin-1")),
        *SAFE_HEADERS,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_answer(send: Send, answer: ErrorAnswer) -> None:
    """Send an error."""
    body = dump_json(answer.body)
    own = [
        (name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()
    ]
    headers = [_JSON, (b"content-length", str(len(body)).encode()), *own, *SAFE_HEADERS]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
