"""When the requests of a load are due."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nbdeploy.exceptions import ScalingError

__all__ = ["LoadShape"]

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class LoadShape:
    """Requests a second over time: one rate, steps, or ramps from rate to rate.

    Parameters
    ----------
    rates
        Requests a second.
    seconds
        How long in all.
    ramp
        Whether the rate goes evenly from one to the next; steps of equal length otherwise.

    Examples
    --------
    >>> list(LoadShape((4,), 1.0).arrivals())
    [0.0, 0.25, 0.5, 0.75]
    >>> [LoadShape.of([0, 10], 5.0, ramp=True).rate_at(second) for second in (0, 1, 5)]
    [0.0, 2.0, 10.0]
    """

    rates: tuple[float, ...]
    seconds: float
    ramp: bool = False

    @classmethod
    def of(cls, rps: float | Sequence[float], seconds: float, *, ramp: bool = False) -> LoadShape:
        """Make a shape of what a user gave.

        Raises
        ------
        ScalingError
            If a rate or the time is none.
        """
        rates = (float(rps),) if isinstance(rps, (int, float)) else tuple(map(float, rps))
        if not rates or not all(math.isfinite(rate) and rate >= 0 for rate in rates):
            message = f"rps={rps!r} is no load. Expected requests a second, or a list of them."
            raise ScalingError(message)
        if not any(rates):
            message = f"rps={rps!r} asks for no request at all."
            raise ScalingError(message)
        if not (math.isfinite(seconds) and seconds > 0):
            message = f"seconds={seconds!r} is no length of time. Expected a number above 0."
            raise ScalingError(message)
        if ramp and len(rates) == 1:
            message = f"A ramp needs two rates or more, such as rps=[5, 50]. It got rps={rps!r}."
            raise ScalingError(message)
        return cls(rates, float(seconds), ramp)

    def arrivals(self) -> Iterator[float]:
        """Give the moment of every request, in seconds from the start."""
        began, counted = 0.0, 0.0
        for length, first, last in self._parts():
            in_all = counted + (first + last) / 2 * length
            due = math.ceil(counted - _ROUNDING)
            while due < in_all - _ROUNDING:
                yield began + _moment(due - counted, length, first, last)
                due += 1
            began, counted = began + length, in_all

    def rate_at(self, time: float) -> float:
        """Tell the rate at a moment."""
        began = 0.0
        for length, first, last in self._parts():
            if time < began + length or length == 0:
                return first + (last - first) * (time - began) / length
            began += length
        return self.rates[-1]

    def _parts(self) -> list[tuple[float, float, float]]:
        """List length, first and last rate of each part."""
        if self.ramp:
            length = self.seconds / (len(self.rates) - 1)
            return [(length, first, last) for first, last in pairwise(self.rates)]
        length = self.seconds / len(self.rates)
        return [(length, rate, rate) for rate in self.rates]


def _moment(count: float, length: float, first: float, last: float) -> float:
    """Tell when, within a part, so many requests were due: the inverse of the rate's integral."""
    slope = (last - first) / length
    root = math.sqrt(max(first * first + 2 * slope * count, 0.0))
    # Of the two forms of the solution the one that also holds for no slope, and from a rate of 0.
    moment = 2 * count / (first + root) if first + root > 0 else 0.0
    return min(max(moment, 0.0), length)
