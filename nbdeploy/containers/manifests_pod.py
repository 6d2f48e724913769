"""The pod that serves a model: it may as little as possible, and ends without losing a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbdeploy.containers.manifests_resources import Resources
from nbdeploy.containers.manifests_values import (
    checked_count,
    checked_image,
    checked_name,
    checked_port,
)

__all__ = ["USER", "one_deployment", "pod_spec"]

#: The user of the image that a bundle builds: a number, as no cluster knows whether a name is root.
USER = 10_001

_PRE_STOP = 5  # seconds until no node sends requests to a pod that ends
_ROOM = 10  # seconds beyond both, for the interpreter


def pod_spec(
    *,
    image: str,
    port: int,
    resources: Resources,
    environment: Mapping[str, str],
    secret: str | None,
    selector: Mapping[str, str],
    drain: int,
    pull_secret: str | None,
) -> dict[str, Any]:
    """Write the ``spec`` of a pod; it passes the Pod Security Standard "restricted".

    Parameters
    ----------
    image, port
        What runs, and where it listens.
    resources
        What it asks for.
    environment
        Variables, none of them secret.
    secret
        The Secret that holds the token; ``None`` when the service runs without one.
    selector
        The labels of these pods, which shall be on several nodes.
    drain
        Seconds that requests in flight may take when a pod ends.
    pull_secret
        The Secret with which the image is pulled.
    """
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _PRE_STOP + drain + _ROOM,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(selector)},
            }
        ],
        "affinity": {"podAntiAffinity": _apart(selector)},
        "containers": [_container(image, port, resources, environment, secret)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }
    if pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": pull_secret}]
    return spec


def one_deployment(name: str, image: str, replicas: int, port: int) -> dict[str, Any]:
    """Write the chapter's Deployment: of any image, without probes; see `KubernetesDeployer`."""
    labels = {"app": checked_name(name)}
    container = {
        "name": name,
        "image": checked_image(image),
        "ports": [{"containerPort": checked_port(port), "protocol": "TCP"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "labels": {**labels, "app.kubernetes.io/managed-by": "nbdeploy"},
        },
        "spec": {
            "replicas": checked_count(replicas, "replicas"),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _container(
    image: str, port: int, resources: Resources, environment: Mapping[str, str], secret: str | None
) -> dict[str, Any]:
    told = {**environment, "NBDEPLOY_PORT": str(port)}
    if secret is None:
        told["NBDEPLOY_NO_TOKEN"] = "1"  # noqa: S105 -- it says that there is none
    env: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in sorted(told.items())
    ]
    if secret is not None:
        source = {"secretKeyRef": {"name": secret, "key": "token"}}
        env.append({"name": "NBDEPLOY_TOKEN", "valueFrom": source})
    return {
        "name": "model",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "env": env,
        # Imports of scikit-learn take 5 to 10 s of CPU, on a busy node much longer.
        "startupProbe": _probe("/health/live", period=2, failures=90),
        "readinessProbe": _probe("/health/ready", period=5, failures=3),
        "livenessProbe": _probe("/health/live", period=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": _PRE_STOP}}},
        "resources": resources.rendered(),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- of the container
    }


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _apart(selector: Mapping[str, str]) -> dict[str, Any]:
    alike = {"matchLabels": dict(selector)}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": alike}
    return {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": term}
        ]
    }
