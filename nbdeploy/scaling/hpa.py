"""The policy of Kubernetes' Horizontal Pod Autoscaler: in proportion, damped, limited in speed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.load import Decision, Load, Memory, ReplicaLoad, bounded, replicas_for

__all__ = ["HpaPolicy", "Rate", "decide_hpa"]

_PERCENT = 100.0
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast the number of replicas may change: by a percentage or a count within a period.

    Parameters
    ----------
    percent
        Of the replicas that there were when the period began.
    count
        Replicas.
    period
        Seconds.

    Examples
    --------
    >>> Rate(percent=10, period=60).down_to(80), Rate(count=4, period=60).down_to(80)
    (72, 76)
    """

    percent: float | None = None
    count: int | None = None
    period: float = 15.0

    def up_to(self, replicas: int) -> int:
        """Tell how many there may be at the end of a period that began with so many."""
        if self.percent is not None:
            return math.ceil(replicas * (1 + self.percent / _PERCENT) - _ROUNDING)
        return replicas + (self.count or 0)

    def down_to(self, replicas: int) -> int:
        """Tell how few there may be at the end of a period that began with so many."""
        if self.percent is not None:
            return math.floor(replicas * (1 - self.percent / _PERCENT) + _ROUNDING)
        return replicas - (self.count or 0)


@dataclass(frozen=True, slots=True)
class HpaPolicy:
    """As many replicas as bring a metric to its target, as Kubernetes computes it.

    Parameters
    ----------
    target
        What the metric should be, for CPU in percent.
    metric
        ``"cpu"``; ``"concurrency"``, requests in flight per replica; or ``"external"``, one
        number that all replicas together shall bring to the target each.
    tolerance
        Nothing is done while the metric is within this share of its target.
    scale_down_window
        Seconds of which the *largest* recommendation counts before replicas go.
    scale_up_window
        Seconds of which the *smallest* recommendation counts before replicas come.
    scale_up, scale_down
        How fast; of several rates the one that allows most counts.
    min_replicas, max_replicas
        The bounds.
    interval
        Seconds between two looks.
    """

    target: float = 70.0
    metric: Literal["cpu", "concurrency", "external"] = "cpu"
    tolerance: float = 0.1
    scale_down_window: float = 300.0
    scale_up_window: float = 0.0
    scale_up: tuple[Rate, ...] = (Rate(percent=100), Rate(count=4))
    scale_down: tuple[Rate, ...] = (Rate(percent=100),)
    min_replicas: int = 1
    max_replicas: int = 10
    interval: float = 15.0


def decide_hpa(policy: HpaPolicy, load: Load, memory: Memory) -> Decision:
    """Decide by an `HpaPolicy`: proportion, then stabilization, then speed, then bounds."""
    raw, metric = _proportional(policy, load)
    seen = f"{policy.metric} {metric:.3g} for a target of {policy.target:g}"
    longest = max(policy.scale_down_window, policy.scale_up_window)
    recent = tuple(each for each in memory.wanted if each[0] > load.time - longest)
    memory = replace(memory, wanted=(*recent, (load.time, raw)))
    reason = f"{seen}: {raw} wanted"
    if raw == load.replicas:
        reason = f"{seen} needs no change"
    stable = _stabilized(policy, load, memory)
    if stable != raw:
        window = policy.scale_down_window if raw < stable else policy.scale_up_window
        reason += f", but {stable} were within the last {window:g} s"
    limited = _limited(policy, load, memory, stable)
    if limited != stable:
        reason += f", {limited} are as fast as it may go"
    wanted = bounded(limited, policy.min_replicas, policy.max_replicas)
    if wanted != limited:
        reason += f", there may be {policy.min_replicas} to {policy.max_replicas}"
    return Decision(wanted, metric, reason, memory)


def _proportional(policy: HpaPolicy, load: Load) -> tuple[int, float]:
    if policy.metric == "cpu" and load.each:
        return _of_each(policy, load)
    total = _total(policy, load)
    mean = total / max(load.replicas, 1)
    ratio = mean / policy.target
    wanted = load.replicas if _is_tolerated(policy, ratio) else replicas_for(total, policy.target)
    return wanted, mean


def _total(policy: HpaPolicy, load: Load) -> float:
    mean = None if load.cpu is None else load.cpu * load.replicas
    totals = {"cpu": mean, "concurrency": load.concurrency, "external": load.external}
    total = totals[policy.metric]
    if total is None:
        message = f"An HpaPolicy of {policy.metric!r} needs that metric, and it was not measured."
        raise ScalingError(message)
    return total


def _of_each(policy: HpaPolicy, load: Load) -> tuple[int, float]:
    """Compute from single replicas, careful with those that are not ready or not measured."""
    alive = [one for one in load.each if one.is_alive]
    known = [one.value for one in alive if one.is_ready and one.value is not None]
    if not known:
        message = f"None of the {len(load.each)} replicas has a metric, so nothing is changed."
        raise ScalingError(message)
    mean = sum(known) / len(known)
    ratio = mean / policy.target
    assumed = _assumed(alive, is_up=ratio > 1, target=policy.target)
    values = [*known, *assumed]
    careful = sum(values) / len(values) / policy.target
    turned = (ratio - 1) * (careful - 1) < 0
    if turned or _is_tolerated(policy, careful):
        return load.replicas, mean
    wanted = replicas_for(sum(values), policy.target)
    if (wanted - load.replicas) * (careful - 1) < 0:
        wanted = load.replicas
    return wanted, mean


def _assumed(alive: list[ReplicaLoad], *, is_up: bool, target: float) -> list[float]:
    """Assume for replicas without a metric what makes the change smaller."""
    missing = sum(one.is_ready and one.value is None for one in alive)
    unready = sum(not one.is_ready for one in alive)
    if is_up:
        return [0.0] * (missing + unready)
    return [max(_PERCENT, target)] * missing


def _is_tolerated(policy: HpaPolicy, ratio: float) -> bool:
    return abs(1 - ratio) <= policy.tolerance + _ROUNDING


def _stabilized(policy: HpaPolicy, load: Load, memory: Memory) -> int:
    """Take of the recent recommendations the one nearest to what there is."""
    *earlier, (_, now) = memory.wanted

    def recent(window: float) -> list[int]:
        return [now, *(count for time, count in earlier if time > load.time - window)]

    lowest = min(recent(policy.scale_up_window))
    highest = max(recent(policy.scale_down_window))
    return min(max(load.replicas, lowest), highest)


def _limited(policy: HpaPolicy, load: Load, memory: Memory, wanted: int) -> int:
    if wanted > load.replicas and policy.scale_up:
        most = max(
            rate.up_to(load.replicas - _changed(load, memory, rate.period, sign=1))
            for rate in policy.scale_up
        )
        return max(load.replicas, min(wanted, most))
    if wanted < load.replicas and policy.scale_down:
        least = min(
            rate.down_to(load.replicas + _changed(load, memory, rate.period, sign=-1))
            for rate in policy.scale_down
        )
        return min(load.replicas, max(wanted, least))
    return wanted


def _changed(load: Load, memory: Memory, period: float, *, sign: int) -> int:
    return sum(
        abs(change)
        for time, change in memory.changes
        if time > load.time - period and change * sign > 0
    )
