"""What happened lately, in short stretches of time: what charts are drawn of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from nbdeploy.monitoring.predictions import PredictionCounts
from nbdeploy.monitoring.statistics import Tally

__all__ = ["SECONDS", "STRETCHES", "History", "Moment", "Stretch", "Timeline"]

SECONDS = 2
"""Of one stretch."""

STRETCHES = 150
"""Stretches that are kept: five minutes."""


class Moment(NamedTuple):
    """What ended in one stretch of time.

    `age` is how many seconds ago it began; `requests` and `errors` are per second; the latencies
    are seconds, ``None`` when nothing ended; `predictions` are all of all versions.
    """

    age: float
    requests: float
    errors: float
    p50: float | None
    p95: float | None
    p99: float | None
    predictions: PredictionCounts


@dataclass(frozen=True)
class Stretch:
    """What ended in one stretch; it is never changed, so it is shared without a copy."""

    tally: Tally = field(default_factory=Tally)
    predictions: PredictionCounts = field(default_factory=PredictionCounts)

    @classmethod
    def merged(cls, parts: Iterable[Stretch]) -> Stretch:
        """Add several up to a new one."""
        several = list(parts)
        if len(several) == 1:
            return several[0]
        return cls(
            Tally.total(part.tally for part in several),
            PredictionCounts.merged(part.predictions for part in several),
        )

    @cached_property
    def quantiles(self) -> tuple[float | None, float | None, float | None]:
        """The 50th, 95th and 99th percentile of the latencies."""
        p50, p95, p99 = (self.tally.latency.quantile(q) for q in (0.5, 0.95, 0.99))
        return p50, p95, p99

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {**self.tally.to_dict(), "predictions": self.predictions.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stretch:
        """Read what :meth:`to_dict` wrote."""
        return cls(Tally.from_dict(values), PredictionCounts.from_dict(values["predictions"]))


@dataclass(frozen=True)
class History:
    """The stretches of the last minutes, as seen at one moment.

    Parameters
    ----------
    stretches
        By how many stretches ago they were; 0 is the one that is not over.
    passed
        Seconds of the one that is not over.
    """

    stretches: Mapping[int, Stretch] = field(default_factory=dict)
    passed: float = 0.0

    @classmethod
    def merged(cls, parts: Iterable[History]) -> History:
        """Add up what several saw at about the same moment."""
        several = list(parts)
        ages = dict.fromkeys(ago for part in several for ago in part.stretches)
        return cls(
            {
                ago: Stretch.merged(
                    part.stretches[ago] for part in several if ago in part.stretches
                )
                for ago in ages
            },
            max((part.passed for part in several), default=0.0),
        )

    def moments(self) -> list[Moment]:
        """Return the stretches, the oldest first.

        Those before the first request of the last minutes are left out, quiet ones after are not.
        """
        if not self.stretches:
            return []
        return [self._moment(ago) for ago in range(max(self.stretches), -1, -1)]

    def _moment(self, ago: int) -> Moment:
        # Of the stretch that is not over yet only what has passed counts, but no instant.
        seconds = SECONDS if ago else max(0.5, self.passed)
        stretch = self.stretches.get(ago, _NOTHING)
        tally = stretch.tally
        return Moment(
            ago * SECONDS + self.passed,
            tally.requests / seconds,
            tally.errors / seconds,
            *stretch.quantiles,
            stretch.predictions,
        )

    def last(self, seconds: float) -> Tally:
        """Add up the stretches that began in the last so many seconds."""
        oldest = max(0.0, seconds - self.passed) // SECONDS
        return Tally.total(
            stretch.tally for ago, stretch in self.stretches.items() if ago <= oldest
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "passed": self.passed,
            "stretches": [[ago, each.to_dict()] for ago, each in self.stretches.items()],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> History:
        """Read what :meth:`to_dict` wrote."""
        stretches = {int(ago): Stretch.from_dict(each) for ago, each in values["stretches"]}
        return cls(stretches, float(values["passed"]))


_NOTHING = Stretch()


class Timeline:
    """Counts and latencies of the last minutes; whoever adds holds a lock.

    Parameters
    ----------
    stretches
        How many are kept.

    Examples
    --------
    >>> timeline = Timeline()
    >>> half = Tally()
    >>> half.add(0.02, "ok", rows=1)
    >>> timeline.add(timeline.place_of(10.5), Stretch(half))
    >>> timeline.add(timeline.place_of(13.0), Stretch(half))
    >>> [(moment.age, moment.requests) for moment in timeline.seen_at(14.0).moments()]
    [(4.0, 0.5), (2.0, 0.5), (0.0, 0.0)]
    """

    def __init__(self, stretches: int = STRETCHES) -> None:
        self._most = stretches
        self._stretches: dict[int, Stretch] = {}

    @staticmethod
    def place_of(moment: float) -> int:
        """Give the number of the stretch that a moment falls in."""
        return int(moment // SECONDS)

    def add(self, place: int, part: Stretch) -> None:
        """Count what ended in a stretch."""
        known = self._stretches.get(place)
        if known is not None:
            self._stretches[place] = Stretch.merged([known, part])
            return
        self._stretches[place] = part
        if len(self._stretches) > self._most:
            latest = max(self._stretches)
            for old in [each for each in self._stretches if each <= latest - self._most]:
                del self._stretches[old]

    def seen_at(self, now: float) -> History:
        """Return what is known of the last minutes."""
        latest = self.place_of(now)
        # Of threads that end a little late, "now" may be before the last stretch began.
        stretches = {
            max(0, latest - place): stretch
            for place, stretch in self._stretches.items()
            if place > latest - self._most
        }
        return History(stretches, now - latest * SECONDS)
