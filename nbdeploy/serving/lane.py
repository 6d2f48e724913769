"""The express lane: a prediction from bytes to bytes at the ASGI level.

FastAPI finds a route, solves its dependencies and validates its parameters; a prediction has one
parameter, its body, and the protocol knows best what that is. The lane passes the same gate and
the same path of a prediction as everything else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from nbdeploy.exceptions import NbdeployError, RequestError
from nbdeploy.serving.asgi import Receive, Scope, Send, send_answer, send_json
from nbdeploy.serving.errors import ErrorAnswer, answer_of
from nbdeploy.serving.inference import Inference, check_method
from nbdeploy.serving.protocols import native
from nbdeploy.serving.routing import Route

__all__ = ["ERROR_ID_HEADER", "PredictionLane"]

ERROR_ID_HEADER = "X-Error-ID"
"""Names the record of a failed request: in the kernel, `ModelMonitor.find_error` finds it."""

logger = logging.getLogger("nbdeploy")


class _GoneError(Exception):
    """The caller hung up before the request was complete."""


class PredictionLane:
    """Answer ``POST /{method}`` as an ASGI application.

    Parameters
    ----------
    inference
        The path of a prediction.
    route
        A call that gives the route in force; it raises while there is none.
    """

    def __init__(self, inference: Inference, route: Callable[[], Route]) -> None:
        self._inference = inference
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body, version = await self._answer(scope, receive)
        except _GoneError:
            return
        except Exception as error:
            if not isinstance(error, NbdeployError):
                logger.exception("A request failed in a way that nobody planned")
            await send_answer(send, self._explained(error))
            return
        await send_json(send, body, version)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[bytes, str]:
        method = scope["path"].rpartition("/")[2]
        check_method(method, self._route())
        if scope["method"] != "POST":
            message = f"Ask /{method} with POST: the rows are the body."
            raise RequestError(message, status=405)
        body = await _read(receive)
        request = native.decode(method, _content_type(scope), body)
        prediction = await self._inference.predict(request.inference)
        return native.encode(prediction, request.answer_key), prediction.version

    def _explained(self, error: Exception) -> ErrorAnswer:
        answer = answer_of(error)
        if isinstance(error, RequestError) and error.status == _NOT_POST:
            answer.headers["Allow"] = "POST"
        recorded = self._inference.monitor.error_id(error)
        if recorded is not None:
            answer.headers[ERROR_ID_HEADER] = recorded
        return answer


_NOT_POST = 405


async def _read(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _GoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts = [body]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _content_type(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            found: bytes = value
            return found
    return None
