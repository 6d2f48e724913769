"""A policy of nbdeploy.scaling, as Kubernetes' HorizontalPodAutoscaler can say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened
from nbdeploy.exceptions import ClusterError
from nbdeploy.scaling.concurrency import ConcurrencyPolicy
from nbdeploy.scaling.hpa import HpaPolicy, Rate
from nbdeploy.scaling.policies import LargestOf, Policy
from nbdeploy.scaling.threshold import ThresholdPolicy

__all__ = ["IN_FLIGHT_METRIC", "HpaSpec", "hpa_of", "policy_named"]

#: The metric of each pod that a policy of concurrency asks for, as the monitor exports it.
IN_FLIGHT_METRIC = "nbdeploy_requests_in_progress"

_LONGEST_WINDOW = 3600
_LONGEST_PERIOD = 1800
_INTERVAL = 15.0
_TOLERANCE = 0.1
_STABLE_WINDOW = 300


@dataclass(frozen=True)
class HpaSpec:
    """What a policy becomes in a cluster.

    Parameters
    ----------
    spec
        The ``spec`` of ``autoscaling/v2`` without its target.
    notes
        Sentences on what of the policy cannot be expressed, or means something else there.
    """

    spec: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def min_replicas(self) -> int:
        """The fewest that there will be."""
        return int(self.spec["minReplicas"])


def hpa_of(policy: Policy) -> HpaSpec:
    """Express a policy as an HPA.

    Parameters
    ----------
    policy
        A policy of `nbdeploy.scaling`.

    Raises
    ------
    ClusterError
        If nothing of it can be expressed, as with a metric that no cluster knows.

    Examples
    --------
    >>> found = hpa_of(ThresholdPolicy(cpu_threshold=60, max_replicas=4))
    >>> found.spec["metrics"][0]["resource"]["target"]
    {'type': 'Utilization', 'averageUtilization': 60}
    """
    notes: list[str] = []
    parts = tuple(policy.policies) if isinstance(policy, LargestOf) else (policy,)
    for part in parts:
        if not isinstance(part, ThresholdPolicy | HpaPolicy | ConcurrencyPolicy):
            shown = visible(shortened(repr(part), 80))
            message = (
                f"autoscale {shown} is no policy. Expected one of nbdeploy.scaling, such as "
                "HpaPolicy(target=70, min_replicas=2, max_replicas=6)."
            )
            raise ClusterError(message)
    if not parts:
        message = "LargestOf() holds no policy. Expected at least one, to make an HPA of it."
        raise ClusterError(message)
    metrics = [_metric(part, notes) for part in parts]
    if len(parts) > 1:
        notes.append("An HPA has one behavior: that of the first policy counts for all of them.")
    if any(isinstance(part, HpaPolicy) and part.interval != _INTERVAL for part in parts):
        notes.append(f"The cluster looks every {_INTERVAL:g} s, whatever the policy's interval is.")
    spec = {
        "minReplicas": _least(policy, notes),
        "maxReplicas": _whole(policy.max_replicas, "max_replicas", 1, 10_000),
        "metrics": [metric for at, metric in enumerate(metrics) if metric not in metrics[:at]],
        "behavior": _behavior(parts[0], notes),
    }
    if spec["minReplicas"] > spec["maxReplicas"]:
        message = (
            f"min_replicas={policy.min_replicas} and max_replicas={policy.max_replicas} leave no "
            "number of replicas. Expected min_replicas <= max_replicas."
        )
        raise ClusterError(message)
    return HpaSpec(spec, tuple(dict.fromkeys(notes)))


def policy_named(policy: Policy | str, least: int, most: int, target_cpu: float) -> Policy:
    """Return the policy of a name with these bounds; any other value as it is."""
    if policy == "hpa":
        return HpaPolicy(target=target_cpu, min_replicas=least, max_replicas=most)
    if policy == "threshold":
        return ThresholdPolicy(cpu_threshold=target_cpu, min_replicas=least, max_replicas=most)
    if policy == "concurrency":
        return ConcurrencyPolicy(min_replicas=least, max_replicas=most)
    if not isinstance(policy, str):
        return policy
    message = (
        f"autoscale {visible(repr(policy))} is no policy. Expected 'hpa', 'threshold', "
        "'concurrency', or one of nbdeploy.scaling."
    )
    raise ClusterError(message)


def _least(policy: Policy, notes: list[str]) -> int:
    if policy.min_replicas == 0:
        notes.append("An HPA does not go to 0 pods without a feature gate: 1 stays.")
    return _whole(max(policy.min_replicas, 1), "min_replicas", 1, 10_000)


def _metric(policy: ThresholdPolicy | HpaPolicy | ConcurrencyPolicy, notes: list[str]) -> Any:
    if isinstance(policy, ConcurrencyPolicy):
        return _in_flight(policy.target_concurrency, notes)
    if isinstance(policy, HpaPolicy) and policy.metric == "concurrency":
        return _in_flight(policy.target, notes)
    if isinstance(policy, HpaPolicy) and policy.metric != "cpu":
        message = (
            f"HpaPolicy(metric={policy.metric!r}) cannot become an HPA: the cluster does not know "
            "which number is meant. Expected 'cpu' or 'concurrency'."
        )
        raise ClusterError(message)
    target = policy.cpu_threshold if isinstance(policy, ThresholdPolicy) else policy.target
    notes.append(
        "CPU in percent is of what the pod requests, not of the machine: an HPA of 70 % with a "
        "request of 500m aims at 0.35 CPUs a pod."
    )
    utilization = _whole(target, "target", 1, 10_000)
    return {
        "type": "Resource",
        "resource": {
            "name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": utilization},
        },
    }


def _in_flight(target: float, notes: list[str]) -> Any:
    thousandths = _whole(target * 1000, "target_concurrency in thousandths", 1, 10**9)
    notes.append(
        f"Requests in flight reach an HPA only through an adapter of custom metrics (such as "
        f"prometheus-adapter) that serves {IN_FLIGHT_METRIC!r}; without one it does nothing."
    )
    quantity = str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
    return {
        "type": "Pods",
        "pods": {
            "metric": {"name": IN_FLIGHT_METRIC},
            "target": {"type": "AverageValue", "averageValue": quantity},
        },
    }


def _behavior(policy: ThresholdPolicy | HpaPolicy | ConcurrencyPolicy, notes: list[str]) -> Any:
    if isinstance(policy, HpaPolicy):
        if policy.tolerance != _TOLERANCE:
            notes.append(
                f"The tolerance is a setting of the cluster, {_TOLERANCE:.0%} as a rule; "
                f"{policy.tolerance:g} is left out."
            )
        return {
            "scaleUp": _direction(policy.scale_up_window, policy.scale_up),
            "scaleDown": _direction(policy.scale_down_window, policy.scale_down),
        }
    if isinstance(policy, ThresholdPolicy):
        notes.append(
            "An HPA has one target: pods go when the rest would stay below it, not below half of "
            "the threshold. One pod comes or goes in a cooldown, as in the policy."
        )
        one = (Rate(count=1, period=max(policy.cooldown, 1.0)),)
        window = min(policy.cooldown, _LONGEST_WINDOW)
        return {"scaleUp": _direction(0, one), "scaleDown": _direction(window, one)}
    notes.append(
        "Panic cannot be expressed: pods come at once, and go when the load was low for "
        f"{policy.stable_window:g} s."
    )
    share = 100 * (1 - 1 / max(policy.max_scale_down_rate, 1.01))
    down = (Rate(percent=max(share, 1.0), period=15.0),)
    return {
        "scaleUp": _direction(0, (Rate(percent=100), Rate(count=4))),
        "scaleDown": _direction(policy.stable_window, down),
    }


def _direction(window: float, rates: Sequence[Rate]) -> dict[str, Any]:
    seconds = _whole(window, "window", 0, _LONGEST_WINDOW)
    if not rates:
        rates = (Rate(percent=100),)
    return {
        "stabilizationWindowSeconds": seconds,
        "selectPolicy": "Max",
        "policies": [_rate(rate) for rate in rates],
    }


def _rate(rate: Rate) -> dict[str, Any]:
    kind, value = ("Pods", rate.count) if rate.percent is None else ("Percent", rate.percent)
    return {
        "type": kind,
        "value": _whole(value or 0, f"a rate of {kind.lower()}", 1, 10_000),
        "periodSeconds": _whole(rate.period, "period", 1, _LONGEST_PERIOD),
    }


def _whole(value: float, what: str, least: int, most: int) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        message = f"{what} {value!r} has no place in an HPA. Expected {least} to {most}."
        raise ClusterError(message)
    return round(value)
