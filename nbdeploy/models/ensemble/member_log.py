"""What each member of an ensemble did: how long it took, what failed, how often it was alone."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = ["MemberCall", "MemberLog"]

_WINDOW = 1000

MemberOutcome = Literal["ok", "error", "late"]


@dataclass(frozen=True)
class MemberCall:
    """What one member did in one call of its ensemble.

    Parameters
    ----------
    member
        Its name.
    seconds
        How long it took, or how long it was waited for.
    rows
        How many rows it was asked.
    outcome
        ``"ok"``, ``"error"`` or ``"late"``.
    disagreement
        For classes the share of rows for which it named another class than the ensemble; for
        numbers the mean distance to the ensemble's. ``None`` if it did not answer.
    error
        Why it did not answer.
    """

    member: str
    seconds: float
    rows: int
    outcome: MemberOutcome
    disagreement: float | None = None
    error: BaseException | None = field(default=None, repr=False)


class MemberLog:
    """Counts the calls of each member; the latencies are those of the last thousand.

    Parameters
    ----------
    names
        The members.

    Examples
    --------
    >>> log = MemberLog(["forest"])
    >>> log.add(MemberCall("forest", 0.002, rows=10, outcome="ok", disagreement=0.1))
    >>> log.report()["forest"]["avg_latency"], log.report()["forest"]["disagreement"]
    (0.002, 0.1)
    """

    def __init__(self, names: list[str]) -> None:
        self._lock = threading.Lock()
        self._of = {name: _Tally() for name in names}

    def add(self, call: MemberCall) -> None:
        """Count a call."""
        with self._lock:
            self._of[call.member].add(call)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._of = {name: _Tally() for name in self._of}

    def report(self) -> dict[str, dict[str, Any]]:
        """Summarize each member in values that JSON can hold."""
        with self._lock:
            return {name: tally.report() for name, tally in self._of.items()}

    def last_errors(self) -> dict[str, BaseException]:
        """Return the last error of each member that had one."""
        with self._lock:
            return {
                name: tally.last_error
                for name, tally in self._of.items()
                if tally.last_error is not None
            }


class _Tally:
    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=_WINDOW)
        self.distances: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self.counts = {"ok": 0, "error": 0, "late": 0}
        self.rows = 0
        self.last_error: BaseException | None = None

    def add(self, call: MemberCall) -> None:
        self.counts[call.outcome] += 1
        self.rows += call.rows
        if call.seconds or call.outcome != "late":
            # One that is still at earlier calls was not waited for.
            self.seconds.append(call.seconds)
        if call.disagreement is not None:
            self.distances.append((call.disagreement, call.rows))
        if call.error is not None:
            self.last_error = call.error

    def report(self) -> dict[str, Any]:
        rows = sum(rows for _, rows in self.distances)
        distance = sum(distance * rows for distance, rows in self.distances)
        return {
            "requests": sum(self.counts.values()),
            "errors": self.counts["error"],
            "late": self.counts["late"],
            "rows": self.rows,
            "avg_latency": float(np.mean(self.seconds)) if self.seconds else None,
            "p95_latency": float(np.quantile(self.seconds, 0.95)) if self.seconds else None,
            "disagreement": distance / rows if rows else None,
            # Its text could hold a path or a row, and the statistics leave the machine.
            "last_error": type(self.last_error).__name__ if self.last_error else None,
        }
