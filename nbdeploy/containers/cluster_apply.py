"""Send a whole set of objects: all or nothing, and without what an earlier set left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests import Manifests

__all__ = ["placed", "send"]

_ALL_BUT_HPA = (
    "ServiceMonitor", "Ingress", "PodDisruptionBudget", "NetworkPolicy", "Service", "Deployment",
    "Secret", "ServiceAccount",
)  # fmt: skip


def placed(
    manifests: Manifests, deployer: KubernetesDeployer | None
) -> tuple[Manifests, KubernetesDeployer]:
    """Agree on one namespace: what the objects say, unless that is the default."""
    namespace = manifests.namespace
    chosen = deployer or KubernetesDeployer(namespace=namespace)
    if deployer is not None and manifests.namespace == "default":
        manifests = replace(manifests, namespace=deployer.namespace)
    elif chosen.namespace != namespace:
        chosen = chosen.in_namespace(namespace)
    return manifests, chosen


def send(manifests: Manifests, deployer: KubernetesDeployer, *, force: bool) -> None:
    """Try all without effect, send all, and delete what an earlier set had and this one has not."""
    name, objects = manifests.name, manifests.objects()
    takes_back = manifests.autoscale is None and deployer.has_own_autoscaler(name)
    # As long as the HPA is there, the number of pods is its own: that is no conflict of others.
    tried = [_without_number(each) for each in objects] if takes_back else objects
    deployer.apply(tried, force=force, dry_run=True)
    if takes_back:
        deployer.delete_others(name, _ALL_BUT_HPA)
        if deployer.exists(name):
            deployer.scale(name, manifests.replicas, force=True)
    deployer.apply(objects, force=force)
    deployer.delete_others(name, [each["kind"] for each in objects])


def _without_number(made: dict[str, Any]) -> dict[str, Any]:
    if made["kind"] != "Deployment":
        return made
    return {**made, "spec": {key: each for key, each in made["spec"].items() if key != "replicas"}}
