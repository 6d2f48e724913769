"""Several endpoints behind one address, and how many there should be (chapter 4)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbdeploy.scaling.concurrency import ConcurrencyPolicy
    from nbdeploy.scaling.hpa import HpaPolicy, Rate
    from nbdeploy.scaling.load import Decision, Load, Memory, ReplicaLoad
    from nbdeploy.scaling.policies import LargestOf, decide, desired_replicas
    from nbdeploy.scaling.simulation import simulate
    from nbdeploy.scaling.threshold import ThresholdPolicy

__all__ = [
    "ConcurrencyPolicy",
    "Decision",
    "HpaPolicy",
    "LargestOf",
    "Load",
    "Memory",
    "Rate",
    "ReplicaLoad",
    "ThresholdPolicy",
    "decide",
    "desired_replicas",
    "simulate",
]

_HOMES = {
    "ConcurrencyPolicy": "concurrency",
    "Decision": "load",
    "HpaPolicy": "hpa",
    "LargestOf": "policies",
    "Load": "load",
    "Memory": "load",
    "Rate": "hpa",
    "ReplicaLoad": "load",
    "ThresholdPolicy": "threshold",
    "decide": "policies",
    "desired_replicas": "policies",
    "simulate": "simulation",
}


def __getattr__(name: str) -> Any:
    # Who deploys a model waits for its first answer: policies are for those who scale.
    if name not in _HOMES:
        message = f"module 'nbdeploy.scaling' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"nbdeploy.scaling.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
