"""When an endpoint is taken out, and how it comes back: numbers as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EjectionRules", "HealthRules", "SlowStart"]


@dataclass(frozen=True, slots=True)
class HealthRules:
    """How active health checks are read.

    Parameters
    ----------
    interval
        Seconds between two checks of an endpoint.
    fall
        Failed checks in a row after which it is down.
    rise
        Good checks in a row after which it is up again.
    """

    interval: float = 2.0
    fall: int = 3
    rise: int = 2


@dataclass(frozen=True, slots=True)
class EjectionRules:
    """When an endpoint that fails real requests is left out for a while.

    Parameters
    ----------
    consecutive_failures
        Failed requests in a row after which it is ejected.
    seconds
        How long the first time; the second time twice as long, and so on.
    most_seconds
        The longest; after as long without another ejection, counting starts anew.
    most_share
        The share of all endpoints that may be ejected at once.
    panic_share
        When fewer than this share are up, health is ignored and all are used: so many cannot be
        ill at once, and the few that are left would only be crushed.

    Examples
    --------
    >>> rules = EjectionRules()
    >>> [rules.duration(times) for times in (1, 2, 3, 20)]
    [30.0, 60.0, 90.0, 300.0]
    >>> [rules.most(endpoints) for endpoints in (1, 2, 3, 4)]
    [0, 1, 1, 2]
    """

    consecutive_failures: int = 5
    seconds: float = 30.0
    most_seconds: float = 300.0
    most_share: float = 0.5
    panic_share: float = 0.5

    def duration(self, times: int) -> float:
        """Tell how long an endpoint stays out that is ejected for the n-th time."""
        return min(self.seconds * times, self.most_seconds)

    def most(self, endpoints: int) -> int:
        """Tell how many of so many endpoints may be out at once."""
        return int(endpoints * self.most_share)

    def is_panic(self, usable: int, endpoints: int) -> bool:
        """Tell whether too few are up for health to be believed."""
        return usable < endpoints * self.panic_share


@dataclass(frozen=True, slots=True)
class SlowStart:
    """How an endpoint that has just come up gets its share: little by little.

    Parameters
    ----------
    window
        Seconds until it has its whole share; 0 gives it at once.
    least
        The share that it begins with.
    aggression
        1 grows evenly; more grows fast at first.

    Examples
    --------
    >>> [SlowStart(window=10.0).factor(age) for age in (0.0, 2.5, 5.0, 10.0, 99.0)]
    [0.1, 0.25, 0.5, 1.0, 1.0]
    """

    window: float = 10.0
    least: float = 0.1
    aggression: float = 1.0

    def factor(self, age: float) -> float:
        """Give the share of its weight that an endpoint has, so many seconds after it came up."""
        if age >= self.window:
            return 1.0
        return max(self.least, float((max(age, 0.0) / self.window) ** (1 / self.aggression)))
