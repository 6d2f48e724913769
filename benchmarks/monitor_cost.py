"""What the monitor takes from the throughput of the cheapest models.

python benchmarks/monitor_cost.py [--write]

A service with a monitor and one without are asked in turns: with, without, without, with. So
neither always follows the other, and a machine that slows down slows both. Both are started anew
several times: where a process lies in memory decides as much as the monitor does.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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
_STARTS, _TURNS, _SECONDS, _CONNECTIONS, _ROWS = 7, 2, 1, 64, 64
_PATIENCE = 60.0
_GOAL = 0.95


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into README.md")
    parser.add_argument("--starts", type=int, default=_STARTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder), ["m1"])
        lines = [
            line(title, measure(key, Path(folder), options.starts))
            for key, title in _SUBJECTS.items()
        ]
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


def line(title: str, turns: Sequence[Turn]) -> tuple[str, ...]:
    """Write what was measured as a line of the table."""
    first, median, third = statistics.quantiles((turn.by_clock for turn in turns), n=4)
    by_processor = statistics.median(turn.by_processor for turn in turns)
    state = "ok" if median >= _GOAL else "**short**"
    return (
        f"{title}, 64 connections",
        f">= {_GOAL}",
        f"{median:.3f}",
        f"{first:.3f} to {third:.3f}",
        f"{by_processor:.3f}",
        state,
    )


def measure(key: str, folder: Path, starts: int) -> list[Turn]:
    """Start both as often as that, and let them take turns."""
    model = key if key == "nothing" else str(folder / f"{key}.joblib")
    rows = ask("m1", _ROWS)
    asks = [Ask("/predict", orjson.dumps({"features": row})) for row in rows]
    return [turn for _ in range(starts) for turn in measure_once(model, asks)]


def measure_once(model: str, asks: Sequence[Ask]) -> list[Turn]:
    """Start both, let them take turns, end them."""
    services = [Service(model), Service(model, "--without-monitor")]
    try:
        for service in services:
            service.wait()
            service.asked(asks)
        return [take_turns(*services, asks) for _ in range(_TURNS)]
    finally:
        for service in services:
            service.kill()


def take_turns(watched: Service, alone: Service, asks: Sequence[Ask]) -> Turn:
    """Give what the one answers by what the other does, a second and a second of processor."""
    first, second, third, fourth = (
        service.asked(asks) for service in (watched, alone, alone, watched)
    )
    return Turn(
        (first.by_clock + fourth.by_clock) / (second.by_clock + third.by_clock),
        (first.by_processor + fourth.by_processor) / (second.by_processor + third.by_processor),
    )


class Turn(NamedTuple):
    """Requests a second, and a second of processor time; or such a figure by another."""

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

    def wait(self) -> None:
        """Wait until it listens."""
        wait_for(self.port)

    def asked(self, asks: Sequence[Ask]) -> Turn:
        """Give the requests of one load."""
        before = self.process.cpu_times()
        answered = saturate(self.port, asks, connections=_CONNECTIONS, seconds=_SECONDS)
        assert not answered.failed
        after = self.process.cpu_times()
        busy = after.user - before.user + after.system - before.system
        return Turn(answered.per_second, answered.requests / busy)

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
    main()
