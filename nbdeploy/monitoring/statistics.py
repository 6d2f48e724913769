"""Counts and rates of requests that add up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nbdeploy.monitoring.latency import LatencyHistogram

__all__ = ["Outcome", "RecentRequests", "Tally"]

Outcome = Literal["ok", "error", "cancelled"]


@dataclass(slots=True)
class Tally:
    """How requests ended, how many rows were predicted, and how long it took."""

    errors: int = 0
    cancelled: int = 0
    rows: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)

    @property
    def requests(self) -> int:
        """All of them: answered, failed and cancelled."""
        return self.latency.count

    @property
    def error_rate(self) -> float:
        """Errors as a share of the requests; 0.0 when there were none."""
        return self.errors / self.requests if self.requests else 0.0

    def add(self, latency: float, outcome: Outcome, rows: int) -> None:
        """Count one request.

        Parameters
        ----------
        latency
            Seconds.
        outcome
            How it ended.
        rows
            Rows that were predicted.
        """
        self.latency.add(latency)
        self.rows += rows
        if outcome == "error":
            self.errors += 1
        elif outcome == "cancelled":
            self.cancelled += 1

    @classmethod
    def of(
        cls,
        latencies: npt.NDArray[np.float64],
        outcomes: Sequence[Outcome],
        rows: Sequence[int],
    ) -> Tally:
        """Count several requests, as :meth:`add` does one by one.

        Parameters
        ----------
        latencies
            Seconds.
        outcomes
            How each ended.
        rows
            The rows of each that were predicted.
        """
        tally = cls(
            errors=outcomes.count("error"), cancelled=outcomes.count("cancelled"), rows=sum(rows)
        )
        if len(latencies):
            tally.latency.add_all(latencies)
        return tally

    def merge(self, other: Tally) -> None:
        """Add everything that another tally holds."""
        self.errors += other.errors
        self.cancelled += other.cancelled
        self.rows += other.rows
        self.latency.merge(other.latency)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "errors": self.errors,
            "cancelled": self.cancelled,
            "rows": self.rows,
            "latency": self.latency.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tally:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            errors=int(values["errors"]),
            cancelled=int(values["cancelled"]),
            rows=int(values["rows"]),
            latency=LatencyHistogram.from_dict(values["latency"]),
        )

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """Add tallies up to a new one."""
        total = cls()
        for tally in tallies:
            total.merge(tally)
        return total


class RecentRequests:
    """Requests of the last minute, counted by the second of the clock.

    Parameters
    ----------
    started
        When counting began, in seconds of the clock.
    """

    SECONDS = 60

    def __init__(self, started: float) -> None:
        self._started = started
        self._counts: deque[list[int]] = deque([[math.floor(started), 0]], maxlen=self.SECONDS)

    def add(self, now: float) -> None:
        """Count one request that ended now."""
        last = self._counts[-1]
        # Threads read the clock before they hold the lock: a little late counts as now.
        if now < last[0] + 1:
            last[1] += 1
        else:
            self._counts.append([math.floor(now), 1])

    def add_all(self, ended: npt.NDArray[np.float64]) -> None:
        """Count requests in about the order in which they ended; at least one."""
        last = self._counts[-1]
        if ended.max() < last[0] + 1:
            last[1] += len(ended)
            return
        for now in ended.tolist():
            self.add(now)

    def rate(self, now: float) -> float:
        """Return requests per second over the last minute.

        The running second and the 59 before it, or the time since the start if that is shorter,
        but at least one second: the first request is not a million requests per second.
        """
        oldest = math.floor(now) - self.SECONDS + 1
        requests = sum(count for second, count in self._counts if second >= oldest)
        return requests / max(1.0, now - max(oldest, self._started))
