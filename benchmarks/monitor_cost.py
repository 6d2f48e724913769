"""What the monitor takes from the throughput of the cheapest models.

python benchmarks/monitor_cost.py [--write] [--strict]

A service with a monitor and one without are both under load all the time, and take turns of a
tenth of a second: while one runs, the other is stopped as a whole. So a machine that is slower
from one second to the next is slower for both. Both are started anew several times: where a
process lies in memory decides as much as the monitor does. The last line compares two that both
have none: what it says beside 1 is the error of the measurement.
"""

from __future__ import annotations

import argparse
import math
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import orjson
import psutil
from load import generator, saturate
from models import ask, write_models
from report import circumstances, table, write_section
from servers import TOKEN, Ask

_SERVER = Path(__file__).parent / "server_nbdeploy.py"
_SUBJECTS = {"nothing": "a model that does nothing", "m1": "m1: LogisticRegression, iris"}
_WITHOUT = ("--without-monitor",)
_STARTS, _CONNECTIONS, _ROWS = 7, 64, 64
_SECONDS, _TURN, _BEFORE, _AFTER = 8, 0.1, 0.5, 0.5
_PATIENCE = 60.0
_GOAL = 0.95


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into README.md")
    parser.add_argument("--strict", action="store_true", help="fail if the goal is short")
    parser.add_argument("--starts", type=int, default=_STARTS, help="at least 2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder), ["m1"])
        shares = {key: measure(key, Path(folder), options.starts) for key in _SUBJECTS}
        control = measure("m1", Path(folder), options.starts, (_WITHOUT, _WITHOUT))
    lines = [line(title, shares[key], _GOAL) for key, title in _SUBJECTS.items()]
    lines.append(line("m1, both without a monitor", control, None))
    head = (
        "requests/s with the monitor, by the same without",
        "goal",
        "median",
        "middle half",
        "by processor time",
        "",
    )
    text = "\n\n".join((circumstances("monitor_cost.py", generator()), table(head, lines)))
    print(text)
    if options.write:
        write_section("monitor", text)
    short = statistics.median(share.by_clock for share in shares["m1"]) < _GOAL
    return int(options.strict and short)


def line(title: str, shares: Sequence[Rates], goal: float | None) -> tuple[str, ...]:
    """Write what was measured as a line of the table."""
    first, median, third = statistics.quantiles((share.by_clock for share in shares), n=4)
    by_processor = statistics.median(share.by_processor for share in shares)
    state = "" if goal is None else "ok" if median >= goal else "**short**"
    return (
        f"{title}, 64 connections",
        f">= {goal}" if goal else "",
        f"{median:.3f}",
        f"{first:.3f} to {third:.3f}",
        f"{by_processor:.3f}",
        state,
    )


def measure(
    key: str, folder: Path, starts: int, both: Sequence[Sequence[str]] = ((), _WITHOUT)
) -> list[Rates]:
    """Start both as often as that: what the first does by what the second does, each time."""
    model = key if key == "nothing" else str(folder / f"{key}.joblib")
    rows = ask("m1", _ROWS)
    asks = [Ask("/predict", orjson.dumps({"features": row})) for row in rows]
    return [measure_once(model, asks, both, bool(start % 2)) for start in range(starts)]


def measure_once(
    model: str, asks: Sequence[Ask], both: Sequence[Sequence[str]], reverse: bool
) -> Rates:
    """Start both, in one order or the other, let them take turns, end them."""
    services = [Service(model, *options) for options in (both[::-1] if reverse else both)]
    try:
        for service in services:
            service.wait()
            # Compilers, caches and measured decisions settle before anything counts.
            saturate(service.port, asks, connections=_CONNECTIONS, seconds=1)
        rates = take_turns(services, asks)
    finally:
        for service in services:
            service.kill()
    one, other = rates[::-1] if reverse else rates
    return Rates(one.by_clock / other.by_clock, one.by_processor / other.by_processor)


def take_turns(services: Sequence[Service], asks: Sequence[Ask]) -> list[Rates]:
    """Load both at once, let one run at a time, and give what each did."""
    seconds = math.ceil(_BEFORE + _SECONDS + _AFTER)
    with ThreadPoolExecutor(len(services)) as pool:
        for service in services:
            service.process.suspend()
        loads = [
            pool.submit(saturate, service.port, asks, connections=_CONNECTIONS, seconds=seconds)
            for service in services
        ]
        ends = time.monotonic() + seconds
        time.sleep(_BEFORE)
        first, second = services
        for _ in range(round(_SECONDS / (4 * _TURN))):
            # Neither always follows the other.
            for service in (first, second, second, first):
                service.run(_TURN)
        time.sleep(max(0.0, ends - time.monotonic()))
        for service in services:
            # A generator may wait for the last answers.
            service.process.resume()
        answered = [load.result() for load in loads]
    assert not any(each.failed for each in answered)
    return [
        Rates(each.requests / service.seconds, each.requests / service.busy)
        for each, service in zip(answered, services, strict=True)
    ]


class Rates(NamedTuple):
    """Requests a second, and a second of processor time; or such figures by others."""

    by_clock: float
    by_processor: float


class Service:
    """A service in a process of its own.

    Parameters
    ----------
    model
        What to serve.
    options
        How.
    """

    def __init__(self, model: str, *options: str) -> None:
        self.port = free_port()
        command = [sys.executable, str(_SERVER), model, str(self.port), "--token", TOKEN, *options]
        self.process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.seconds = self.busy = 0.0

    def wait(self) -> None:
        """Wait until it listens."""
        wait_for(self.port)

    def run(self, seconds: float) -> None:
        """Let it run so long."""
        started, used = time.perf_counter(), self.used()
        self.process.resume()
        time.sleep(seconds)
        self.process.suspend()
        self.seconds += time.perf_counter() - started
        self.busy += self.used() - used

    def used(self) -> float:
        """Give the processor time that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def kill(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    """Give a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    message = f"Nobody listens at port {port} after {_PATIENCE:g} s."
    raise TimeoutError(message)


if __name__ == "__main__":
    sys.exit(main())
