"""The policy of Knative's autoscaler: so many requests in flight per replica."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.load import Decision, Load, Memory, bounded, replicas_for

__all__ = ["ConcurrencyAverages", "ConcurrencyPolicy", "decide_concurrency"]


@dataclass(frozen=True, slots=True)
class ConcurrencyPolicy:
    """So many replicas that each has a number of requests in flight, waiting ones included.

    A long window gives the number in quiet times. When a short one asks for a multiple of what
    there is, it is panic: replicas come at once, and none goes until it is over.

    Parameters
    ----------
    target_concurrency
        Requests in flight per replica.
    tolerance
        Nothing is done while the load is within this share of what the replicas are for; and
        replicas go only when those that stay have that much room. It keeps a load that swings
        by 9 % from adding and removing a replica for ever.
    stable_window, panic_window
        Seconds of which the mean counts.
    panic_threshold
        It is panic when the short window asks for so many times the replicas that there are.
    max_scale_up_rate, max_scale_down_rate
        By what factor the number may change in one step.
    min_replicas, max_replicas
        The bounds; with 0, replicas may go altogether.
    interval
        Seconds between two looks.
    """

    target_concurrency: float = 1.0
    tolerance: float = 0.1
    stable_window: float = 60.0
    panic_window: float = 6.0
    panic_threshold: float = 2.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    min_replicas: int = 1
    max_replicas: int = 10
    interval: float = 2.0


class ConcurrencyAverages:
    """The means of the requests in flight over the two windows of a policy.

    Parameters
    ----------
    policy
        Whose windows.

    Examples
    --------
    >>> averages = ConcurrencyAverages(ConcurrencyPolicy(stable_window=4, panic_window=2))
    >>> for time, in_flight in enumerate([0, 0, 6, 6]):
    ...     means = averages.add(time, in_flight)
    >>> means
    (3.0, 6.0)
    """

    def __init__(self, policy: ConcurrencyPolicy) -> None:
        self._policy = policy
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, time: float, in_flight: float) -> tuple[float, float]:
        """Take in what was just seen; return the stable and the panic mean."""
        self._samples.append((time, in_flight))
        while self._samples[0][0] <= time - self._policy.stable_window:
            self._samples.popleft()
        recent = [
            value for moment, value in self._samples if moment > time - self._policy.panic_window
        ]
        everything = [value for _, value in self._samples]
        return sum(everything) / len(everything), sum(recent) / len(recent)


def decide_concurrency(policy: ConcurrencyPolicy, load: Load, memory: Memory) -> Decision:
    """Decide by a `ConcurrencyPolicy`."""
    if load.concurrency is None:
        message = "A ConcurrencyPolicy needs the requests in flight, and they were not measured."
        raise ScalingError(message)
    recent = load.concurrency if load.recent_concurrency is None else load.recent_concurrency
    stable = _limited(policy, load, _calm(policy, load, load.concurrency))
    memory = _panic(policy, load, memory, recent)
    wanted = stable
    reason = f"{load.concurrency:.3g} in flight, {policy.target_concurrency:g} for each replica"
    if memory.panic_since is not None:
        urgent = _limited(policy, load, _calm(policy, load, recent))
        wanted = max(stable, urgent, memory.panic_most)
        memory = replace(memory, panic_most=bounded(wanted, 0, policy.max_replicas))
        reason = f"{recent:.3g} in flight of late, {policy.target_concurrency:g} for each replica"
    if wanted == load.replicas:
        is_held = memory.panic_since is not None and stable < wanted
        reason += f": none goes within {policy.stable_window:g} s" if is_held else ": no change"
    bound = bounded(wanted, policy.min_replicas, policy.max_replicas)
    if bound != wanted:
        reason += f", there may be {policy.min_replicas} to {policy.max_replicas}"
    return Decision(bound, load.concurrency, reason, memory)


def _calm(policy: ConcurrencyPolicy, load: Load, concurrency: float) -> int:
    ratio = concurrency / (policy.target_concurrency * max(load.replicas, 1))
    if load.replicas > 0 and abs(1 - ratio) <= policy.tolerance:
        return load.replicas
    wanted = replicas_for(concurrency, policy.target_concurrency)
    if wanted >= load.replicas:
        return wanted
    with_room = replicas_for(concurrency * (1 + policy.tolerance), policy.target_concurrency)
    return min(load.replicas, with_room)


def _limited(policy: ConcurrencyPolicy, load: Load, wanted: int) -> int:
    most = math.ceil(policy.max_scale_up_rate * max(load.replicas, 1))
    least = math.floor(load.replicas / policy.max_scale_down_rate)
    return bounded(wanted, least, most)


def _panic(policy: ConcurrencyPolicy, load: Load, memory: Memory, recent: float) -> Memory:
    # The load itself, not the replicas that it wants: for one replica, a load of 1.01 wants two.
    if recent >= policy.panic_threshold * policy.target_concurrency * max(load.replicas, 1):
        return replace(memory, panic_since=load.time)
    since = memory.panic_since
    if since is not None and load.time - since > policy.stable_window:
        return replace(memory, panic_since=None, panic_most=0)
    return memory
