"""Send a load, in a process of its own: ``python -m nbdeploy.scaling.load_generator``.

It reads one plan from its standard input and writes lines of samples to its standard output. It
ends when the input is closed, so whoever started it need only end, be it by ``kill -9``.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import httptools

from nbdeploy.scaling.load_shape import LoadShape
from nbdeploy.scaling.tls_trust import trust_of

__all__ = ["Generator", "Plan", "main"]

_REPORT_EVERY = 0.25
_VERSION = b"x-model-version"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send.

    Parameters
    ----------
    url
        Where the service is.
    path
        What to ask for.
    bodies
        Sent in turn; without any, the path is asked for with GET.
    headers
        Sent with each request.
    seconds
        How long new requests are sent.
    rates
        Requests a second at fixed moments (open loop); none sends the next when the one before
        is answered (closed loop).
    ramp
        See `LoadShape`.
    connections
        At most so many requests at once.
    timeout
        Seconds until a request is given up.
    certificate
        A PEM file with the certificate of the service, where no authority vouches for it.
    """

    url: str
    path: str
    bodies: tuple[str, ...]
    seconds: float
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    rates: tuple[float, ...] = ()
    ramp: bool = False
    connections: int = 1_000
    timeout: float = 30.0
    certificate: str | None = None

    def to_json(self) -> str:
        """Write the plan on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        values.update(bodies=tuple(values["bodies"]), rates=tuple(values["rates"]))
        return cls(**values)

    def requests(self) -> list[bytes]:
        """Write every request as it goes over the wire."""
        verb = "POST" if self.bodies else "GET"
        written = []
        for body in self.bodies or ("",):
            content = body.encode()
            fields = {"Host": urlsplit(self.url).netloc, **self.headers}
            if self.bodies:
                fields |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            prefix = urlsplit(self.url).path.rstrip("/")
            line = f"{verb} {prefix}{self.path} HTTP/1.1\r\n"
            written.append(f"{line}{head}\r\n".encode() + content)
        return written


class _Connection(asyncio.Protocol):
    """A kept-alive connection with one request in flight."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[str, str]] | None = None
        self._renew()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == _VERSION:
            self._version = value.decode("latin-1")

    def on_message_complete(self) -> None:
        answer = str(self._parser.get_status_code()), self._version
        if not self._parser.should_keep_alive():
            self.transport.close()
        self._renew()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    async def ask(self, request: bytes) -> tuple[str, str]:
        """Send a request; return status and version."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    def _renew(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._version = ""


class Generator:
    """Send what a plan says, and keep what came of each request.

    Parameters
    ----------
    plan
        What to send.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = cycle(plan.requests())
        self._idle: deque[_Connection] = deque()
        self._free = asyncio.Semaphore(plan.connections)
        self._samples: list[tuple[float, float, float, str, str]] = []
        self._began = 0.0
        is_secure = urlsplit(plan.url).scheme == "https"
        self._secure = trust_of(plan.certificate) if is_secure else None

    async def run(self) -> None:
        """Send everything, and wait for the answers."""
        self._began = time.perf_counter()
        try:
            if self._plan.rates:
                await self._open_loop()
            else:
                await self._closed_loop()
        finally:
            for connection in self._idle:
                connection.transport.close()

    def take(self) -> list[tuple[float, float, float, str, str]]:
        """Return what is new, each with the fields of a `Sample`."""
        taken, self._samples = self._samples, []
        return taken

    def elapsed(self) -> float:
        """Tell how long it has been running."""
        return time.perf_counter() - self._began

    async def _open_loop(self) -> None:
        shape = LoadShape(self._plan.rates, self._plan.seconds, self._plan.ramp)
        async with asyncio.TaskGroup() as callers:
            for due in shape.arrivals():
                # What is due already goes out at once: a late request is late, never left out.
                if (wait := due - self.elapsed()) > 0:
                    await asyncio.sleep(wait)
                callers.create_task(self._ask(due, next(self._requests)))

    async def _closed_loop(self) -> None:
        async def caller() -> None:
            while (now := self.elapsed()) < self._plan.seconds:
                outcome = await self._ask(now, next(self._requests))
                if outcome in ("refused", "broken"):
                    # A service that is gone is not asked a million times a second.
                    await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as callers:
            for _ in range(self._plan.connections):
                callers.create_task(caller())

    async def _ask(self, due: float, request: bytes) -> str:
        async with self._free:
            late = max(0.0, self.elapsed() - due)
            outcome, version = await self._outcome(request)
        # From the moment it was due: a request that had to wait its turn has waited.
        self._samples.append((due, late, self.elapsed() - due, outcome, version))
        return outcome

    async def _outcome(self, request: bytes) -> tuple[str, str]:
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._plan.timeout):
                try:
                    connection = await self._connection()
                except OSError:
                    return "refused", ""
                status, version = await connection.ask(request)
        except TimeoutError:
            if connection is not None:
                connection.transport.abort()
            return "timeout", ""
        except OSError:
            return "broken", ""
        self._idle.append(connection)
        return status, version

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        address = urlsplit(self._plan.url)
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection,
            address.hostname or "",
            address.port or (443 if self._secure else 80),
            ssl=self._secure,
        )
        return connection


async def _report(generator: Generator) -> None:
    while True:
        await asyncio.sleep(_REPORT_EVERY)
        _write({"samples": generator.take(), "elapsed": generator.elapsed()})


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


async def _input_closed() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def _run(plan: Plan) -> None:
    generator = Generator(plan)
    reporting = asyncio.create_task(_report(generator))
    running = asyncio.create_task(generator.run())
    closed = asyncio.create_task(_input_closed())
    await asyncio.wait({running, closed}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, closed, reporting):
        task.cancel()
    results = await asyncio.gather(running, closed, reporting, return_exceptions=True)
    _write({"samples": generator.take(), "elapsed": generator.elapsed(), "done": True})
    if isinstance(results[0], Exception):
        raise results[0]


def main() -> None:
    """Read a plan, send the load."""
    # The interrupt of a cell is for the kernel, which then closes the input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_run(Plan.from_json(sys.stdin.readline())))


if __name__ == "__main__":
    main()
