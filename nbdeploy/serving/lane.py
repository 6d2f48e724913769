"""The express lane: a prediction from bytes to bytes.

FastAPI finds a route, solves its dependencies and validates its parameters; a prediction has one
parameter, its body, and the protocol knows best what that is. The lane passes the same gate and
the same path of a prediction as everything else.
"""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

from nbdeploy.exceptions import NbdeployError, RequestError
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.details import reason_of
from nbdeploy.serving.asgi import (
    JSON,
    STARTED,
    Headers,
    Receive,
    Reply,
    Scope,
    Send,
    reply_to,
    send_reply,
)
from nbdeploy.serving.eager import finish
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.inference import Inference, check_method
from nbdeploy.serving.junction import Junction
from nbdeploy.serving.protocols import native

__all__ = ["ERROR_ID_HEADER", "GoneError", "PredictionLane", "read_body"]

ERROR_ID_HEADER = "X-Error-ID"
"""Names the record of a failed request: in the kernel, `ModelMonitor.find_error` finds it."""

logger = logging.getLogger("nbdeploy")

_NOT_POST = 405
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class GoneError(Exception):
    """The caller hung up before the request was complete."""


class PredictionLane:
    """Answer ``POST /{method}`` as an ASGI application.

    Parameters
    ----------
    inference
        The path of a prediction.
    watch
        The junction for callers who want the id of their answer.
    """

    def __init__(self, inference: Inference, watch: Junction) -> None:
        self.inference = inference
        self.watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = scope.get(STARTED)
        if started is not None:
            await send_reply(send, await finish(started))
            return
        method = None
        try:
            # Before the body is read: nobody sends megabytes to a method that is not there.
            method = self._method_of(scope)
            junction = self._junction_of(scope)
            body = await read_body(receive)
        except GoneError:
            return
        except NbdeployError as error:
            await send_reply(send, self._explained(error, method))
        else:
            formats = native.formats_of(scope["headers"])
            if junction is not None:
                key = junction.key_of(scope["headers"], body)
                reply = await self.respond(method, formats, body, junction, key)
            else:
                reply = await self.respond(method, formats, body)
            await send_reply(send, reply)

    async def respond(
        self,
        method: str,
        formats: native.Formats,
        body: bytes,
        junction: Junction | None = None,
        key: str | None = None,
    ) -> Reply:
        """Answer a request whose body is there; any error becomes its answer.

        A junction, where there is one, chooses the version by the key.
        """
        started = self.inference.monitor.clock()
        try:
            request = native.decode(method, formats.body, body, self._signature)
            asked = request.inference
            if formats.within is not None:
                asked = asked._replace(within=native.seconds_of(formats.within))
            headers: Headers = ()
            if junction is None:
                prediction = await self.inference.predict(asked, started=started)
            else:
                prediction = await junction.predict(asked, key, started=started)
                if prediction.id is not None:
                    headers = ((b"x-prediction-id", prediction.id.encode()),)
            headers = ((b"x-model-version", prediction.version.encode("latin-1")), *headers)
            kind = formats.answer
            answer = native.encode(prediction, request.answer_key, kind)
            if prediction.look is not None:
                prediction.look.encoded()
            return Reply(200, answer, headers, kind.encode() if kind else JSON)
        except NbdeployError as error:
            return self._explained(error, method, started)
        except Exception as error:
            logger.exception("A request failed in a way that nobody planned")
            return self._explained(error, method, started)

    def _junction_of(self, scope: Scope) -> Junction | None:
        """Give what chooses the version, or keeps an answer for the truth that will come."""
        if scope["query_string"] and _wants_id(scope["query_string"]):
            return self.watch
        return self.inference.junction

    def _signature(self) -> Signature:
        return self.inference.current_route().signature

    def _method_of(self, scope: Scope) -> str:
        method: str = scope["path"].rpartition("/")[2]
        check_method(method, self.inference.current_route())
        if scope["method"] != "POST":
            message = f"Ask /{method} with POST: the rows are the body."
            raise RequestError(message, status=_NOT_POST)
        return method

    def _explained(
        self, error: Exception, method: str | None, started: float | None = None
    ) -> Reply:
        """Answer an error, and count it: of a method that is there as one of its requests."""
        answer = answer_of(error)
        monitor = self.inference.monitor
        if answer.status == _NOT_POST:
            answer.headers["Allow"] = "POST"
        recorded = monitor.error_id(error)
        if recorded is None and method is not None:
            with monitor.observe(method, started=started) as observation:
                observation.fail(error, status=answer.status)
            recorded = monitor.error_id(error)
        elif recorded is None:
            monitor.details.reject(reason_of(answer.status))
        if recorded is not None:
            answer.headers[ERROR_ID_HEADER] = recorded
        return reply_to(answer)


def _wants_id(query: bytes) -> bool:
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("with_id", ["false"])
    answer = _FLAGS.get(values[0].lower()) if len(values) == 1 else None
    if answer is None:
        message = f"with_id is {', '.join(values)[:60]!r}. Expected true or false, once."
        raise RequestError(message)
    return answer


async def read_body(receive: Receive) -> bytes:
    """Read the body of a request to its end."""
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts) if len(parts) > 1 else parts[0]
