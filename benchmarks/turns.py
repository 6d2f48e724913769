"""One interleaved run: the servers take turns under the same load, again and again.

On a shared machine a second is faster than the next one; within one rotation all servers meet
nearly the same second. So a figure is the median over rotations of the ratio within a rotation.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from load import saturate
from models import Row, ask
from servers import Place, RunningServer, ServerKind, StartError, free_port

__all__ = ["Loads", "Measurement", "Plan", "Run", "measure_subject"]

_DIFFERENT_ROWS = 64
_MANY = 1000


@dataclass(frozen=True)
class Loads:
    """One shape of load: callers at a time, and rows in each request."""

    connections: int
    rows: int = 1

    def __str__(self) -> str:
        return f"c{self.connections}" if self.rows == 1 else f"{self.rows} rows"


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    loads: tuple[Loads, ...]
    rotations: int
    seconds: int


@dataclass(frozen=True)
class Measurement:
    """One turn of one server; times in seconds, memory in MiB."""

    server: str
    subject: str
    load: str
    rotation: int
    per_second: float
    p50: float
    p95: float
    cpu: float
    failed: int


@dataclass(frozen=True)
class Run:
    """Everything that was measured."""

    turns: tuple[Measurement, ...]
    memory: dict[tuple[str, str], float]
    absent: dict[tuple[str, str], str]

    def value(self, server: str, subject: str, load: str, metric: str) -> float | None:
        """Return the median over rotations, or ``None`` if it was not measured."""
        values = self._by_rotation(server, subject, load, metric)
        return statistics.median(values.values()) if values else None

    def ratio(self, server: str, other: str, subject: str, load: str, metric: str) -> float | None:
        """Return the median over rotations of one server's metric by another's."""
        mine = self._by_rotation(server, subject, load, metric)
        theirs = self._by_rotation(other, subject, load, metric)
        ratios = [mine[turn] / theirs[turn] for turn in mine.keys() & theirs.keys() if theirs[turn]]
        return statistics.median(ratios) if ratios else None

    def servers(self) -> list[str]:
        """List what was measured, or could not be, in the order of appearance."""
        return list(dict.fromkeys([t.server for t in self.turns] + [s for s, _ in self.absent]))

    def _by_rotation(self, server: str, subject: str, load: str, metric: str) -> dict[int, float]:
        wanted = (server, subject, load)
        return {
            turn.rotation: float(getattr(turn, metric))
            for turn in self.turns
            if (turn.server, turn.subject, turn.load) == wanted
        }


def measure_subject(
    subject: str,
    kinds: Iterable[ServerKind],
    plan: Plan,
    *,
    folder: Path,
    model: Callable[[ServerKind], Path],
    tell: Callable[[str], None],
) -> Run:
    """Start the servers for one model, let them take turns, end them.

    Parameters
    ----------
    subject
        The model: a key of `models.SUBJECTS`.
    kinds
        What to measure; one that cannot be started is told in the run and left out.
    plan
        How much.
    folder
        Where servers may write.
    model
        Gives the file of the model for a server.
    tell
        Told what happens.
    """
    rows = ask(subject, _MANY)
    turns: list[Measurement] = []
    memory: dict[tuple[str, str], float] = {}
    absent: dict[tuple[str, str], str] = {}
    with ExitStack() as ends:
        running = []
        for kind in kinds:
            place = Place(subject, model(kind), free_port(), folder)
            server = RunningServer(kind, place, rows, _expected(model(kind), rows))
            try:
                running.append(ends.enter_context(server))
            except StartError as error:
                absent[kind.name, subject] = str(error)
                tell(f"  {subject} {kind.name}: cannot be measured: {error}")
        for server in running:
            # Compilers, caches and measured decisions settle before anything counts.
            _turn(server, subject, rows, Loads(16), 0, 1)
        for load in plan.loads:
            turns += _take_turns(running, subject, rows, load, plan)
            tell(f"  {subject} {load}: done")
        memory = {(server.kind.name, subject): server.memory_mib() for server in running}
    return Run(tuple(turns), memory, absent)


def _take_turns(
    running: Sequence[RunningServer],
    subject: str,
    rows: list[Row],
    load: Loads,
    plan: Plan,
) -> Iterator[Measurement]:
    able = [server for server in running if load.rows == 1 or server.kind.carries_many]
    for rotation in range(plan.rotations):
        # The order turns too: nobody always follows the same neighbour.
        shift = rotation % len(able)
        for server in able[shift:] + able[:shift]:
            yield _turn(server, subject, rows, load, rotation, plan.seconds)


def _turn(
    server: RunningServer,
    subject: str,
    rows: list[Row],
    load: Loads,
    rotation: int,
    seconds: int,
) -> Measurement:
    kind = server.kind
    if load.rows == 1:
        asks = [kind.ask(subject, [row], False) for row in rows[:_DIFFERENT_ROWS]]
    else:
        asks = [kind.ask(subject, rows, True)]
    server.await_quiet()
    before = server.cpu_seconds()
    answered = saturate(server.place.port, asks, connections=load.connections, seconds=seconds)
    cpu = server.cpu_seconds() - before
    return Measurement(
        server=kind.name,
        subject=subject,
        load=str(load),
        rotation=rotation,
        per_second=answered.per_second,
        p50=answered.p50,
        p95=answered.p95,
        cpu=cpu / max(1, answered.requests),
        failed=answered.failed,
    )


def _expected(model: Path, rows: list[Row]) -> list[float]:
    fitted, example = joblib.load(model)
    if isinstance(example, pd.DataFrame):
        frame = pd.DataFrame(rows).fillna(np.nan)
        return [float(label) for label in fitted.predict(frame)]
    return [float(label) for label in fitted.predict(np.array(rows))]
