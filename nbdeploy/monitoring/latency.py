"""Latencies that add up: exact ones while they are few, buckets for all others.

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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BOUNDS",
    "GROWTH",
    "QUANTILES",
    "RELATIVE_ERROR",
    "LatencyHistogram",
    "describe",
    "quantile",
]

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
_SECONDS_IN_64_BITS = 9e9
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

    def add_all(self, latencies: npt.NDArray[np.float64]) -> None:
        """Count several latencies, as :meth:`add` does one by one.

        Parameters
        ----------
        latencies
            Seconds: finite, zero or more; at least one.
        """
        if len(latencies) < _FEW:
            for latency in latencies.tolist():
                self.add(latency)
            return
        counts = np.bincount(np.searchsorted(_BOUNDS, latencies))
        for index in counts.nonzero()[0].tolist():
            self.buckets[index] = self.buckets.get(index, 0) + int(counts[index])
        self.count += len(latencies)
        longest = float(latencies.max())
        nanoseconds = np.rint(latencies * _NANOSECONDS)
        # The sum of a few very long ones is more than 64 bits hold.
        fits = longest * len(latencies) < _SECONDS_IN_64_BITS
        self.nanoseconds += (
            int(nanoseconds.astype(np.int64).sum()) if fits else sum(map(int, nanoseconds.tolist()))
        )
        self.maximum = max(self.maximum, longest)
        self.minimum = min(self.minimum, float(latencies.min()))

    def merge(self, other: LatencyHistogram) -> None:
        """Add everything that another histogram holds."""
        for index, count in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
        self.count += other.count
        self.nanoseconds += other.nanoseconds
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    def copy(self) -> LatencyHistogram:
        """Return the histogram as it is now."""
        twin = LatencyHistogram()
        twin.merge(self)
        return twin

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
    def from_dict(cls, values: Mapping[str, Any]) -> LatencyHistogram:
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
