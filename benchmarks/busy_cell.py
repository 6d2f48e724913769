"""What a busy cell costs callers: a service in the kernel, and one in a process of its own.

A process stands for the kernel. It serves a small model and in turn does nothing, computes in pure
Python, and makes calls in C that let no other thread of Python run. 50 requests a second come in
at fixed moments meanwhile. Every turn compares with its own quiet part.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from load import paced
from servers import Ask

__all__ = ["BusyCell", "main", "measure"]

_PER_SECOND = 50.0
_GOAL = 3.0
_CELLS = ("quiet", "python", "c")

_KERNEL = """
import random, sys, time
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from nbdeploy import deploy

X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=500).fit(X, y)
service = deploy(model, name="busy", example=X, token=None, where=sys.argv[1])
numbers = [random.random() for _ in range(2_000_000)]
print(service.url.rpartition(":")[2], flush=True)
for line in sys.stdin:
    cell, seconds = line.split()
    end = time.monotonic() + float(seconds)
    print("begun", flush=True)
    while time.monotonic() < end:
        if cell == "quiet":
            time.sleep(0.05)
        elif cell == "c":
            sorted(numbers)
    print("done", flush=True)
service.stop()
"""


@dataclass(frozen=True)
class BusyCell:
    """Latencies of callers, 99 % take less; in seconds, the median over the turns.

    Parameters
    ----------
    where
        Where the service ran.
    quiet, python, c
        While no cell ran, one in pure Python, one in C.
    python_ratio, c_ratio
        How much longer than the quiet part of the same turn, the median over the turns.
    failed
        Requests without an answer.
    """

    where: str
    quiet: float
    python: float
    c: float
    python_ratio: float
    c_ratio: float
    failed: int


def measure(where: str, *, turns: int, seconds: float) -> BusyCell:
    """Measure one place."""
    ask = Ask(path="/predict", body=b'{"features": [5.1, 3.5, 1.4, 0.2]}')
    latencies: dict[str, list[float]] = {cell: [] for cell in _CELLS}
    failed = 0
    with _kernel(where) as (kernel, port):
        paced(port, [ask], per_second=_PER_SECOND, seconds=1.0)
        for _ in range(turns):
            for cell in _CELLS:
                _tell(kernel, f"{cell} {seconds + 0.5}\n", "begun")
                answered = paced(port, [ask], per_second=_PER_SECOND, seconds=seconds)
                _tell(kernel, "", "done")
                latencies[cell].append(answered.p99)
                failed += answered.failed
    quiet = latencies["quiet"]
    median = {cell: statistics.median(found) for cell, found in latencies.items()}
    ratio = {
        cell: statistics.median(
            busy / calm for busy, calm in zip(latencies[cell], quiet, strict=True)
        )
        for cell in _CELLS
    }
    return BusyCell(
        where=where,
        **median,
        python_ratio=ratio["python"],
        c_ratio=ratio["c"],
        failed=failed,
    )


@contextmanager
def _kernel(where: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    kernel = subprocess.Popen(
        [sys.executable, "-c", _KERNEL, where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdin is not None
    assert kernel.stdout is not None
    with kernel:
        try:
            yield kernel, int(_line(kernel))
        finally:
            kernel.stdin.close()
            kernel.wait(60)


def _tell(kernel: subprocess.Popen[str], command: str, expected: str) -> None:
    assert kernel.stdin is not None
    kernel.stdin.write(command)
    kernel.stdin.flush()
    assert _line(kernel) == expected


def _line(kernel: subprocess.Popen[str]) -> str:
    assert kernel.stdout is not None
    # The card of deploy() is not shown outside of a notebook: only the answers come.
    return kernel.stdout.readline().strip()


def main() -> int:
    """Print the table; fail where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    options, _ = parser.parse_known_args()
    turns, seconds = (2, 4.0) if options.quick else (5, 10.0)
    print("| where | quiet p99 | busy in Python | busy in C | ratios | failed |")
    print("|---|---|---|---|---|---|")
    figures = [measure(where, turns=turns, seconds=seconds) for where in ("process", "kernel")]
    for each in figures:
        print(
            f"| {each.where} | {each.quiet * 1e3:.2f} ms | {each.python * 1e3:.2f} ms | "
            f"{each.c * 1e3:.2f} ms | {each.python_ratio:.2f}, {each.c_ratio:.2f} | {each.failed} |"
        )
    apart = figures[0]
    is_met = max(apart.python_ratio, apart.c_ratio) <= _GOAL and apart.failed == 0
    word = "met" if is_met else "MISSED"
    print(f"\nGoal: in a process of its own at most {_GOAL:g} x the quiet p99: {word}.")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
