"""How many replicas there should be: policies as values, and one pure function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.concurrency import ConcurrencyAverages, ConcurrencyPolicy, decide_concurrency
from nbdeploy.scaling.hpa import HpaPolicy, decide_hpa
from nbdeploy.scaling.load import Decision, Load, Memory, bounded
from nbdeploy.scaling.threshold import ThresholdPolicy, decide_threshold

__all__ = [
    "LargestOf",
    "Policy",
    "beginning",
    "changed",
    "decide",
    "desired_replicas",
    "with_bounds",
]

_Single: TypeAlias = ThresholdPolicy | HpaPolicy | ConcurrencyPolicy

# The longest that any policy looks back at changes, in seconds.
_KEEP = 3600.0


@dataclass(frozen=True, slots=True)
class LargestOf:
    """The largest of what several policies want.

    A policy whose metric is missing keeps replicas from going, but not from coming.

    Parameters
    ----------
    policies
        At least one.
    min_replicas, max_replicas
        The bounds.
    interval
        Seconds between two looks.
    """

    policies: tuple[_Single, ...]
    min_replicas: int = 1
    max_replicas: int = 10
    interval: float = 2.0


Policy: TypeAlias = _Single | LargestOf


def desired_replicas(policy: Policy, load: Load) -> int:
    """Tell how many replicas a policy wants for a load, when it knows nothing of the past.

    Parameters
    ----------
    policy
        A `ThresholdPolicy`, `HpaPolicy`, `ConcurrencyPolicy` or `LargestOf`.
    load
        What is going on.

    Raises
    ------
    ScalingError
        If the metric that the policy needs was not measured.

    Examples
    --------
    >>> desired_replicas(HpaPolicy(target=50), Load(replicas=3, cpu=80))
    5
    >>> desired_replicas(ThresholdPolicy(), Load(replicas=3, cpu=80))
    4
    >>> desired_replicas(ConcurrencyPolicy(target_concurrency=10), Load(replicas=3, concurrency=80))
    8
    """
    return decide(policy, load).replicas


def decide(policy: Policy, load: Load, memory: Memory | None = None) -> Decision:
    """Tell how many replicas a policy wants, why, and what it must remember; see above.

    Parameters
    ----------
    policy
        As in `desired_replicas`.
    load
        What is going on.
    memory
        What the decision before returned, with the changes since then put in by `changed`.
    """
    memory = memory or Memory()
    if isinstance(policy, ThresholdPolicy):
        return decide_threshold(policy, load, memory)
    if isinstance(policy, HpaPolicy):
        return decide_hpa(policy, load, memory)
    if isinstance(policy, ConcurrencyPolicy):
        return decide_concurrency(policy, load, memory)
    return _decide_largest(policy, load, memory)


def with_bounds(policy: Policy, min_replicas: int, max_replicas: int) -> Policy:
    """Give a policy other bounds.

    Raises
    ------
    ScalingError
        If they are no bounds.
    """
    if not 0 <= min_replicas <= max_replicas or max_replicas < 1:
        message = (
            f"min_replicas={min_replicas} and max_replicas={max_replicas} leave no number of "
            "replicas. Expected 0 <= min_replicas <= max_replicas, and at least 1 at most."
        )
        raise ScalingError(message)
    if isinstance(policy, LargestOf):
        parts = tuple(
            replace(part, min_replicas=min_replicas, max_replicas=max_replicas)
            for part in policy.policies
        )
        policy = replace(policy, policies=parts)
    return replace(policy, min_replicas=min_replicas, max_replicas=max_replicas)


def beginning(policy: Policy, load: Load) -> Memory:
    """Give the memory to begin with: running replicas do not go before their load was watched."""
    if isinstance(policy, LargestOf):
        return Memory(parts=tuple(beginning(part, load) for part in policy.policies))
    if isinstance(policy, ConcurrencyPolicy) and load.replicas > 1:
        return Memory(panic_since=load.time, panic_most=load.replicas)
    if isinstance(policy, HpaPolicy):
        return Memory(wanted=((load.time, load.replicas),))
    return Memory()


def changed(memory: Memory, time: float, change: int) -> Memory:
    """Put into a memory that so many replicas came or, negative, went."""
    return memory.scaled(time, change, keep=_KEEP) if change else memory


def averages_for(policy: Policy) -> ConcurrencyAverages:
    """Make the means over the windows of a policy; over the usual ones if it has none."""
    parts = policy.policies if isinstance(policy, LargestOf) else (policy,)
    own = (part for part in parts if isinstance(part, ConcurrencyPolicy))
    return ConcurrencyAverages(next(own, ConcurrencyPolicy()))


def is_of_cpu(policy: Policy) -> bool:
    """Tell whether a policy asks for nothing but the CPU."""
    if isinstance(policy, LargestOf):
        return all(is_of_cpu(part) for part in policy.policies)
    return isinstance(policy, ThresholdPolicy) or (
        isinstance(policy, HpaPolicy) and policy.metric == "cpu"
    )


def _decide_largest(policy: LargestOf, load: Load, memory: Memory) -> Decision:
    parts = memory.parts or (Memory(),) * len(policy.policies)
    decisions: list[Decision] = []
    kept: list[Memory] = []
    failures: list[str] = []
    for part, past in zip(policy.policies, parts, strict=True):
        try:
            decision = decide(part, load, past)
        except ScalingError as error:
            failures.append(str(error))
            kept.append(past)
        else:
            decisions.append(decision)
            kept.append(decision.memory)
    if not decisions:
        raise ScalingError(" ".join(failures) or "LargestOf needs at least one policy.")
    largest = max(decisions, key=lambda decision: decision.replicas)
    wanted, reason = largest.replicas, largest.reason
    if failures and wanted < load.replicas:
        wanted = load.replicas
        reason += f"; but none goes while a metric is missing: {failures[0]}"
    wanted = bounded(wanted, policy.min_replicas, policy.max_replicas)
    return Decision(wanted, largest.metric, reason, replace(memory, parts=tuple(kept)))
