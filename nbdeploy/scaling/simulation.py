"""Play a policy over a load in no time: to see what it does, and to choose its numbers."""

from __future__ import annotations

from collections.abc import Iterable

from nbdeploy.scaling.hpa import HpaPolicy
from nbdeploy.scaling.load import Load
from nbdeploy.scaling.policies import Policy, averages_for, beginning, changed, decide, is_of_cpu
from nbdeploy.scaling.scaling_history import ScalingHistory, ScalingStep

__all__ = ["simulate"]

_FULL = 100.0


def simulate(
    policy: Policy, trace: Iterable[float], *, replicas: int | None = None
) -> ScalingHistory:
    """Play what a policy does with a load.

    Parameters
    ----------
    policy
        Any policy; `trace` has one value for each ``policy.interval``.
    trace
        The load in all. For policies of CPU in percent of one replica: 210 keeps three replicas
        at 70 %, and one replica never shows more than 100 %. For concurrency requests in flight.
    replicas
        How many there are at first; the policy's ``min_replicas`` when ``None``.

    Returns
    -------
    ScalingHistory
        What was wanted and got; it can be plotted.

    Examples
    --------
    >>> from nbdeploy.scaling import ThresholdPolicy, HpaPolicy
    >>> load = [60, 80] * 20
    >>> simulate(ThresholdPolicy(tolerance=0, cooldown=0), load)
    <ScalingHistory of 40 looks, 39 changes, 38 turns>
    >>> simulate(HpaPolicy(), load)
    <ScalingHistory of 40 looks, 1 change, 0 turns>
    """
    count = policy.min_replicas if replicas is None else replicas
    memory = beginning(policy, Load(count, time=0.0))
    averages = averages_for(policy)
    steps = []
    for number, amount in enumerate(trace):
        time = number * policy.interval
        stable, recent = averages.add(time, amount)
        load = Load(
            count,
            time=time,
            cpu=min(_FULL, amount / count) if count else 0.0,
            concurrency=stable,
            recent_concurrency=recent,
            external=amount,
        )
        if isinstance(policy, HpaPolicy) and not is_of_cpu(policy):
            load = Load(count, time=time, concurrency=amount, external=amount)
        decision = decide(policy, load, memory)
        memory = changed(decision.memory, time, decision.replicas - count)
        steps.append(
            ScalingStep(
                time,
                amount,
                decision.metric,
                count,
                decision.replicas,
                decision.replicas,
                decision.reason,
            )
        )
        count = decision.replicas
    return ScalingHistory(tuple(steps))
