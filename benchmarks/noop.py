"""What the monitor takes from the throughput of a model that does nothing.

python benchmarks/noop.py [--write]
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from load import generator, saturate
from report import circumstances, table, write_section
from servers import TOKEN, Ask

_SERVER = Path(__file__).parent / "server_nbdeploy.py"
_ASK = Ask("/predict", b'{"features":[1.0,2.0,3.0,4.0]}')
_TURNS, _SECONDS, _CONNECTIONS = 7, 2, 64
_PATIENCE = 60.0
_GOAL = 0.95


def main() -> None:
    """Let one service with a monitor and one without take turns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into README.md")
    options = parser.parse_args()
    ratios = measure()
    median = statistics.median(ratios)
    state = "ok" if median >= _GOAL else "**short**"
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    text = "\n\n".join(
        (
            circumstances("noop.py", generator()),
            table(
                ("requests/s with the monitor, by the same without", "goal", "median", "turns", ""),
                [
                    (
                        "a model that does nothing, 64 connections",
                        ">= 0.95",
                        f"{median:.3f}",
                        spread,
                        state,
                    )
                ],
            ),
        )
    )
    print(text)
    if options.write:
        write_section("noop", text)


def measure() -> list[float]:
    """Give the ratio of each turn."""
    ports = [free_port(), free_port()]
    servers = [start(ports[0]), start(ports[1], "--without-monitor")]
    try:
        for port in ports:
            wait_for(port)
            asked(port)
        return [asked(ports[0]) / asked(ports[1]) for _ in range(_TURNS)]
    finally:
        for server in servers:
            server.kill()
            server.wait()


def asked(port: int) -> float:
    """Give the requests a second of one turn."""
    answered = saturate(port, [_ASK], connections=_CONNECTIONS, seconds=_SECONDS)
    assert not answered.failed
    return answered.per_second


def start(port: int, *options: str) -> subprocess.Popen[bytes]:
    """Start a service of a model that does nothing."""
    command = [sys.executable, str(_SERVER), "nothing", str(port), "--token", TOKEN, *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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
