"""An autoscaler that follows what a service's own monitor counts."""

from __future__ import annotations

import time
from collections.abc import Callable

from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.scaling.autoscaler import Actuator, AutoScaler
from nbdeploy.scaling.policies import Policy, is_of_cpu

__all__ = ["ConcurrencyMeter", "autoscaler_of"]

_NANOSECONDS = 1e9
_OF_CPU = ("hpa", "threshold")


class ConcurrencyMeter:
    """How many requests were in flight, on average since the last reading.

    Not how many happen to be at the moment: of requests that take 30 ms, one look every two
    seconds mostly sees none. By Little's law the seconds that requests took, divided by the
    seconds that went by, are their mean number.

    Parameters
    ----------
    monitor
        Gives what counts the requests: of a service elsewhere it is another one each time.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, monitor: Callable[[], ModelMonitor], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._monitor = monitor
        self._clock = clock
        self._read_at, self._taken, _ = self._read()

    def __call__(self) -> float:
        """Return the mean number since the last reading."""
        before, taken_before = self._read_at, self._taken
        self._read_at, self._taken, waiting = self._read()
        passed = self._read_at - before
        taken = self._taken - taken_before
        if passed <= 0 or taken <= 0:
            # None has ended, or the monitor was reset: what is under way is all that is known.
            return float(waiting)
        return taken / passed

    def _read(self) -> tuple[float, float, int]:
        snapshot = self._monitor().snapshot()
        taken = snapshot.total.latency.nanoseconds / _NANOSECONDS
        return self._clock(), taken, snapshot.in_flight


def autoscaler_of(
    actuator: Actuator,
    monitor: Callable[[], ModelMonitor],
    *,
    min_replicas: int = 1,
    max_replicas: int = 4,
    policy: Policy | str = "concurrency",
    target_cpu: float = 70.0,
    interval: float | None = None,
) -> AutoScaler:
    """Start an autoscaler of a service's replicas.

    Parameters
    ----------
    actuator
        What starts and stops the replicas.
    monitor
        Gives what counts the service's requests.
    min_replicas, max_replicas
        The bounds.
    policy
        ``"concurrency"``, ``"hpa"``, ``"threshold"``, or a policy of `nbdeploy.scaling`.
    target_cpu
        For the policies of CPU, in percent of this machine: the notebook and the neighbours use
        it too, so the requests in flight tell more.
    interval
        Seconds between two looks; the policy's own when ``None``.
    """
    of_cpu = policy in _OF_CPU if isinstance(policy, str) else is_of_cpu(policy)
    return AutoScaler(
        min_replicas,
        max_replicas,
        target_cpu,
        policy=policy,
        actuator=actuator,
        measure=None if of_cpu else ConcurrencyMeter(monitor),
        interval=interval,
    ).start()
