"""What the monitor takes from the throughput of the cheapest models.

python benchmarks/monitor_cost.py [--write] [--strict]

One service under load, whose monitor is there and not there in turns of a tenth of a second: so
neither a machine that slows down nor where a process lies in memory favours one of the two. It is
started several times all the same. The last line leaves the monitor out of all turns: what it says
beside 1 is the error of the measurement.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import orjson
from load import generator, saturate
from models import ask, write_models
from report import circumstances, table, write_section
from servers import TOKEN, Ask, free_port

_SERVER = Path(__file__).parent / "server_monitored.py"
_SUBJECTS = {"m1": "m1: LogisticRegression, iris", "nothing": "a function that does nothing"}
_STARTS, _CONNECTIONS, _ROWS = 7, 64, 64
_SECONDS, _BEFORE = 8, 0.5
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
        control = measure("m1", Path(folder), options.starts, "--never")
    lines = [
        line(title, shares[key], _GOAL if key == "m1" else None) for key, title in _SUBJECTS.items()
    ]
    lines.append(line("m1, never with a monitor", control, None))
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


def measure(key: str, folder: Path, starts: int, *options: str) -> list[Rates]:
    """Start it as often as that: what it does with the monitor by what it does without."""
    model = key if key == "nothing" else str(folder / f"{key}.joblib")
    rows = ask("m1", _ROWS)
    asks = [Ask("/predict", orjson.dumps({"features": row})) for row in rows]
    return [measure_once(model, asks, options) for _ in range(starts)]


def measure_once(model: str, asks: Sequence[Ask], options: Sequence[str]) -> Rates:
    """Start it, load it, let it take turns, end it."""
    port = free_port()
    command = [sys.executable, str(_SERVER), model, str(port), "--token", TOKEN]
    process = subprocess.Popen(
        [*command, "--seconds", str(_SECONDS), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    load = partial(saturate, port, asks, connections=_CONNECTIONS)
    with process, ThreadPoolExecutor(1) as pool:
        try:
            assert process.stdout.readline() == "ready\n"
            # Compilers, caches and measured decisions settle before anything counts.
            load(seconds=1)
            loading = pool.submit(load, seconds=_SECONDS + 1)
            time.sleep(_BEFORE)
            process.stdin.write("go\n")
            process.stdin.flush()
            answered = orjson.loads(process.stdout.readline())
            assert not loading.result().failed
        finally:
            process.kill()
    watched, alone = (
        Rates(requests / clock, requests / busy) for requests, clock, busy in answered
    )
    return Rates(watched.by_clock / alone.by_clock, watched.by_processor / alone.by_processor)


class Rates(NamedTuple):
    """Requests a second, and a second of processor time; or such figures by others."""

    by_clock: float
    by_processor: float


if __name__ == "__main__":
    sys.exit(main())
