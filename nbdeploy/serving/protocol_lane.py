"""The lane of the other protocols: from a path to its adapter, beside FastAPI.

It stands behind the same gate as everything else, and in front of the application: the requests of
a protocol cost no look-up of routes, and those of all others one look at the start of their path.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nbdeploy.exceptions import NbdeployError, RequestError
from nbdeploy.monitoring.details import reason_of
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.asgi import Receive, Reply, Scope, Send, reply_to, send_reply
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.lane import ERROR_ID_HEADER, GoneError, read_body
from nbdeploy.serving.protocol_routes import Call, Context, Endpoint
from nbdeploy.serving.protocols.error_shapes import in_shape_of

__all__ = ["Found", "ProtocolLane", "RouteTable"]

logger = logging.getLogger("nbdeploy")

_NOT_FOUND = 404
_WRONG_VERB = 405
_UNREAD_ENCODING = 415


class Found(NamedTuple):
    """The endpoints behind a path by their verb, and the names in it."""

    endpoints: Mapping[str, Endpoint]
    names: Mapping[str, str]


class _Node:
    __slots__ = ("any", "endpoints", "names", "parts")

    def __init__(self) -> None:
        self.parts: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.names: tuple[str, ...] = ()
        self.endpoints: dict[str, Endpoint] = {}


class RouteTable:
    """Find the endpoints behind a path without a look at every one.

    Parameters
    ----------
    endpoints
        The endpoints.

    Examples
    --------
    >>> from nbdeploy.serving.protocol_routes import ENDPOINTS
    >>> found = RouteTable(ENDPOINTS).find("/v1/models/iris:predict")
    >>> list(found.endpoints), found.names
    (['POST'], {'name': 'iris'})
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._root = _Node()
        for endpoint in endpoints:
            self._add(endpoint)

    def _add(self, endpoint: Endpoint) -> None:
        node = self._root
        names = []
        for part in _parts(endpoint.path):
            if part.startswith("{"):
                names.append(part.strip("{}"))
                node.any = node = node.any or _Node()
            else:
                node = node.parts.setdefault(part, _Node())
        node.names = tuple(names)
        node.endpoints[endpoint.verb] = endpoint

    def find(self, path: str) -> Found | None:
        """Give the endpoints behind a path, ``None`` if there are none."""
        node = self._root
        values = []
        for part in _parts(path):
            following = node.parts.get(part)
            if following is None:
                following = node.any if part else None
                values.append(part)
            if following is None:
                return None
            node = following
        if not node.endpoints:
            return None
        return Found(node.endpoints, dict(zip(node.names, values, strict=True)))


def _parts(path: str) -> list[str]:
    """Split a path at its slashes, and at the colon before the verb of V1."""
    head, colon, action = path.rpartition(":")
    if colon and "/" not in action:
        return [*head.split("/"), f":{action}"]
    return path.split("/")


class ProtocolLane:
    """Answer the requests of the protocols as an ASGI application.

    Parameters
    ----------
    endpoints
        What there is.
    context
        What they have to do with.
    monitor
        Knows the record of a failed request.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], context: Context, monitor: ModelMonitor
    ) -> None:
        self._table = RouteTable(endpoints)
        self._context = context
        self._monitor = monitor
        self._starts = tuple({f"/{endpoint.path.split('/')[1]}" for endpoint in endpoints})

    def has(self, path: str) -> bool:
        """Tell whether a path belongs to a protocol."""
        return path.startswith(self._starts) and self._table.find(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        asked: Endpoint | None = None
        names: Mapping[str, str] = {}
        started = self._monitor.clock()
        try:
            asked, names = self._chosen(scope)
            headers = _headers(scope)
            # A body that nobody asked for is left alone.
            body = await read_body(receive) if asked.verb == "POST" else b""
            started = self._monitor.clock()
            reply = await asked.handler(Call(names, headers, body, started), self._context)
        except GoneError:
            return
        except NbdeployError as error:
            reply = self._explained(error, path, self._asked(asked, names), started)
        except Exception as error:
            logger.exception("A request failed in a way that nobody planned")
            reply = self._explained(error, path, self._asked(asked, names), started)
        await send_reply(send, reply)

    def _chosen(self, scope: Scope) -> tuple[Endpoint, Mapping[str, str]]:
        found = self._table.find(scope["path"])
        if found is None:
            message = "There is nothing at this path. /docs tells what there is."
            raise RequestError(message, status=_NOT_FOUND)
        endpoint = found.endpoints.get(scope["method"])
        if endpoint is None:
            raise _VerbError(found.endpoints)
        return endpoint, found.names

    def _asked(self, endpoint: Endpoint | None, names: Mapping[str, str]) -> ModelMonitor | None:
        """Give the monitor of the model that rows were sent to; ``None`` where there is none."""
        if endpoint is None or endpoint.verb != "POST":
            return None
        return self._context.models.monitor_of(names.get("name"))

    def _explained(
        self, error: Exception, path: str, asked: ModelMonitor | None, started: float
    ) -> Reply:
        """Answer an error, and count it: of a model that is there as one of its requests."""
        answer = answer_of(error)
        if isinstance(error, _VerbError):
            answer.headers["Allow"] = error.allowed
        recorded = self._context.models.error_id(error)
        if recorded is None and asked is not None:
            with asked.observe(started=started) as observation:
                observation.fail(error, status=answer.status)
            recorded = asked.error_id(error)
        elif recorded is None:
            self._monitor.details.reject(reason_of(answer.status))
        if recorded is not None:
            answer.headers[ERROR_ID_HEADER] = recorded
        return reply_to(in_shape_of(path, answer))


class _VerbError(RequestError):
    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self.allowed = ", ".join(endpoints)
        super().__init__(f"Ask this path with {self.allowed}.", status=_WRONG_VERB)


def _headers(scope: Scope) -> dict[str, str]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        message = f"Content-Encoding {encoding[:40]!r} is not read here. Send the body as it is."
        raise RequestError(message, status=_UNREAD_ENCODING)
    return headers
