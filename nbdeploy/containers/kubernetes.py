"""Send objects to a Kubernetes cluster, and watch what becomes of them (chapter 3.2)."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from typing import Any

from nbdeploy.containers.cluster_connection import FIELD_MANAGER, ClusterConnection
from nbdeploy.containers.cluster_forward import PortForward
from nbdeploy.containers.cluster_history import RolloutHistory, history_of, template_before
from nbdeploy.containers.cluster_logs import logs_of
from nbdeploy.containers.cluster_objects import NamespaceReader
from nbdeploy.containers.cluster_ownership import fields_of, holders, owned, restored
from nbdeploy.containers.cluster_rollout import RolloutStatus
from nbdeploy.containers.manifests_difference import Changes, difference, masked, stated
from nbdeploy.containers.manifests_pod import one_deployment
from nbdeploy.containers.manifests_values import (
    checked_count,
    checked_name,
    checked_port,
    checked_seconds,
)
from nbdeploy.display.progress import ProgressBar
from nbdeploy.exceptions import ClusterError

__all__ = ["KubernetesDeployer"]

_MANAGED_BY = "app.kubernetes.io/managed-by"
_REPLICAS = ("f:spec", "f:replicas")
# Holds the number of pods from the moment that nbdeploy lets go of it until an HPA takes it.
_HANDOVER = "nbdeploy-handover"
_SHORTEST = 0.05
_KINDS = (
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
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
        self._reader = NamespaceReader(self._cluster, self.namespace)

    def __repr__(self) -> str:
        return f"<KubernetesDeployer of namespace {self.namespace!r}>"

    def in_namespace(self, namespace: str) -> KubernetesDeployer:
        """Return a deployer of another namespace of the same cluster."""
        other = copy.copy(self)
        other.namespace = checked_name(namespace, "namespace")
        other._reader = NamespaceReader(self._cluster, namespace)  # noqa: SLF001 -- one class
        return other

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
        body = one_deployment(name, image, replicas, port)
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
            if each["kind"] == "Deployment" and "replicas" not in each["spec"] and not dry_run:
                self._hand_over_replicas(each["metadata"]["name"])
            applied.append(masked(self._send(each, force=force, dry_run=dry_run)))
        return applied

    def diff(self, objects: Iterable[dict[str, Any]]) -> Changes:
        r"""Tell what applying these objects would change in the cluster; nothing is changed.

        The cluster itself is asked, so that what it fills in is no difference. Fields that somebody
        else set are among the changes; `apply` would refuse them unless it is forced.

        Parameters
        ----------
        objects
            As in `apply`.

        Returns
        -------
        tuple
            Each change, ``print(*changes, sep="\\n")`` shows them; no value of a Secret.
        """
        before, after = [], []
        for each in objects:
            path = self._path(each)
            live = self._cluster.find(path, f"read {each['kind']}/{each['metadata']['name']}")
            if live is not None:
                before.append(stated(live))
            after.append(stated(self._send(each, force=True, dry_run=True)))
        return difference(before, after)

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
        checked_name(name)
        checked_seconds(interval, "interval", least=_SHORTEST)
        end = clock() + checked_seconds(timeout, "timeout")
        with ProgressBar(f"Rollout of {name}") as bar:
            try:
                while True:
                    status = self._reader.status(name)
                    bar.update(status.share, status.counts, status.reasons)
                    if status.done:
                        return status
                    if status.failed or clock() >= end:
                        bar.stop(f"{status.counts}; {'failed' if status.failed else 'not yet'}")
                        return status
                    sleep(interval)
            except KeyboardInterrupt as interrupt:
                going_on = (
                    "You stopped watching; the cluster goes on by itself. Call rollout_status("
                    f"{name!r}) to watch again, or rollback({name!r}) to go back."
                )
                bar.stop(going_on)
                interrupt.add_note(going_on)
                raise

    def scale(self, name: str, replicas: int, *, force: bool = False) -> int:
        """Have so many pods; with an HPA it is refused, as the HPA would take it back.

        Parameters
        ----------
        name, replicas
            The Deployment, and how many.
        force
            Take the number over from whoever set it last, otherwise refused with who it was.

        Returns
        -------
        int
            How many the cluster was told.
        """
        checked_count(replicas, "replicas")
        hpa = self._reader.autoscaler(checked_name(name))
        if hpa is not None:
            message = (
                f"The HPA {hpa['metadata']['name']!r} decides how many pods {name!r} has, and "
                f"would take {replicas} back within seconds. Change its bounds, or delete it."
            )
            raise ClusterError(message)
        live = self._reader.deployment(name)
        body = owned(live)
        body["spec"] = {**body.get("spec", {}), "replicas": replicas}
        is_ours = set(holders(live, *_REPLICAS)) <= {_HANDOVER}
        applied = self._send(body, force=force or is_ours, dry_run=False)
        return int(applied["spec"]["replicas"])

    def replicas(self, name: str) -> int:
        """Tell how many pods a Deployment shall have."""
        return int(self._reader.deployment(name)["spec"].get("replicas", 1))

    def rollback(self, name: str, *, force: bool = False) -> dict[str, Any]:
        """Have the pods as they were before the latest change.

        Parameters
        ----------
        name
            The Deployment.
        force
            Take back fields that somebody else changed, otherwise refused with their names.

        Raises
        ------
        ClusterError
            If there is nothing before it.
        """
        live = self._reader.deployment(name)
        template = template_before(live, self._reader.replica_sets(live))
        held = fields_of(live).get("f:spec", {}).get("f:template", {})
        body = owned(live)
        spec = {key: each for key, each in body.get("spec", {}).items() if key != "template"}
        if back := restored(template, live["spec"]["template"], held):
            spec["template"] = back
        applied = self._send({**body, "spec": spec}, force=force, dry_run=False)
        return masked(applied)

    def history(self, name: str) -> RolloutHistory:
        """List the rollouts of a Deployment that the cluster remembers, the newest first."""
        live = self._reader.deployment(name)
        return history_of(live, self._reader.replica_sets(live))

    def logs(self, name: str, *, lines: int = 200) -> list[str]:
        """Return the last lines that each pod logged, by time, each with its pod before it.

        Of a container that ended and was started again, the lines from before its end are among
        them; a pod that has not started says why.

        Parameters
        ----------
        name
            The Deployment.
        lines
            Of each pod, at most.
        """
        checked_count(lines, "lines", least=1)
        return logs_of(self._cluster, self._reader, checked_name(name), lines)

    def port_forward(self, name: str, port: int = 0, *, pod: str | None = None) -> PortForward:
        """Reach the pods of a Deployment from this machine, until it is closed.

        Each connection goes to another pod that answers, so it outlives rollouts.

        Parameters
        ----------
        name
            The Deployment.
        port
            On this machine, which alone can call; a free one when 0.
        pod
            Ask this pod only.

        Returns
        -------
        PortForward
            ``.url``, ``.close()``; a context manager.
        """
        checked_name(name)
        if port:
            checked_port(port)
        return PortForward(self._cluster, self._reader, name, port, pod=pod)

    def delete(self, name: str) -> tuple[str, ...]:
        """Delete the objects of a name that nbdeploy made, and no others.

        Returns
        -------
        tuple
            What was deleted, as ``Kind/name``.
        """
        return self.delete_others(name, ())

    def delete_others(self, name: str, kept: Iterable[str]) -> tuple[str, ...]:
        """Delete the objects of a name that nbdeploy made, but for these kinds."""
        checked_name(name)
        deleted, staying = [], set(kept)
        for api, kind in _KINDS:
            path = self._reader.path(api, kind, name)
            if kind in staying:
                continue
            found = self._cluster.find(path, f"read {kind}/{name}")
            if found is not None and _is_ours(found):
                self._cluster.delete(path, f"delete {kind}/{name}", found["metadata"].get("uid"))
                deleted.append(f"{kind}/{name}")
        return tuple(deleted)

    def look(self, name: str) -> RolloutStatus:
        """Tell how far a rollout is now, with nothing in the cell."""
        return self._reader.status(checked_name(name))

    def exists(self, name: str) -> bool:
        """Tell whether there is a Deployment of this name."""
        path = self._reader.path("apps/v1", "Deployment", checked_name(name))
        return self._cluster.find(path, f"read Deployment/{name}") is not None

    def ready_pods(self, name: str) -> list[dict[str, Any]]:
        """List the pods that answer; if none does, the error tells why."""
        return self._reader.ready_pods(name)

    def has_own_autoscaler(self, name: str) -> bool:
        """Tell whether an HPA that nbdeploy made decides how many pods a Deployment has."""
        hpa = self._reader.autoscaler(name)
        return hpa is not None and hpa["metadata"]["name"] == name and _is_ours(hpa)

    def _path(self, made: dict[str, Any]) -> str:
        return self._reader.path(made["apiVersion"], made["kind"], made["metadata"]["name"])

    def _send(self, made: dict[str, Any], *, force: bool, dry_run: bool) -> dict[str, Any]:
        body = {**made, "metadata": {**made["metadata"], "namespace": self.namespace}}
        what = f"apply {made['kind']}/{made['metadata']['name']} in {self.namespace!r}"
        return self._cluster.apply(self._path(made), body, what, force=force, dry_run=dry_run)

    def _hand_over_replicas(self, name: str) -> None:
        """Keep the pods that there are when their number is an HPA's from now on.

        A field that its only holder lets go of falls back to 1: all pods but one would end.
        """
        path = self._reader.path("apps/v1", "Deployment", name)
        live = self._cluster.find(path, f"read Deployment/{name}")
        if live is None or "f:replicas" not in fields_of(live).get("f:spec", {}):
            return
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"replicas": live["spec"].get("replicas", 1)},
        }
        what = f"keep the pods of Deployment/{name}"
        self._cluster.apply(path, body, what, force=True, dry_run=False, manager=_HANDOVER)


def _is_ours(made: dict[str, Any]) -> bool:
    return bool(made["metadata"].get("labels", {}).get(_MANAGED_BY) == FIELD_MANAGER)
