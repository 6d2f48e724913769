"""Latencies, counts and rates that add up.

Replicas and pods each count for themselves, so every value here merges: the sum of two
equals what one would hold that had seen everything. Latencies go into fixed logarithmic
buckets, 16 to a doubling, from about one microsecond to 4096 s. Neighbouring bounds differ
by the factor ``GROWTH`` = 2 ** (1 / 16) = 1.044, so a quantile read from the buckets is within
``RELATIVE_ERROR`` = 2.2 % of the exact one. (These are the buckets of a Prometheus native
histogram of schema 4; every 16th bound is a power of two.)
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = [
    "BOUNDS",
    "GROWTH",
    "QUANTILES",
    "RELATIVE_ERROR",
    "LatencyHistogram",
    "Outcome",
    "RecentRequests",
    "Tally",
    "describe",
    "quantile",
]

Outcome = Literal["ok", "error", "cancelled"]

GROWTH = 2 ** (1 / 16)
RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)
#: Upper bounds in seconds, inclusive. What is below the first or above the last has a bucket too.
BOUNDS: tuple[float, ...] = tuple(
    2.0 ** (exponent / 16) for exponent in range(-20 * 16, 12 * 16 + 1)
)
#: The keys of the quantiles that statistics report.
QUANTILES = {
    "p50_latency": 0.50,
    "p90_latency": 0.90,
    "p95_latency": 0.95,
    "p99_latency": 0.99,
}
_NANOSECONDS = 1_000_000_000
_BOUNDS = np.array(BOUNDS)
# Below so many, an array costs more than a loop.
_FEW = 16


def quantile(ordered: Sequence[float], q: float) -> float:
    """Return a quantile of sorted values, as ``numpy.quantile`` does.

    Parameters
    ----------
    ordered
        At least one value, in ascending order.
    q
        Between 0 and 1.

    Examples
    --------
    >>> quantile([1.0, 2.0, 4.0], 0.75)
    3.0
    """
    position = (len(ordered) - 1) * q
    below = math.floor(position)
    return _between(ordered[below], ordered[math.ceil(position)], position - below)


def describe(latencies: Iterable[float]) -> dict[str, float | None]:
    """Summarize latencies exactly: the mean, the maximum and the quantiles.

    Parameters
    ----------
    latencies
        Seconds, in any order.

    Returns
    -------
    dict
        ``avg_latency``, ``max_latency`` and the keys of ``QUANTILES``; all ``None`` when there
        are no latencies.
    """
    ordered = sorted(latencies)
    if not ordered:
        return dict.fromkeys(("avg_latency", "max_latency", *QUANTILES))
    return {
        "avg_latency": math.fsum(ordered) / len(ordered),
        "max_latency": ordered[-1],
        **{name: quantile(ordered, q) for name, q in QUANTILES.items()},
    }


def _between(low: float, high: float, fraction: float) -> float:
    # Counted from the nearer end, as numpy does: the results are then equal to the last bit.
    if fraction < 0.5:  # noqa: PLR2004 -- the middle
        return low + (high - low) * fraction
    return high - (high - low) * (1 - fraction)


class LatencyHistogram:
    """Latencies in fixed logarithmic buckets, with exact count, sum, minimum and maximum.

    Examples
    --------
    >>> histogram = LatencyHistogram()
    >>> for latency in (0.010, 0.020, 0.030):
    ...     histogram.add(latency)
    >>> histogram.count, histogram.mean, histogram.maximum
    (3, 0.02, 0.03)
    """

    __slots__ = ("buckets", "count", "maximum", "minimum", "nanoseconds")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        # An integer, because sums of floats depend on their order and would not merge exactly.
        self.nanoseconds = 0
        self.minimum = math.inf
        self.maximum = 0.0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LatencyHistogram):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def add(self, latency: float) -> None:
        """Count one latency.

        Parameters
        ----------
        latency
            Seconds: finite, zero or more.
        """
        index = bisect_left(BOUNDS, latency)
        self.buckets[index] = self.buckets.get(index, 0) + 1
        self.count += 1
        self.nanoseconds += round(latency * _NANOSECONDS)
        # Comparisons: calls of max and min would cost every request a tenth of the whole.
        if latency > self.maximum:  # noqa: PLR1730 -- see above
            self.maximum = latency
        if latency < self.minimum:  # noqa: PLR1730 -- see above
            self.minimum = latency

    def add_all(self, latencies: Sequence[float]) -> None:
        """Count several latencies, as :meth:`add` does one by one.

        Parameters
        ----------
        latencies
            Seconds: finite, zero or more; at least one.
        """
        if len(latencies) < _FEW:
            for latency in latencies:
                self.add(latency)
            return
        seconds = np.array(latencies)
        indexes = np.bincount(np.searchsorted(_BOUNDS, seconds))
        for index in np.flatnonzero(indexes).tolist():
            self.buckets[index] = self.buckets.get(index, 0) + int(indexes[index])
        self.count += len(latencies)
        # Python's integers: the sum of a few very long latencies is more than 64 bits hold.
        self.nanoseconds += sum(map(int, np.rint(seconds * _NANOSECONDS).tolist()))
        self.maximum = max(self.maximum, float(seconds.max()))
        self.minimum = min(self.minimum, float(seconds.min()))

    def merge(self, other: LatencyHistogram) -> None:
        """Add everything that another histogram holds."""
        for index, count in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
        self.count += other.count
        self.nanoseconds += other.nanoseconds
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    @property
    def mean(self) -> float | None:
        """Average in seconds; ``None`` when empty."""
        return self.nanoseconds / self.count / _NANOSECONDS if self.count else None

    def quantile(self, q: float) -> float | None:
        """Estimate a quantile.

        Parameters
        ----------
        q
            Between 0 and 1.

        Returns
        -------
        float or None
            Seconds, within ``RELATIVE_ERROR`` of ``numpy.quantile`` over the same latencies when
            they lie between the first and the last bound; ``None`` when empty.
        """
        if not self.count:
            return None
        position = (self.count - 1) * q
        below = math.floor(position)
        # Both neighbours are within the error, so what lies between them is too.
        low, high = self._ranked(below), self._ranked(math.ceil(position))
        return _between(low, high, position - below)

    def describe(self) -> dict[str, float | None]:
        """Summarize as :func:`describe` does, with quantiles estimated from the buckets."""
        return {
            "avg_latency": self.mean,
            "max_latency": self.maximum if self.count else None,
            **{name: self.quantile(q) for name, q in QUANTILES.items()},
        }

    def _ranked(self, rank: int) -> float:
        if rank == 0:
            return self.minimum
        if rank == self.count - 1:
            return self.maximum
        seen = 0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if seen > rank:
                return min(max(_centre(index), self.minimum), self.maximum)
        return self.maximum

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            # A float: one wrong latency must not make an integer that 64 bits cannot hold.
            # It is exact up to 104 days of summed latency.
            "sum": self.nanoseconds / _NANOSECONDS,
            "min": self.minimum if self.count else None,
            "max": self.maximum if self.count else None,
            "buckets": [[index, self.buckets[index]] for index in sorted(self.buckets)],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LatencyHistogram:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If a bucket or a count cannot be.
        """
        histogram = cls()
        for index, count in values["buckets"]:
            if not 0 <= index <= len(BOUNDS) or count < 1:
                message = f"Bucket {index} with {count} latencies cannot be."
                raise ValueError(message)
            histogram.buckets[int(index)] = int(count)
        histogram.count = sum(histogram.buckets.values())
        histogram.nanoseconds = round(float(values["sum"]) * _NANOSECONDS)
        if histogram.count:
            histogram.minimum = float(values["min"])
            histogram.maximum = float(values["max"])
        return histogram


def _centre(index: int) -> float:
    """Return the value whose relative distance to both ends of a bucket is the same."""
    if index == 0:
        return BOUNDS[0] / 2
    if index == len(BOUNDS):
        return math.inf
    low, high = BOUNDS[index - 1], BOUNDS[index]
    return 2 * low * high / (low + high)


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

    def add_all(
        self, latencies: Sequence[float], outcomes: Sequence[Outcome], rows: Sequence[int]
    ) -> None:
        """Count several requests, as :meth:`add` does one by one.

        Parameters
        ----------
        latencies
            Seconds, at least one.
        outcomes
            How each ended.
        rows
            The rows of each that were predicted.
        """
        self.latency.add_all(latencies)
        self.rows += sum(rows)
        self.errors += outcomes.count("error")
        self.cancelled += outcomes.count("cancelled")

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
    def from_dict(cls, values: dict[str, Any]) -> Tally:
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

    def add_all(self, ended: Sequence[float]) -> None:
        """Count requests in about the order in which they ended; at least one."""
        last = self._counts[-1]
        if max(ended) < last[0] + 1:
            last[1] += len(ended)
            return
        for now in ended:
            self.add(now)

    def rate(self, now: float) -> float:
        """Return requests per second over the last minute.

        The running second and the 59 before it, or the time since the start if that is shorter,
        but at least one second: the first request is not a million requests per second.
        """
        oldest = math.floor(now) - self.SECONDS + 1
        requests = sum(count for second, count in self._counts if second >= oldest)
        return requests / max(1.0, now - max(oldest, self._started))
