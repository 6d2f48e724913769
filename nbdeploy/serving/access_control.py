"""The gate in front of every route: access, body size, and the headers of every answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from nbdeploy.exceptions import RequestError
from nbdeploy.serving.addresses import came_encrypted, forwarded_prefix
from nbdeploy.serving.asgi import (
    SAFE_HEADERS,
    App,
    Message,
    Receive,
    Scope,
    Send,
    reply_to,
    send_reply,
)
from nbdeploy.serving.errors import ErrorAnswer, answer_of
from nbdeploy.serving.protocols.error_shapes import in_shape_of
from nbdeploy.serving.security import (
    LOGIN_PATH,
    AccessPolicy,
    OneTimeCodes,
    Refusal,
    caller_of,
    choose_token,
    decide,
    login_code,
    open_paths_of,
    session_cookie,
)

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_UNDECLARED_BYTES",
    "AccessControl",
    "BodyTooLargeError",
    "access_policy",
]

MAX_BODY_BYTES = 64 * 1024 * 1024
"""The largest body that is read, as Triton limits it: 64 MiB."""

MAX_UNDECLARED_BYTES = 8 * 1024 * 1024
"""The most that is read of a body that does not tell its length: it is refused only afterwards."""


class BodyTooLargeError(RequestError):
    """The body is larger than the service reads."""

    def __init__(self, limit: int, *, is_declared: bool = True) -> None:
        kind = "body" if is_declared else "body, which comes without a Content-Length,"
        super().__init__(
            f"The {kind} is larger than {limit // 2**20} MiB. Send the rows in several requests.",
            status=413,
        )


class AccessControl:
    """Put `decide` in front of an ASGI application.

    Parameters
    ----------
    app
        The application.
    express
        What answers the paths in `is_express`, without the application around it.
    is_express
        Tells whether a path takes the express lane.
    policy
        A call that gives the policy in force: it may change when a service is deployed again.
    codes
        The one-time codes that open a browser session.
    on_refusal
        Told the status of every request that is turned away.
    max_body_bytes
        Larger bodies get 413, without being read to their end.
    """

    def __init__(
        self,
        app: App,
        *,
        express: App,
        is_express: Callable[[str], bool],
        policy: Callable[[], AccessPolicy],
        codes: OneTimeCodes,
        on_refusal: Callable[[int], object] = int,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._app = app
        self._express = express
        self._is_express = is_express
        self.policy = policy
        self._codes = codes
        self._on_refusal = on_refusal
        self._max_body_bytes = max_body_bytes
        # Callers that showed the very same and were let in. What is compared here is the hash of
        # all that they showed, so the time tells nothing about a token that is nearly right.
        self._admitted: set[tuple[object, ...]] = set()
        self._admitted_by: AccessPolicy | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or turn it away."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # There is no websocket route; closing before accepting answers 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self.refusal(scope)
        if refusal is None:
            await self._serve(scope, receive, send)
        elif refusal.status == _SEE_OTHER:
            await _log_in(scope, send, self.policy().token or "")
        else:
            self._on_refusal(refusal.status)
            await send_reply(send, reply_to(in_shape_of(scope["path"], _refused(refusal))))

    def refusal(self, scope: Scope) -> Refusal | None:
        """Decide on a request: the one function that every lane asks."""
        policy = self.policy()
        if policy is not self._admitted_by:
            self._admitted, self._admitted_by = set(), policy
        shown = (scope["path"], scope["client"], *_shown(scope["headers"]))
        if shown in self._admitted:
            return None
        refusal = decide(caller_of(scope), policy)
        if refusal is None and len(self._admitted) < _REMEMBERED:
            self._admitted.add(shown)
        if scope["path"] != LOGIN_PATH:
            return refusal
        code = login_code(scope)
        is_stranger = refusal is not None and refusal.status != _UNAUTHORIZED
        if code is None or policy.token is None or is_stranger:
            return refusal
        if self._codes.redeem(code):
            return Refusal(_SEE_OTHER, "docs")
        return Refusal(401, "This link was used or is older than a minute: call open() again.")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            # Only a body of unknown length has to be watched: the server holds others to theirs.
            receive = self._limited(receive)
        elif int(length) > self._max_body_bytes:
            answer = answer_of(BodyTooLargeError(self._max_body_bytes))
            self._on_refusal(answer.status)
            await send_reply(send, reply_to(in_shape_of(scope["path"], answer)))
            return
        if self._is_express(scope["path"]):
            await self._express(scope, receive, send)
        else:
            prefix = forwarded_prefix(scope)
            if not scope["path"].startswith(prefix or "/"):
                # Only then does the router see the path that the decision was made on.
                scope["root_path"] = prefix
            await self._app(scope, receive, _with_headers(send))

    def _limited(self, receive: Receive) -> Receive:
        limit = min(MAX_UNDECLARED_BYTES, self._max_body_bytes)
        seen = 0

        async def receive_within_limit() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise BodyTooLargeError(limit, is_declared=False)
            return message

        return receive_within_limit


_REMEMBERED = 1024
_SHOWN = frozenset({b"host", b"origin", b"x-api-key", b"authorization", b"cookie"})


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if pair[0] in _SHOWN]


_UNAUTHORIZED = 401
_SEE_OTHER = 303


def _refused(refusal: Refusal) -> ErrorAnswer:
    answer = answer_of(RequestError(refusal.message, status=refusal.status))
    if refusal.status == _UNAUTHORIZED:
        return ErrorAnswer(answer.status, answer.body, {"WWW-Authenticate": "Bearer"})
    return answer


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent = {name for name, _ in message["headers"]}
            extra = [pair for pair in SAFE_HEADERS if pair[0] not in sent]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return send_with_headers


# A redirect would still be the navigation that another site began, Jupyter under another name for
# one, and a browser sends no SameSite=Strict cookie with that. The page begins a new one.
_ENTERED = b"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=docs">
<title>Signed in</title>
<p>You are signed in: <a href="docs">open the page</a>.</p>
</html>
"""


async def _log_in(scope: Scope, send: Send, token: str) -> None:
    path = forwarded_prefix(scope) or "/"
    cookie = session_cookie(token, path=path, is_encrypted=came_encrypted(scope))
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"set-cookie", cookie.encode("latin-1")),
        (b"content-length", b"%d" % len(_ENTERED)),
        *SAFE_HEADERS,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ENTERED})


def access_policy(token: str | None, allowed_hosts: Iterable[str]) -> AccessPolicy:
    """Make the policy of a service whose address nbdeploy does not choose."""
    hosts = frozenset(host.lower() for host in allowed_hosts)
    paths = open_paths_of(os.environ)
    if token is None:
        return AccessPolicy(None, loopback_only=False, allowed_hosts=hosts, open_paths=paths)
    if token == "auto":  # noqa: S105 -- a keyword, not a secret
        token = os.environ.get("NBDEPLOY_TOKEN") or "auto"
    chosen = choose_token(token, host="127.0.0.1")
    return AccessPolicy(chosen, allowed_hosts=hosts, open_paths=paths)
