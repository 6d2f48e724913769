"""The chapter's policy: one replica more above a threshold, one less far below it."""

from __future__ import annotations

from dataclasses import dataclass

from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.load import Decision, Load, Memory, bounded

__all__ = ["ThresholdPolicy", "decide_threshold"]


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """One replica more when the CPU is above a threshold, one less when below half of it.

    With ``tolerance=0, cooldown=0`` it is the chapter's, which flaps.

    Parameters
    ----------
    cpu_threshold
        In percent.
    tolerance
        How far beyond a threshold CPU must be, as a share of it, before anything is done.
    cooldown
        Seconds after a change in which nothing is done.
    min_replicas, max_replicas
        The bounds.
    interval
        Seconds between two looks.
    """

    cpu_threshold: float = 70.0
    tolerance: float = 0.1
    cooldown: float = 30.0
    min_replicas: int = 1
    max_replicas: int = 10
    interval: float = 15.0


def decide_threshold(policy: ThresholdPolicy, load: Load, memory: Memory) -> Decision:
    """Decide by a `ThresholdPolicy`."""
    if load.cpu is None:
        message = "A ThresholdPolicy needs the CPU in percent, and it was not measured."
        raise ScalingError(message)
    upper = policy.cpu_threshold * (1 + policy.tolerance)
    lower = policy.cpu_threshold / 2 * (1 - policy.tolerance)
    least, most = policy.min_replicas, policy.max_replicas
    wanted, reason = load.replicas, f"CPU {load.cpu:.0f} % is between {lower:g} and {upper:g} %"
    if load.cpu > upper:
        wanted, reason = load.replicas + 1, f"CPU {load.cpu:.0f} % is above {upper:g} %"
    elif load.cpu < lower:
        wanted, reason = load.replicas - 1, f"CPU {load.cpu:.0f} % is below {lower:g} %"
    since = load.time - memory.changes[-1][0] if memory.changes else policy.cooldown
    if wanted != load.replicas and since < policy.cooldown:
        reason += f", but the last change was {since:.0f} s ago: it waits for {policy.cooldown:g} s"
        wanted = load.replicas
    elif wanted != bounded(wanted, least, most):
        reason += f", but there may be {least} to {most} replicas"
    return Decision(bounded(wanted, least, most), load.cpu, reason, memory)
