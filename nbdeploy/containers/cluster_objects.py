"""What a namespace holds of one Deployment: its pods, its earlier pods, who scales it."""

from __future__ import annotations

from typing import Any

from nbdeploy.containers.cluster_connection import ClusterConnection, object_path
from nbdeploy.containers.cluster_rollout import RolloutStatus, rollout_of
from nbdeploy.containers.manifests_values import checked_name
from nbdeploy.exceptions import ClusterError

__all__ = ["HASH", "NamespaceReader", "revision_of"]

_REVISION = "deployment.kubernetes.io/revision"
#: The label by which the pods of one template are known.
HASH = "pod-template-hash"


class NamespaceReader:
    """Reads the objects of one namespace, and changes nothing.

    Parameters
    ----------
    cluster
        Where they are.
    namespace
        Its name, checked before.
    """

    def __init__(self, cluster: ClusterConnection, namespace: str) -> None:
        self._cluster = cluster
        self.namespace = namespace

    def path(self, api: str, kind: str, name: str = "") -> str:
        """Write the path of an object of this namespace."""
        return object_path(api, kind, self.namespace, name)

    def deployment(self, name: str) -> dict[str, Any]:
        """Read a Deployment."""
        path = self.path("apps/v1", "Deployment", checked_name(name))
        return self._cluster.get(path, f"read Deployment/{name} in {self.namespace!r}")

    def autoscaler(self, name: str) -> dict[str, Any] | None:
        """Find the HPA that decides how many pods a Deployment has."""
        path = self.path("autoscaling/v2", "HorizontalPodAutoscaler")
        for hpa in self._cluster.get(path, "list autoscalers").get("items") or []:
            target = hpa["spec"]["scaleTargetRef"]
            if (target.get("kind"), target.get("name")) == ("Deployment", name):
                found: dict[str, Any] = hpa
                return found
        return None

    def replica_sets(self, live: dict[str, Any]) -> list[dict[str, Any]]:
        """List the templates that a Deployment had, the oldest first."""
        uid = live["metadata"].get("uid")
        found = [
            each
            for each in self._of(live, "apps/v1", "ReplicaSet")
            if any(owner.get("uid") == uid for owner in each["metadata"].get("ownerReferences", []))
        ]
        return sorted(found, key=revision_of)

    def pods(self, name: str) -> list[dict[str, Any]]:
        """List the pods of a Deployment, whatever their template."""
        live = self.deployment(name)
        hashes = {each["metadata"].get("labels", {}).get(HASH) for each in self.replica_sets(live)}
        return [
            pod
            for pod in self._of(live, "v1", "Pod")
            if pod["metadata"].get("labels", {}).get(HASH) in hashes
        ]

    def ready_pods(self, name: str) -> list[dict[str, Any]]:
        """List the pods that answer.

        Raises
        ------
        ClusterError
            If none does. It tells why.
        """
        ready = [pod for pod in self.pods(name) if _is_ready(pod)]
        if ready:
            return ready
        status = self.status(name)
        why = " ".join(status.reasons) or "They may be starting still: see rollout_status()."
        message = f"No pod of {name!r} in {self.namespace!r} answers. {why}"
        raise ClusterError(message)

    def status(self, name: str) -> RolloutStatus:
        """Tell how far a rollout is."""
        live = self.deployment(name)
        newest = {
            each["metadata"].get("labels", {}).get(HASH)
            for each in self.replica_sets(live)
            if revision_of(each) == revision_of(live)
        }
        pods = self._of(live, "v1", "Pod")
        new = [pod for pod in pods if pod["metadata"].get("labels", {}).get(HASH) in newest]
        return rollout_of(live, new if newest else pods)

    def _of(self, live: dict[str, Any], api: str, kind: str) -> list[dict[str, Any]]:
        wanted = live["spec"]["selector"].get("matchLabels", {})
        selector = ",".join(f"{key}={value}" for key, value in wanted.items())
        options = {"label_selector": selector} if selector else {}
        found = self._cluster.get(self.path(api, kind), f"list {kind}s", **options)
        items: list[dict[str, Any]] = found.get("items") or []
        return items


def revision_of(made: dict[str, Any]) -> int:
    """Tell which rollout an object is of."""
    return int(made["metadata"].get("annotations", {}).get(_REVISION, 0))


def _is_ready(pod: dict[str, Any]) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions", [])
    return any((each.get("type"), each.get("status")) == ("Ready", "True") for each in conditions)
