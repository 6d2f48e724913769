"""What is known of one endpoint: how busy, how fast, how well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from nbdeploy.scaling.balancing_rules import EjectionRules, HealthRules, SlowStart

__all__ = ["Endpoint", "EndpointFacts", "EndpointState"]

# The weight of the newest latency in the running mean: about the last ten count.
_NEWEST = 0.2


class EndpointState(StrEnum):
    """Whether an endpoint gets requests."""

    UP = "up"
    DOWN = "down"
    EJECTED = "ejected"


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """An endpoint at one moment.

    Parameters
    ----------
    name
        Its address or name.
    state
        Whether it gets requests.
    in_flight
        Requests that it has not answered yet.
    requests
        Answered or failed so far.
    failures
        How many of them failed.
    latency
        A running mean in seconds, the newest weighing most; ``None`` before the first answer.
    ejections
        How often it was ejected lately.
    """

    name: str
    state: EndpointState
    in_flight: int
    requests: int
    failures: int
    latency: float | None
    ejections: int


@dataclass(slots=True)
class Endpoint:
    """The live counters of one endpoint; whoever holds them holds a lock."""

    name: str
    came_up: float = -math.inf
    in_flight: int = 0
    requests: int = 0
    failures: int = 0
    latency: float | None = None
    failures_in_a_row: int = 0
    is_up: bool = True
    checks_against: int = 0
    ejected_until: float = -math.inf
    ejections: int = 0

    def state(self, now: float) -> EndpointState:
        """Tell whether it gets requests."""
        if not self.is_up:
            return EndpointState.DOWN
        return EndpointState.EJECTED if now < self.ejected_until else EndpointState.UP

    def share(self, now: float, slow_start: SlowStart) -> float:
        """Tell which part of its weight it has: less while it is new, or just back."""
        return slow_start.factor(now - max(self.came_up, self.ejected_until))

    def answered(self, latency: float, *, failed: bool) -> None:
        """Count one request that ended."""
        self.requests += 1
        if failed:
            self.failures += 1
            self.failures_in_a_row += 1
            return
        self.failures_in_a_row = 0
        known = latency if self.latency is None else self.latency
        self.latency = known + _NEWEST * (latency - known)

    def eject(self, now: float, rules: EjectionRules) -> None:
        """Leave it out for a while, longer each time."""
        if now >= self.ejected_until + rules.most_seconds:
            self.ejections = 0
        self.ejections += 1
        self.failures_in_a_row = 0
        self.ejected_until = now + rules.duration(self.ejections)

    def checked(self, now: float, rules: HealthRules, *, is_healthy: bool) -> None:
        """Count one health check; several that say the opposite turn the state."""
        if is_healthy == self.is_up:
            self.checks_against = 0
            return
        self.checks_against += 1
        if self.checks_against < (rules.rise if is_healthy else rules.fall):
            return
        self.is_up = is_healthy
        self.checks_against = 0
        if is_healthy:
            # It was restarted, so what it failed before says nothing about it.
            self.came_up = now
            self.ejected_until = -math.inf
            self.failures_in_a_row = 0

    def facts(self, now: float) -> EndpointFacts:
        """Take a picture of it."""
        return EndpointFacts(
            self.name,
            self.state(now),
            self.in_flight,
            self.requests,
            self.failures,
            self.latency,
            self.ejections,
        )
