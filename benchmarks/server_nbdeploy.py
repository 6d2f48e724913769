"""nbdeploy as a notebook runs it: fit or load a model, ``deploy()`` it, go on.

The service has a token, so that every request passes the whole access check. Without a model it
serves a function that does nothing.
"""

from __future__ import annotations

import argparse
import os
import struct
import threading
import time
from typing import Any

import joblib
import numpy as np

from nbdeploy import deploy

_STEPS = 1000
_ROWS = 64


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="a file of models.py, or 'nothing'")
    parser.add_argument("port", type=int)
    parser.add_argument("--token", required=True)
    parser.add_argument("--busy", metavar="FILE", help="loop in the main thread, count steps there")
    options = parser.parse_args()
    model, example = load(options.model)
    deploy(model, name="bench", example=example, port=options.port, token=options.token)
    if options.busy:
        run_a_cell(options.busy)
    threading.Event().wait()


def load(path: str) -> tuple[Any, Any]:
    """Load a model and its rows."""
    if path == "nothing":
        # As many rows as a baseline needs: its window of the latest rows is part of the monitor.
        return do_nothing, np.zeros((_ROWS, 4))
    model, example = joblib.load(path)
    return model, example


def do_nothing(rows: Any) -> Any:
    """Answer 0 for every row."""
    return [0] * len(rows)


def run_a_cell(path: str) -> None:
    """Compute in pure Python, as a long cell does; the file tells how far it got."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    done = 0
    while True:
        total = 0
        for number in range(_STEPS):
            total += number * number
        done += 1
        if not done % 50:
            os.pwrite(file, struct.pack("qd", done, time.perf_counter()), 0)


if __name__ == "__main__":
    main()
