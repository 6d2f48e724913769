"""Load: as many requests as a number of connections can send, or so many a second.

`wrk` sends it where it is installed (``apt-get install wrk``), a generator of our own otherwise;
every table names which. All traffic goes to 127.0.0.1 and ends after the seconds asked for.
"""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httptools
from servers import Ask, headers

__all__ = ["Answered", "generator", "paced", "saturate"]

_WRK = shutil.which("wrk")
_PATIENCE = 30.0

_SCRIPT = """
local requests, at = {{}}, 0
function init()
  for body in io.lines("{bodies}") do
    requests[#requests + 1] = wrk.format("POST", "{path}", {{{headers}}}, body)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {{"requests":%d,"seconds":%.6f,"p50":%.9f,"p95":%.9f,"p99":%.9f,"failed":%d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6,
    latency:percentile(95) / 1e6, latency:percentile(99) / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Answered:
    """What a load brought: answers in so many seconds, and latencies in seconds."""

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    failed: int

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return (self.requests - self.failed) / self.seconds


def generator() -> str:
    """Name what sends the load."""
    if _WRK is None:
        return "asyncio and httptools (own)"
    version = subprocess.run([_WRK, "--version"], capture_output=True, text=True, check=False)
    return " ".join(version.stdout.split()[:2])


def saturate(port: int, asks: Sequence[Ask], *, connections: int, seconds: int) -> Answered:
    """Let `connections` callers ask one request after the other for `seconds`."""
    if _WRK is None:
        return asyncio.run(_saturate(port, asks, connections, seconds))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bodies = folder / "bodies"
        bodies.write_bytes(b"\n".join(ask.body for ask in asks))
        fields = ",".join(f'["{key}"]="{value}"' for key, value in headers(asks[0]).items())
        script = folder / "post.lua"
        script.write_text(_SCRIPT.format(bodies=bodies, path=asks[0].path, headers=fields))
        command = [_WRK, "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={_PATIENCE:.0f}s"]
        run = subprocess.run(
            [*command, "-s", str(script), f"http://127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 2 * _PATIENCE,
        )
    line = next(line for line in run.stdout.splitlines() if line.startswith("RESULT "))
    return Answered(**json.loads(line.removeprefix("RESULT ")))


def paced(port: int, asks: Sequence[Ask], *, per_second: float, seconds: float) -> Answered:
    """Send requests at fixed moments, whether or not the earlier ones are answered."""
    return asyncio.run(_paced(port, asks, per_second, seconds))


class _Connection(asyncio.Protocol):
    """A kept-alive connection that has one request in flight."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.answer: asyncio.Future[int] | None = None

    @classmethod
    async def to(cls, port: int) -> _Connection:
        """Connect to a port of this machine."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error or ConnectionError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Give the status to who waits, be ready for the next answer."""
        status = self.parser.get_status_code()
        self.parser = httptools.HttpResponseParser(self)
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(status)

    async def ask(self, request: bytes) -> int:
        """Send a request and wait for its status."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer


def _written(port: int, ask: Ask) -> bytes:
    fields = {"Host": f"127.0.0.1:{port}", **headers(ask), "Content-Length": str(len(ask.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {ask.path} HTTP/1.1\r\n{head}\r\n".encode() + ask.body


def _answered(latencies: list[float], seconds: float, failed: int) -> Answered:
    if len(latencies) < 2:
        return Answered(len(latencies), seconds, math.nan, math.nan, math.nan, failed)
    cuts = statistics.quantiles(latencies, n=100)
    return Answered(len(latencies), seconds, cuts[49], cuts[94], cuts[98], failed)


async def _saturate(port: int, asks: Sequence[Ask], connections: int, seconds: int) -> Answered:
    requests = cycle([_written(port, ask) for ask in asks])
    latencies: list[float] = []
    failed = 0
    started = time.perf_counter()

    async def caller() -> None:
        nonlocal failed
        connection = await _Connection.to(port)
        while (sent := time.perf_counter()) - started < seconds:
            status = await asyncio.wait_for(connection.ask(next(requests)), _PATIENCE)
            latencies.append(time.perf_counter() - sent)
            failed += status != 200
        connection.transport.close()

    await asyncio.gather(*(caller() for _ in range(connections)))
    return _answered(latencies, time.perf_counter() - started, failed)


async def _paced(port: int, asks: Sequence[Ask], per_second: float, seconds: float) -> Answered:
    requests = cycle([_written(port, ask) for ask in asks])
    idle = [await _Connection.to(port) for _ in range(4)]
    latencies: list[float] = []
    failed = 0

    async def caller() -> None:
        nonlocal failed
        sent = time.perf_counter()
        # Servers hang up on connections that nobody used for a while.
        while idle and idle[-1].transport.is_closing():
            idle.pop()
        connection = idle.pop() if idle else await _Connection.to(port)
        status = await asyncio.wait_for(connection.ask(next(requests)), _PATIENCE)
        latencies.append(time.perf_counter() - sent)
        failed += status != 200
        idle.append(connection)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as callers:
        for number in range(int(per_second * seconds)):
            due = started + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            callers.create_task(caller())
    took = time.perf_counter() - started
    for connection in idle:
        connection.transport.close()
    return _answered(latencies, took, failed)
