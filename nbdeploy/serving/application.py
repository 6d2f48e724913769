"""The FastAPI application of a service, behind its gate and beside its lanes."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from nbdeploy.exceptions import RequestError
from nbdeploy.serving.access_control import AccessControl
from nbdeploy.serving.asgi import Receive, Scope, Send
from nbdeploy.serving.direct_lane import DirectLane
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.lane import PredictionLane
from nbdeploy.serving.protocol_lane import ProtocolLane
from nbdeploy.serving.protocol_routes import Endpoint
from nbdeploy.serving.protocols.error_shapes import in_shape_of
from nbdeploy.serving.reading_routes import json_response

__all__ = ["ServiceApplication", "answer_http_error"]


class ServiceApplication(FastAPI):
    """FastAPI behind one gate: no request, on whichever lane, comes around it."""

    gate: AccessControl
    lane: PredictionLane
    direct: DirectLane
    protocols: ProtocolLane
    spoken: tuple[Endpoint, ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if the gate lets it in."""
        await self.gate(scope, receive, send)

    async def behind_the_gate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what passed the gate and took no shorter way."""
        is_http = scope["type"] == "http"
        if is_http and not self.user_middleware and self.protocols.has(scope["path"]):
            await self.protocols(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses in the shape that the path has for errors."""
    assert isinstance(error, HTTPException)
    answer = answer_of(RequestError(str(error.detail), status=error.status_code))
    answer = in_shape_of(request.scope["path"], answer)
    return json_response(answer.body, answer.status, dict(error.headers or {}))
