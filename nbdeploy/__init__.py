"""From a fitted model in a notebook cell to a live, monitored, versioned service."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbdeploy.client import Client
    from nbdeploy.containers.bundle import Bundle
    from nbdeploy.containers.docker import DockerConfig
    from nbdeploy.containers.kubernetes import KubernetesDeployer
    from nbdeploy.deployment import Deployment, deploy, deployments, stop_all
    from nbdeploy.exceptions import (
        ClusterError,
        ContainerError,
        ModelFileError,
        NbdeployError,
        ScalingError,
        ServingError,
        SignatureError,
        VersionError,
    )
    from nbdeploy.models.ensemble.ensemble import Ensemble
    from nbdeploy.models.serializer import ModelSerializer
    from nbdeploy.models.signature import Signature
    from nbdeploy.monitoring.monitor import ModelMonitor
    from nbdeploy.nested_asyncio import allow_nested_asyncio
    from nbdeploy.registry.version import ModelVersion
    from nbdeploy.registry.version_control import ModelVersionControl
    from nbdeploy.scaling.autoscaler import AutoScaler
    from nbdeploy.scaling.load_balancer import LoadBalancer
    from nbdeploy.serving.service import ModelService, PredictionRequest

__all__ = [
    "AutoScaler",
    "Bundle",
    "Client",
    "ClusterError",
    "ContainerError",
    "Deployment",
    "DockerConfig",
    "Ensemble",
    "KubernetesDeployer",
    "LoadBalancer",
    "ModelFileError",
    "ModelMonitor",
    "ModelSerializer",
    "ModelService",
    "ModelVersion",
    "ModelVersionControl",
    "NbdeployError",
    "PredictionRequest",
    "ScalingError",
    "ServingError",
    "Signature",
    "SignatureError",
    "VersionError",
    "allow_nested_asyncio",
    "deploy",
    "deployments",
    "stop_all",
]

_HOMES = {
    "AutoScaler": "nbdeploy.scaling.autoscaler",
    "Bundle": "nbdeploy.containers.bundle",
    "Client": "nbdeploy.client",
    "Deployment": "nbdeploy.deployment",
    "DockerConfig": "nbdeploy.containers.docker",
    "Ensemble": "nbdeploy.models.ensemble.ensemble",
    "KubernetesDeployer": "nbdeploy.containers.kubernetes",
    "LoadBalancer": "nbdeploy.scaling.load_balancer",
    "ModelMonitor": "nbdeploy.monitoring.monitor",
    "ModelSerializer": "nbdeploy.models.serializer",
    "ModelService": "nbdeploy.serving.service",
    "ModelVersion": "nbdeploy.registry.version",
    "ModelVersionControl": "nbdeploy.registry.version_control",
    "PredictionRequest": "nbdeploy.serving.service",
    "Signature": "nbdeploy.models.signature",
    "allow_nested_asyncio": "nbdeploy.nested_asyncio",
    "deploy": "nbdeploy.deployment",
    "deployments": "nbdeploy.deployment",
    "stop_all": "nbdeploy.deployment",
}


def __getattr__(name: str) -> Any:
    # scikit-learn, pandas and FastAPI take seconds to import: only who uses them pays.
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 -- 10 ms that nobody else needs

        return version("nbdeploy")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif name in __all__:
        value = getattr(import_module("nbdeploy.exceptions"), name)
    else:
        message = f"module 'nbdeploy' has no attribute {name!r}"
        raise AttributeError(message)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
