"""The objects of Kubernetes that serve a model, as values that render to dicts and YAML."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nbdeploy.containers.manifests_autoscaling import HpaSpec, hpa_of
from nbdeploy.containers.manifests_difference import (
    TRACE,
    Changes,
    difference,
    masked,
    read_objects,
)
from nbdeploy.containers.manifests_page import EXPLAINED, manifests_html
from nbdeploy.containers.manifests_pod import pod_spec
from nbdeploy.containers.manifests_resources import Resources
from nbdeploy.containers.manifests_values import (
    checked_annotations,
    checked_count,
    checked_environment,
    checked_host,
    checked_image,
    checked_name,
    checked_port,
    checked_token,
    checked_type,
    label_value_from,
)
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.exceptions import ClusterError
from nbdeploy.models.signature import Signature
from nbdeploy.scaling.policies import Policy

if TYPE_CHECKING:
    from nbdeploy.containers.cluster_service import ClusterService
    from nbdeploy.containers.kubernetes import KubernetesDeployer

__all__ = ["Manifests"]

_INSTANCE = "app.kubernetes.io/instance"
_NAME = "app.kubernetes.io/name"
_LONGEST_DRAIN = 3600
_TOLD = 6  # 24 bits: enough to see that it is another one, too few to find it by trying


@dataclass(frozen=True, kw_only=True, repr=False)
class Manifests(ReprMixin):
    """A Deployment with all that belongs to it. Every value is checked when it is made.

    Parameters
    ----------
    name
        What the objects are called.
    image
        What runs, with a tag: ``registry.example/churn:1.1``.
    version
        The version of the model, for the label.
    namespace
        Where the objects are.
    replicas
        Pods, when there is no ``autoscale``.
    autoscale
        A policy of `nbdeploy.scaling`, which becomes an HPA; it has the bounds.
    port
        Where the container listens.
    digest
        The image's ``sha256:...``: the tag may move, what runs does not.
    token
        What callers must send; goes into a Secret and into nothing else. Without one the service
        is open to whom the NetworkPolicy lets in.
    resources
        Requests and limits, see `Resources.measured`.
    env, annotations
        Variables of the container, annotations of the pods.
    host, ingress_class, tls_secret
        An Ingress for this DNS name, of this class, with this certificate.
    service_monitor
        Write a ServiceMonitor, if the cluster has Prometheus' operator.
    pull_secret
        A Secret of the cluster with which the image is pulled.
    drain
        Seconds that requests in flight may take when a pod ends.
    signature
        What a row of the model looks like, where that is known: for the handle of `apply`.
    about
        What else the reader should know.

    Raises
    ------
    ClusterError
        If a value cannot be used. It is named, with what was expected.

    Examples
    --------
    >>> made = Manifests(name="churn", image="registry.example/churn:1.1", replicas=3)
    >>> [each["kind"] for each in made.objects()]
    ['ServiceAccount', 'Service', 'Deployment', 'PodDisruptionBudget', 'NetworkPolicy']
    """

    name: str
    image: str
    version: str | None = None
    namespace: str = "default"
    replicas: int = 2
    autoscale: Policy | None = None
    port: int = 8000
    digest: str | None = None
    token: str | None = None
    resources: Resources = field(default_factory=Resources)
    env: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    host: str | None = None
    ingress_class: str | None = None
    tls_secret: str | None = None
    service_monitor: bool = False
    pull_secret: str | None = None
    drain: int = 30
    signature: Signature | None = field(default=None, compare=False)
    about: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_name(self.namespace, "namespace")
        checked_image(self.image, self.digest)
        checked_count(self.replicas, "replicas")
        # Below 1024 the container would need a right that it has not.
        checked_port(self.port, least=1024)
        checked_count(self.drain, "drain", most=_LONGEST_DRAIN)
        checked_type(self.version, "version", str | None, "text such as '1.1'")
        checked_type(self.resources, "resources", Resources, "Resources(cpu='500m', ...)")
        checked_type(self.service_monitor, "service_monitor", bool, "True or False")
        checked_environment(self.env)
        checked_annotations(self.annotations)
        if self.token is not None:
            checked_token(self.token)
        for what in ("ingress_class", "tls_secret", "pull_secret"):
            if getattr(self, what) is not None:
                checked_host(getattr(self, what), what)
        if self.host is not None:
            checked_host(self.host)
        elif self.ingress_class is not None or self.tls_secret is not None:
            message = (
                "ingress_class= and tls_secret= are of an Ingress. Expected host= beside them."
            )
            raise ClusterError(message)
        self._hpa()

    def __repr__(self) -> str:
        return f"<Manifests {self.name!r} of {len(self.objects())} objects>"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know: what a cluster does otherwise than the notebook."""
        hpa = self._hpa()
        notes = [] if hpa is None else list(hpa.notes)
        if hpa is None and self.replicas == 1:
            notes.append("One pod: while its node is maintained or it crashes, nobody answers.")
        if self.token is None:
            notes.append("Without token= everybody in the cluster may call the service.")
        notes.append(
            "split, shadow and compare stay in the notebook: here every pod serves the one version "
            "of its image. Another version is another image, and a rollout."
        )
        return (*notes, *self.about)

    def with_token(self, token: str) -> Self:
        """Return the same with this token for callers."""
        return replace(self, token=checked_token(token))

    def objects(self) -> list[dict[str, Any]]:
        """Render all objects, in the order in which they are applied."""
        hpa = self._hpa()
        fewest = self.replicas if hpa is None else hpa.min_replicas
        made: list[dict[str, Any] | None] = [
            self._object("v1", "ServiceAccount", automountServiceAccountToken=False),
            self._secret(),
            self._service(),
            self._deployment(),
            None if hpa is None else self._autoscaler(hpa),
            # With one pod it would forbid every maintenance of its node.
            self._budget() if fewest > 1 else None,
            self._network(),
            None if self.host is None else self._ingress(self.host),
            self._monitor() if self.service_monitor else None,
        ]
        return [each for each in made if each is not None]

    def to_yaml(self, *, reveal: bool = False) -> str:
        """Write the objects as YAML.

        Parameters
        ----------
        reveal
            Write the values of the Secret too, which otherwise are dots.
        """
        import yaml  # noqa: PLC0415 -- only who writes YAML

        objects = self.objects() if reveal else [masked(each) for each in self.objects()]
        return str(yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the YAML that ``kubectl apply --server-side`` takes; it holds the Secret.

        Parameters
        ----------
        path
            A file; folders are made. With a token only its owner may read it.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.part")
        mode = 0o644 if self.token is None else 0o600
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:  # noqa: PTH123
            file.write(self.to_yaml(reveal=True))
        draft.replace(target)
        return target

    def diff(self, other: str | os.PathLike[str] | KubernetesDeployer | None = None) -> Changes:
        """Tell what would change, compared to a file of `save` or to a cluster.

        Parameters
        ----------
        other
            The path of a file, for which no cluster is needed; a deployer; the cluster that
            ``kubectl`` would ask when ``None``.

        Raises
        ------
        ClusterError
            If there is no such file, it is no YAML of objects, or the cluster does not answer.
        """
        if isinstance(other, str | os.PathLike):
            return difference(read_objects(Path(other)), self.objects())
        from nbdeploy.containers.cluster_service import diff_service  # noqa: PLC0415 -- see apply

        return diff_service(self, other)

    def apply(
        self,
        deployer: KubernetesDeployer | None = None,
        *,
        force: bool = False,
        wait: float = 0.0,
    ) -> ClusterService:
        """Send the objects to a cluster; doing it again changes nothing.

        All of them are tried without effect first, so that nothing is half applied. What an earlier
        set of this name had and this one has not is deleted.

        Parameters
        ----------
        deployer
            Which cluster; the one that ``kubectl`` would ask when ``None``. Its namespace counts
            for objects of ``"default"``.
        force
            Take over fields that somebody else set, which otherwise is refused with their names.
        wait
            Seconds to wait for the rollout, with its progress in the cell; ``status()`` of the
            handle tells what came of it.

        Returns
        -------
        ClusterService
            A handle like a deployment's: ``predict``, ``stats``, ``scale``, ``rollback``, ``stop``.

        Raises
        ------
        ClusterError
            If no cluster answers, or it refuses.
        """
        from nbdeploy.containers.cluster_service import apply_service  # noqa: PLC0415 -- only here

        return apply_service(self, deployer, force=force, wait=wait)

    def to_text(self) -> str:
        """Tell what the objects are for."""
        rows = [(each["kind"], EXPLAINED[each["kind"]]) for each in self.objects()]
        table = Table(("object", "what it is for"), rows).to_text()
        return "\n".join([f"{self.name}: {self.image}", table, *self.notes])

    def to_html(self) -> str:
        """Show every object with one line on what it is for, its YAML inside."""
        objects = [masked(each) for each in self.objects()]
        return manifests_html(self.name, self.image, objects, self.notes)

    def _hpa(self) -> HpaSpec | None:
        return None if self.autoscale is None else hpa_of(self.autoscale)

    def _selector(self) -> dict[str, str]:
        return {_NAME: self.name, _INSTANCE: self.name}

    def _labels(self) -> dict[str, str]:
        tag = self.image.rpartition("@")[0] or self.image
        version = self.version or tag.rpartition(":")[2]
        return {
            **self._selector(),
            "app.kubernetes.io/version": label_value_from(version),
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/part-of": "nbdeploy",
            "app.kubernetes.io/managed-by": "nbdeploy",
        }

    def _object(self, api: str, kind: str, **content: Any) -> dict[str, Any]:
        metadata = {"name": self.name, "namespace": self.namespace, "labels": self._labels()}
        return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}

    def _secret(self) -> dict[str, Any] | None:
        if self.token is None:
            return None
        written = base64.b64encode(self.token.encode()).decode()
        return self._object("v1", "Secret", type="Opaque", data={"token": written})

    def _service(self) -> dict[str, Any]:
        port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
        spec = {"type": "ClusterIP", "selector": self._selector(), "ports": [port]}
        return self._object("v1", "Service", spec=spec)

    def _deployment(self) -> dict[str, Any]:
        scraped = {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(self.port),
            "prometheus.io/path": "/metrics",
        }
        pod = pod_spec(
            image=checked_image(self.image, self.digest),
            port=self.port,
            resources=self.resources,
            environment=self.env,
            secret=None if self.token is None else self.name,
            selector=self._selector(),
            drain=self.drain,
            pull_secret=self.pull_secret,
        )
        if self.token is not None:
            # A pod reads its Secret once: with another token there must be other pods.
            seen = hashlib.sha256(f"nbdeploy:{self.name}:{self.token}".encode()).hexdigest()
            scraped[TRACE] = seen[:_TOLD]
        metadata = {"labels": self._labels(), "annotations": {**scraped, **self.annotations}}
        spec: dict[str, Any] = {
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 300,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "selector": {"matchLabels": self._selector()},
            "template": {"metadata": metadata, "spec": {"serviceAccountName": self.name, **pod}},
        }
        if self.autoscale is None:
            # With an HPA, the number is the HPA's: every apply would take it back.
            spec = {"replicas": self.replicas, **spec}
        return self._object("apps/v1", "Deployment", spec=spec)

    def _autoscaler(self, hpa: HpaSpec) -> dict[str, Any]:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name}
        spec = {"scaleTargetRef": target, **hpa.spec}
        return self._object("autoscaling/v2", "HorizontalPodAutoscaler", spec=spec)

    def _budget(self) -> dict[str, Any]:
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": self._selector()}}
        return self._object("policy/v1", "PodDisruptionBudget", spec=spec)

    def _network(self) -> dict[str, Any]:
        spec = {
            "podSelector": {"matchLabels": self._selector()},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
        }
        return self._object("networking.k8s.io/v1", "NetworkPolicy", spec=spec)

    def _ingress(self, host: str) -> dict[str, Any]:
        backend = {"service": {"name": self.name, "port": {"name": "http"}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        spec: dict[str, Any] = {"rules": [{"host": host, "http": {"paths": [path]}}]}
        if self.ingress_class is not None:
            spec["ingressClassName"] = self.ingress_class
        if self.tls_secret is not None:
            spec["tls"] = [{"hosts": [host], "secretName": self.tls_secret}]
        return self._object("networking.k8s.io/v1", "Ingress", spec=spec)

    def _monitor(self) -> dict[str, Any]:
        endpoint: dict[str, Any] = {"port": "http", "path": "/metrics", "interval": "15s"}
        if self.token is not None:
            credentials = {"name": self.name, "key": "token"}
            endpoint["authorization"] = {"type": "Bearer", "credentials": credentials}
        spec = {"selector": {"matchLabels": self._selector()}, "endpoints": [endpoint]}
        return self._object("monitoring.coreos.com/v1", "ServiceMonitor", spec=spec)
