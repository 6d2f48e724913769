"""What happened lately, in short stretches of time: what charts are drawn of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nbdeploy.monitoring.statistics import LatencyHistogram

__all__ = ["Moment", "Timeline"]

SECONDS = 2
"""Of one stretch."""

STRETCHES = 150
"""Stretches that are kept: five minutes."""


class Moment(NamedTuple):
    """What ended in one stretch of time.

    `age` is how many seconds ago it began; `requests` and `errors` are per second; the latencies
    are seconds, ``None`` when nothing ended.
    """

    age: float
    requests: float
    errors: float
    p50: float | None
    p95: float | None
    p99: float | None


class _Stretch:
    __slots__ = ("errors", "latency")

    def __init__(self) -> None:
        self.errors = 0
        self.latency = LatencyHistogram()


class Timeline:
    """Counts and latencies of the last minutes; whoever adds holds a lock.

    Examples
    --------
    >>> timeline = Timeline()
    >>> timeline.add_all([10.0, 10.5, 13.0], [0.02, 0.02, 0.04], ["ok", "ok", "error"])
    >>> [(moment.age, moment.requests, moment.errors) for moment in timeline.moments(14.0)]
    [(4.0, 1.0, 0.0), (2.0, 0.5, 0.5), (0.0, 0.0, 0.0)]
    """

    def __init__(self) -> None:
        self._stretches: dict[int, _Stretch] = {}

    def add_all(
        self, ended: Sequence[float], latencies: Sequence[float], outcomes: Sequence[str]
    ) -> None:
        """Count requests.

        Parameters
        ----------
        ended
            When each ended, in seconds of a clock that never goes back.
        latencies
            The seconds that each took.
        outcomes
            How each ended.
        """
        first, last = int(min(ended) // SECONDS), int(max(ended) // SECONDS)
        if first == last:
            self._add(first, latencies, outcomes)
        else:
            groups: dict[int, list[int]] = {}
            for place, moment in enumerate(ended):
                groups.setdefault(int(moment // SECONDS), []).append(place)
            for number, places in groups.items():
                self._add(number, [latencies[at] for at in places], [outcomes[at] for at in places])
        for number in [each for each in self._stretches if each <= last - STRETCHES]:
            del self._stretches[number]

    def _add(self, number: int, latencies: Sequence[float], outcomes: Sequence[str]) -> None:
        stretch = self._stretches.get(number)
        if stretch is None:
            stretch = self._stretches[number] = _Stretch()
        stretch.latency.add_all(latencies)
        stretch.errors += sum(outcome == "error" for outcome in outcomes)

    def moments(self, now: float) -> list[Moment]:
        """Return the stretches that are over, and the one that is not, the oldest first.

        Those before the first request of the last minutes are left out, quiet ones after are not.
        """
        latest = int(now // SECONDS)
        known = [number for number in self._stretches if number > latest - STRETCHES]
        if not known:
            return []
        return [self._moment(number, now) for number in range(min(known), latest + 1)][-STRETCHES:]

    def _moment(self, number: int, now: float) -> Moment:
        age = now - number * SECONDS
        # Of the stretch that is not over yet only what has passed counts, but no instant.
        passed = min(SECONDS, max(0.5, age))
        stretch = self._stretches.get(number)
        if stretch is None:
            return Moment(age, 0.0, 0.0, None, None, None)
        p50, p95, p99 = (stretch.latency.quantile(q) for q in (0.5, 0.95, 0.99))
        return Moment(age, stretch.latency.count / passed, stretch.errors / passed, p50, p95, p99)
