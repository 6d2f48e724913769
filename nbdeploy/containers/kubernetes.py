"""Send objects to a Kubernetes cluster, and watch what becomes of them (chapter 3.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from nbdeploy.containers.cluster_connection import FIELD_MANAGER, ClusterConnection, object_path
from nbdeploy.containers.cluster_rollout import RolloutStatus, rollout_of
from nbdeploy.containers.manifests_difference import masked
from nbdeploy.containers.manifests_values import (
    checked_count,
    checked_image,
    checked_name,
    checked_port,
)
from nbdeploy.display.progress import ProgressBar
from nbdeploy.exceptions import ClusterError

__all__ = ["KubernetesDeployer"]

_MANAGED_BY = "app.kubernetes.io/managed-by"
_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_KINDS = (
    ("networking.k8s.io/v1", "Ingress"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
)


class KubernetesDeployer:
    """Apply, watch, scale, roll back and delete what serves a model in a cluster.

    Parameters
    ----------
    kubeconfig, context
        Which cluster; as ``kubectl`` finds it when ``None``, and inside of a pod its own.
    namespace
        Where the objects are.
    timeout
        Seconds for one request to the API server.

    Raises
    ------
    ClusterError
        If no cluster is configured. The message says how to get one.
    """

    def __init__(
        self,
        *,
        kubeconfig: str | None = None,
        context: str | None = None,
        namespace: str = "default",
        timeout: float = 15.0,
    ) -> None:
        self.namespace = checked_name(namespace, "namespace")
        self._cluster = ClusterConnection(kubeconfig, context, timeout)

    def __repr__(self) -> str:
        return f"<KubernetesDeployer of namespace {self.namespace!r}>"

    def create_deployment(
        self,
        name: str,
        image: str,
        replicas: int = 3,
        *,
        port: int = 8000,
        force: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Apply one Deployment of any image, without probes or Service.

        Doing it again changes nothing, or what is another one now. `Manifests` are the full set.

        Parameters
        ----------
        name, image, replicas, port
            What it is called, what runs, how often, where it listens.
        force, dry_run
            As in `apply`.

        Returns
        -------
        dict
            The Deployment as the cluster has it.
        """
        checked_name(name)
        labels = {"app": name}
        container = {
            "name": name,
            "image": checked_image(image),
            "ports": [{"containerPort": checked_port(port), "protocol": "TCP"}],
        }
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {**labels, _MANAGED_BY: FIELD_MANAGER},
            },
            "spec": {
                "replicas": checked_count(replicas, "replicas"),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
        (applied,) = self.apply([body], force=force, dry_run=dry_run)
        return applied

    def apply(
        self, objects: Iterable[dict[str, Any]], *, force: bool = False, dry_run: bool = False
    ) -> list[dict[str, Any]]:
        """Apply objects on the server's side, as the field manager ``nbdeploy``.

        Parameters
        ----------
        objects
            Such as ``Manifests.objects()``; the namespace is the deployer's.
        force
            Take over fields that somebody else set, which otherwise is refused with their names.
        dry_run
            Have the cluster check everything, and change nothing.

        Returns
        -------
        list
            The objects as the cluster has them, without the values of a Secret.

        Raises
        ------
        ClusterError
            If the cluster refuses or does not answer.
        """
        applied = []
        for each in objects:
            kind, name = each["kind"], each["metadata"]["name"]
            body = {**each, "metadata": {**each["metadata"], "namespace": self.namespace}}
            path = object_path(each["apiVersion"], kind, self.namespace, name)
            what = f"apply {kind}/{name} in {self.namespace!r}"
            answer = self._cluster.apply(path, body, what, force=force, dry_run=dry_run)
            applied.append(masked(answer))
        return applied

    def rollout_status(
        self,
        name: str,
        *,
        timeout: float = 300.0,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> RolloutStatus:
        """Wait until a rollout is over, with its progress in the cell; never longer than asked.

        Interrupting the cell leaves the cluster as it is; call it again to go on.

        Parameters
        ----------
        name
            The Deployment.
        timeout
            Seconds after which it returns in any case; 0 looks once.
        interval
            Seconds between two looks.
        clock, sleep
            Where time comes from.
        """
        end = clock() + timeout
        with ProgressBar(f"rollout of {name}") as bar:
            while True:
                status = self._status(name)
                share = min(status.updated, status.available) / max(status.wanted, 1)
                bar.update(min(share, 1.0), "; ".join(status.reasons) or repr(status)[1:-1])
                if status.done:
                    return status
                if status.failed or clock() >= end:
                    bar.stop()
                    return status
                sleep(interval)

    def scale(self, name: str, replicas: int) -> int:
        """Have so many pods; with an HPA it is refused, as the HPA would take it back.

        Returns
        -------
        int
            How many the cluster was told.
        """
        checked_count(replicas, "replicas")
        path = object_path("autoscaling/v2", "HorizontalPodAutoscaler", self.namespace)
        for hpa in self._cluster.get(path, "list autoscalers").get("items", []):
            target = hpa["spec"]["scaleTargetRef"]
            if (target.get("kind"), target.get("name")) == ("Deployment", name):
                message = (
                    f"The HPA {hpa['metadata']['name']!r} decides how many pods {name!r} has, and "
                    f"would take {replicas} back within seconds. Change its bounds, or delete it."
                )
                raise ClusterError(message)
        live = self._live(name)
        body = _owned(live)
        body["spec"]["replicas"] = replicas
        (applied,) = self.apply([body])
        return int(applied["spec"]["replicas"])

    def replicas(self, name: str) -> int:
        """Tell how many pods a Deployment shall have."""
        return int(self._live(name)["spec"].get("replicas", 1))

    def rollback(self, name: str) -> dict[str, Any]:
        """Have the pods as they were before the latest change.

        Raises
        ------
        ClusterError
            If there is nothing before it.
        """
        live = self._live(name)
        current = _revision(live)
        earlier = [each for each in self._replica_sets(live) if _revision(each) < current]
        if not earlier:
            message = f"Deployment/{name} has had no other pods before: nothing to go back to."
            raise ClusterError(message)
        template = max(earlier, key=_revision)["spec"]["template"]
        labels = {
            key: value for key, value in template["metadata"]["labels"].items() if key != _HASH
        }
        metadata = {"labels": labels}
        if template["metadata"].get("annotations"):
            metadata["annotations"] = template["metadata"]["annotations"]
        body = _owned(live)
        body["spec"]["template"] = {"metadata": metadata, "spec": template["spec"]}
        (applied,) = self.apply([body])
        return applied

    def delete(self, name: str) -> tuple[str, ...]:
        """Delete the objects of a name that nbdeploy made, and no others.

        Returns
        -------
        tuple
            What was deleted, as ``Kind/name``.
        """
        checked_name(name)
        deleted = []
        for api, kind in _KINDS:
            path = object_path(api, kind, self.namespace, name)
            found = self._cluster.find(path, f"read {kind}/{name}")
            if found is not None and _is_ours(found):
                self._cluster.delete(path, f"delete {kind}/{name}")
                deleted.append(f"{kind}/{name}")
        return tuple(deleted)

    def _status(self, name: str) -> RolloutStatus:
        live = self._live(name)
        current = [
            each["metadata"]["labels"].get(_HASH)
            for each in self._replica_sets(live)
            if _revision(each) == _revision(live)
        ]
        pods = [
            pod
            for pod in self._of(live, "v1", "Pod")
            if not current or pod["metadata"].get("labels", {}).get(_HASH) in current
        ]
        return rollout_of(live, pods)

    def _live(self, name: str) -> dict[str, Any]:
        path = object_path("apps/v1", "Deployment", self.namespace, checked_name(name))
        return self._cluster.get(path, f"read Deployment/{name} in {self.namespace!r}")

    def _replica_sets(self, live: dict[str, Any]) -> list[dict[str, Any]]:
        uid = live["metadata"].get("uid")
        return [
            each
            for each in self._of(live, "apps/v1", "ReplicaSet")
            if any(owner.get("uid") == uid for owner in each["metadata"].get("ownerReferences", []))
        ]

    def _of(self, live: dict[str, Any], api: str, kind: str) -> list[dict[str, Any]]:
        wanted = live["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in wanted.items())
        path = object_path(api, kind, self.namespace)
        found = self._cluster.get(path, f"list {kind}s", label_selector=selector)
        items: list[dict[str, Any]] = found.get("items", [])
        return items


def _revision(made: dict[str, Any]) -> int:
    return int(made["metadata"].get("annotations", {}).get(_REVISION, 0))


def _is_ours(made: dict[str, Any]) -> bool:
    return bool(made["metadata"].get("labels", {}).get(_MANAGED_BY) == FIELD_MANAGER)


def _owned(live: dict[str, Any]) -> dict[str, Any]:
    """Copy a Deployment so that applying it changes nothing; pods are counted only if we did."""
    metadata = live["metadata"]
    spec = dict(live["spec"])
    applied = (
        each.get("fieldsV1", {}).get("f:spec", {})
        for each in metadata.get("managedFields", [])
        if (each.get("manager"), each.get("operation")) == (FIELD_MANAGER, "Apply")
    )
    if not any("f:replicas" in fields for fields in applied):
        spec.pop("replicas", None)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": metadata["name"], "labels": metadata.get("labels", {})},
        "spec": spec,
    }
