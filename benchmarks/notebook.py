"""What a notebook waits for and pays: start-up, idle time, a busy cell, slow callers."""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from load import paced, saturate
from models import Row, ask
from server_nbdeploy import do_nothing
from servers import OWN_SERVERS, Place, RunningServer, ServerKind, free_port
from startup import first_answer

__all__ = ["NotebookFigures", "NotebookPlan", "measure_notebook"]

_SUBJECT = "m1"
_NOTHING = "nothing"
_PER_SECOND = 50.0


@dataclass(frozen=True)
class NotebookPlan:
    """How much to measure, in runs and seconds."""

    starts: int
    idle: float
    busy: int
    paced: float


@dataclass(frozen=True)
class NotebookFigures:
    """What was measured; times in seconds.

    Parameters
    ----------
    start_ratio
        ``deploy()`` to the first answer by a fresh process of the chapter's code, wall time.
    start_cpu_ratio
        The same in processor time.
    start
        ``deploy()`` to the first answer.
    chapter_start
        A fresh process of the chapter's code to its first answer.
    idle_percent
        Processor time of a service that nobody asks, in percent of a core.
    busy_p50
        Median latency of one caller while a cell computes in pure Python.
    quiet_p50
        The same while no cell runs.
    busy_slowdown
        How much longer the cell takes under that load; 1 is not at all.
    paced_p95
        95 % of 50 requests a second to a model that does nothing take less.
    call
        That model called in the process.
    """

    start_ratio: float
    start_cpu_ratio: float
    start: float
    chapter_start: float
    idle_percent: float
    busy_p50: float
    quiet_p50: float
    busy_slowdown: float
    paced_p95: float
    call: float


def measure_notebook(
    plan: NotebookPlan, *, folder: Path, model: Path, tell: Callable[[str], None]
) -> NotebookFigures:
    """Measure all of it with the model m1."""
    rows = ask(_SUBJECT, 64)
    figures = _starts(plan.starts, folder, model, rows)
    tell("  start-up: done")
    figures |= _idle(plan, folder, model, rows)
    tell("  idle: done")
    figures |= _busy(plan.busy, folder, model, rows)
    tell("  busy cell: done")
    figures |= _paced(plan.paced, folder)
    tell("  50 requests a second: done")
    return NotebookFigures(**figures)


def _starts(runs: int, folder: Path, model: Path, rows: list[Row]) -> dict[str, float]:
    mine, chapter, ratios, cpu_ratios = [], [], [], []
    for _ in range(runs):
        deployed = first_answer()
        with _running("chapter", folder, model, rows) as server:
            seconds, cpu = server.seconds_to_first_answer, server.cpu_to_first_answer
        mine.append(deployed.answered)
        chapter.append(seconds)
        ratios.append(deployed.answered / seconds)
        cpu_ratios.append(deployed.cpu / cpu)
    return {
        "start_ratio": statistics.median(ratios),
        "start_cpu_ratio": statistics.median(cpu_ratios),
        "start": statistics.median(mine),
        "chapter_start": statistics.median(chapter),
    }


def _idle(plan: NotebookPlan, folder: Path, model: Path, rows: list[Row]) -> dict[str, float]:
    with _running("nbdeploy", folder, model, rows) as server:
        quiet = _one_caller(server, rows, plan.busy)
        server.await_quiet()
        before = server.cpu_seconds()
        time.sleep(plan.idle)
        used = server.cpu_seconds() - before
    return {"idle_percent": 100 * used / plan.idle, "quiet_p50": quiet}


def _busy(seconds: int, folder: Path, model: Path, rows: list[Row]) -> dict[str, float]:
    steps = folder / "steps"
    calm = OWN_SERVERS["nbdeploy"]

    def command(place: Place) -> list[str]:
        return [*calm.command(place), "--busy", str(steps)]

    kind = replace(calm, name="busy", command=command)
    with _server(kind, folder, model, rows) as server:
        # The first answer can be there before the cell has begun.
        time.sleep(1.0)
        slowdowns, latencies = [], []
        for _ in range(seconds):
            alone = _speed(steps, lambda: time.sleep(1))
            loaded = _speed(steps, lambda: latencies.append(_one_caller(server, rows, 1)))
            slowdowns.append(alone / loaded)
    return {
        "busy_p50": statistics.median(latencies),
        "busy_slowdown": statistics.median(slowdowns),
    }


def _speed(steps: Path, meanwhile: Callable[[], object]) -> float:
    """Return the steps a second that the cell makes meanwhile."""
    done, at = struct.unpack("qd", steps.read_bytes())
    meanwhile()
    done_then, then = struct.unpack("qd", steps.read_bytes())
    return float((done_then - done) / (then - at))


def _paced(seconds: float, folder: Path) -> dict[str, float]:
    rows: list[Row] = [[0.0, 0.0, 0.0, float(number)] for number in range(64)]
    kind = OWN_SERVERS["nbdeploy"]
    with _server(kind, folder, Path(_NOTHING), rows, expected=0.0) as server:
        asks = [kind.ask(_SUBJECT, [row], False) for row in rows]
        answered = paced(server.place.port, asks, per_second=_PER_SECOND, seconds=seconds)
    started = time.perf_counter()
    for row in rows:
        do_nothing([row])
    call = (time.perf_counter() - started) / len(rows)
    return {"paced_p95": answered.p95, "call": call}


def _one_caller(server: RunningServer, rows: list[Row], seconds: int) -> float:
    asks = [server.kind.ask(_SUBJECT, [row], False) for row in rows]
    return saturate(server.place.port, asks, connections=1, seconds=seconds).p50


def _running(name: str, folder: Path, model: Path, rows: list[Row]) -> RunningServer:
    return _server(OWN_SERVERS[name], folder, model, rows)


def _server(
    kind: ServerKind, folder: Path, model: Path, rows: list[Row], expected: float | None = None
) -> RunningServer:
    place = Place(_SUBJECT, model, free_port(), folder)
    wanted = None if expected is None else [expected] * len(rows)
    return RunningServer(kind, place, rows, wanted)
