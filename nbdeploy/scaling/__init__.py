"""Several endpoints behind one address, and how many there should be (chapter 4)."""

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
