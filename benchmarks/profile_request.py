"""Show where the microseconds of a request go: ``python benchmarks/profile_request.py [--write]``.

64 connections without sockets send one row each in one turn of the event loop, as they do under
load. Each stage is then timed alone on the same rows; what is left of the whole is the work between
the stages. What the kernel takes for the sockets themselves is in the CPU column of ``bench.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import uvicorn
from models import SUBJECTS, ask
from report import circumstances, number, table, write_section
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from nbdeploy.monitoring.ledger import TOGETHER
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.http_protocol import http_protocol
from nbdeploy.serving.inference import Prediction
from nbdeploy.serving.protocols.native import decode, encode
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.security import AccessPolicy
from nbdeploy.serving.service import ModelService

_TOKEN = "a-token-of-the-benchmark"  # noqa: S105 -- opens nothing
_CONNECTIONS = 64
_ROUNDS = 60
_TURNS = TOGETHER // _CONNECTIONS


class Transport(asyncio.Transport):
    """A connection that keeps nothing of what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = 0
        self.protocol: Any = None

    def get_protocol(self) -> Any:
        """Give whoever reads here."""
        return self.protocol

    def write(self, data: Any) -> None:
        """Count."""
        self.written += len(data) > 0

    def is_closing(self) -> bool:
        """Stay open."""
        return False

    def pause_reading(self) -> None:
        """Nothing reads here."""

    def resume_reading(self) -> None:
        """Nothing reads here."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the README's section")
    options = parser.parse_args()
    lines = [[key, *map(number, asyncio.run(profile(key)))] for key in SUBJECTS]
    head = ["model", "whole", "decode", "validate", "predict", "monitor", "encode", "the rest"]
    title = "Microseconds of one request of one row, 64 at once, without the sockets:"
    text = "\n\n".join(
        [circumstances("profile_request.py", "none: in one process"), title, table(head, lines)]
    )
    print(text)
    if options.write:
        write_section("profile", text)


async def profile(key: str) -> list[float]:
    """Give the microseconds of the whole, of each stage, and of what is left."""
    model, example = SUBJECTS[key].fit()
    route = route_from_model(model, example=example)
    service = ModelService(route, name=key, access=AccessPolicy(_TOKEN))
    bodies = [orjson.dumps({"features": row}) for row in ask(key, _CONNECTIONS)]
    whole = await _whole(service, bodies)
    decoded = [decode("predict", None, body) for body in bodies]
    questions = [route.question("predict", each.inference.rows) for each in decoded]
    joined = questions[0].joined(questions[1:])
    answers = [Prediction([answer], route.version) for answer in joined.run()]
    monitor = ModelMonitor()
    stages = [
        best(lambda: [decode("predict", None, body) for body in bodies]),
        best(lambda: [route.question("predict", each.inference.rows) for each in decoded]),
        best(lambda: questions[0].joined(questions[1:]).run()),
        # So many turns that each round holds the moment at which all of them are counted.
        best(lambda: [_count(monitor, route.version) for _ in range(_TURNS)]) / _TURNS,
        best(lambda: [encode(answer, "prediction") for answer in answers]),
    ]
    service.close()
    return [whole, *stages, whole - sum(stages)]


def _count(monitor: ModelMonitor, version: str) -> None:
    started, predicted = [monitor.clock()] * _CONNECTIONS, [0] * _CONNECTIONS
    monitor.answered_together("predict", started=started, version=version, predicted=predicted)


async def _whole(service: ModelService, bodies: list[bytes]) -> float:
    config = uvicorn.Config(service.app, lifespan="off", log_config=None)
    config.load()
    kind = http_protocol(direct=service.app.direct, base=HttpToolsProtocol)
    state = ServerState()
    state.default_headers = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
    loop = asyncio.get_running_loop()
    connections: list[Any] = []
    for _ in bodies:
        connection = kind(config=config, server_state=state, app_state={}, _loop=loop)  # type: ignore[call-arg]
        transport = Transport()
        transport.protocol = connection
        connection.connection_made(transport)
        connections.append(connection)
    requests = [_request(body) for body in bodies]

    def turn() -> None:
        for connection, request in zip(connections, requests, strict=True):
            connection.data_received(request)
        service.app.direct.run()

    for _ in range(20):
        # The first calls of a model may be made in a thread.
        turn()
        await asyncio.sleep(0.02)
    before = sum(connection.transport.written for connection in connections)
    seconds = best(turn)
    written = sum(connection.transport.written for connection in connections) - before
    assert written == _ROUNDS * len(bodies), "every request has its answer"
    return seconds


def _request(body: bytes) -> bytes:
    lines = [
        "POST /predict HTTP/1.1",
        "host: localhost",
        f"authorization: Bearer {_TOKEN}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def best(call: Callable[[], Any]) -> float:
    """Give the microseconds a request of the quickest round: the others were interrupted."""
    shortest = float("inf")
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        call()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest / _CONNECTIONS * 1e6


if __name__ == "__main__":
    main()
