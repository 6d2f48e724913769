"""A model that a cluster serves, as a handle: the reading verbs of a service, and the cluster's."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from nbdeploy.client import Client
from nbdeploy.containers.absent_verbs import absent_verb
from nbdeploy.containers.cluster_apply import placed, send
from nbdeploy.containers.cluster_forward import PortForward
from nbdeploy.containers.cluster_history import RolloutHistory
from nbdeploy.containers.cluster_rollout import RolloutStatus
from nbdeploy.containers.cluster_stats import merged_monitor, panel, statistics_of
from nbdeploy.containers.cluster_token import forget_token
from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests import Manifests
from nbdeploy.containers.manifests_autoscaling import policy_named
from nbdeploy.containers.manifests_difference import Changes
from nbdeploy.display.html import Html, element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import ClusterError, UnreachableError
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.snippets import Snippets, make_snippets
from nbdeploy.serving.token_file import remove_token, write_token
from nbdeploy.with_blocks import StopsOnExit

if TYPE_CHECKING:
    from nbdeploy.dashboard import Dashboard
    from nbdeploy.scaling.capacity import Capacity
    from nbdeploy.scaling.load_result import LoadResult
    from nbdeploy.scaling.policies import Policy
    from nbdeploy.try_it import TryIt

__all__ = ["ClusterService", "apply_service"]

_PAUSE = 2.0
_NEXT = (
    "status(timeout=300) watches the rollout; predict(rows) asks it from here; stop() deletes it"
)
_ELSEWHERE = {
    "split": "Every pod serves the one version of its image. deploy() both models in the notebook, "
    "and split there.",
    "shadow": "deploy() both models in the notebook, and shadow there.",
    "compare": "deploy() both models in the notebook, and compare there.",
    "errors": "Tracebacks stay in the pods: see logs().",
    "bundle": "The image was built of one: Bundle.open(folder).",
}


class ClusterService(StopsOnExit, ReprMixin):
    """What `Manifests.apply` returns: the pods of one Deployment, behind one handle.

    What calls the model goes through a port of this machine that is opened when it is first needed
    and ends with the kernel; the pods go on. `stop` deletes them.

    Parameters
    ----------
    manifests
        What was applied.
    deployer
        Where.
    """

    def __init__(self, manifests: Manifests, deployer: KubernetesDeployer) -> None:
        self.name = manifests.name
        self.namespace = manifests.namespace
        self.manifests = manifests
        self.deployer = deployer
        self._applied = {_image_of(manifests): manifests}
        self._forward: PortForward | None = None
        self._client: Client | None = None

    @property
    def image(self) -> str:
        """What the pods run, as far as this handle knows."""
        return self.manifests.image

    @property
    def url(self) -> str:
        """Where this machine reaches the pods."""
        return self._connected().url

    @property
    def monitor(self) -> ModelMonitor:
        """What all pods counted together, as a read-only copy of now."""
        return merged_monitor(self.deployer, self.name, self._key())

    def predict(self, rows: Any) -> Any:
        """Predict rows over HTTP; see `Deployment.predict`."""
        return self._call("predict", rows)

    def predict_proba(self, rows: Any) -> Any:
        """Predict the probability of every class over HTTP; see `Deployment.predict_proba`."""
        return self._call("predict_proba", rows)

    def stats(self) -> dict[str, Any]:
        """Ask each pod what it counted, and add up; the keys of `ModelMonitor.get_statistics`."""
        return statistics_of(self.monitor, self.deployer.look(self.name))

    def status(self, *, timeout: float = 0.0) -> RolloutStatus:
        """Tell how far the rollout is, or wait for it; see `KubernetesDeployer.rollout_status`."""
        return self.deployer.rollout_status(self.name, timeout=timeout)

    def history(self) -> RolloutHistory:
        """List the rollouts that the cluster remembers."""
        return self.deployer.history(self.name)

    def logs(self) -> list[str]:
        """Return the last lines that the pods logged, by time, without the token."""
        lines = self.deployer.logs(self.name)
        token = self.manifests.token
        return lines if token is None else [line.replace(token, "•••") for line in lines]

    def snippets(self) -> Snippets:
        """Write copy-paste calls; they work as long as this handle is open."""
        token = self.manifests.token
        name = f"{self.namespace}-{self.name}"
        file = None if token is None else write_token(name, token)
        row = self._signature().example_row()
        return make_snippets(self.url, row, token_file=file, certificate=None)

    def open(self) -> str:
        """Return the address of its page; a browser asks for the token there."""
        return f"{self.url}/docs"

    def dashboard(self) -> Dashboard:
        """Show what all pods do together, live, in the running cell."""
        from nbdeploy.dashboard import Dashboard  # noqa: PLC0415 -- only here

        return Dashboard(
            self.name,
            lambda: panel(self.name, self.deployer.look(self.name), self.monitor),
            reset=self._refuse_reset,
            stop=self.stop,
            is_running=self._is_there,
        )

    def try_it(self) -> TryIt:
        """Show a form for one row."""
        from nbdeploy.try_it import TryIt  # noqa: PLC0415 -- only here

        return TryIt(self.name, self._signature(), self._ask)

    def load_test(
        self,
        rps: float | None = None,
        *,
        seconds: float | None = None,
        concurrency: int | None = None,
        ramp: bool = False,
        goal_p95: float | None = None,
        rows: Any = None,
    ) -> LoadResult | Capacity:
        """Send a load; see `Deployment.load_test`. The way through the API server counts as well.

        It is slower than the pods are: for their own limit, send it from inside of the cluster.
        """
        from nbdeploy.scaling.load_rows import bodies_of  # noqa: PLC0415 -- only here
        from nbdeploy.scaling.load_test import Target, load_service  # noqa: PLC0415 -- only here

        bodies = bodies_of(rows, self._signature())
        target = Target(self.url, bodies, token=self.manifests.token)
        return load_service(
            target, rps, seconds=seconds, concurrency=concurrency, ramp=ramp, goal_p95=goal_p95
        )

    def scale(self, replicas: int) -> int:
        """Have so many pods, and end autoscaling."""
        fixed = replace(self.manifests, autoscale=None, replicas=replicas)
        self._change(fixed)
        return replicas

    def autoscale(
        self,
        *,
        min_replicas: int = 1,
        max_replicas: int = 4,
        policy: Policy | str = "hpa",
        target_cpu: float = 70.0,
    ) -> Manifests:
        """Let the cluster follow the load, by an HPA.

        Parameters
        ----------
        min_replicas, max_replicas
            The bounds.
        policy
            ``"hpa"``, ``"threshold"``, ``"concurrency"``, or a policy of `nbdeploy.scaling` with
            numbers of its own.
        target_cpu
            For the policies of CPU, in percent of what a pod requests.

        Returns
        -------
        Manifests
            What was applied, with notes on what an HPA cannot express.
        """
        chosen = policy_named(policy, min_replicas, max_replicas, target_cpu)
        self._change(replace(self.manifests, autoscale=chosen))
        return self.manifests

    def rollout(self, image: str, *, timeout: float = 300.0) -> RolloutStatus:
        """Have the pods run another image, one by one, with the progress in the cell.

        Parameters
        ----------
        image
            ``"registry.example/churn:1.2"``, of ``service.bundle(folder).build(tag).push()``.
        timeout
            Seconds to wait; the cluster goes on afterwards.
        """
        version = None if self.manifests.version is None else _tag(image)
        self._change(replace(self.manifests, image=image, version=version, digest=None))
        return self.status(timeout=timeout)

    def rollback(self) -> RolloutStatus:
        """Have the pods as they were before the latest rollout, and watch it."""
        self.deployer.rollback(self.name)
        current = next((each for each in self.history() if each.is_current), None)
        if current is not None:
            self._take_note_of(current.image)
        return self.status(timeout=300.0)

    def wait(self) -> None:
        """Block until the Deployment is gone or the cell is interrupted; the pods go on."""
        while self._is_there():
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Close the port of this machine; the pods go on, and the next call opens another one."""
        client, self._client = self._client, None
        forward, self._forward = self._forward, None
        if client is not None:
            client.close()
        if forward is not None:
            forward.close()
        remove_token(f"{self.namespace}-{self.name}")

    def stop(self) -> tuple[str, ...]:
        """Delete what nbdeploy made in the cluster under this name; again does nothing.

        Returns
        -------
        tuple
            What was deleted, as ``Kind/name``.
        """
        deleted = self.deployer.delete(self.name)
        self.close()
        forget_token(self.namespace, self.name)
        return deleted

    def __getattr__(self, name: str) -> NoReturn:
        raise absent_verb(self, name, "A service in a cluster", _ELSEWHERE, ClusterError)

    def __repr__(self) -> str:
        return f"<ClusterService {self.name!r} of {self.image} in {self.namespace!r}>"

    def to_html(self) -> str:
        """Write what was applied, and what to do next."""
        access = "Whoever has the token" if self.manifests.token else "Everybody in the cluster"
        inside = f"http://{self.name}.{self.namespace}.svc/predict"
        facts = (
            ("Image", element("code", self.image)),
            ("Namespace", element("code", self.namespace)),
            ("In the cluster", element("code", inside, class_="nbd-copy")),
            ("Access", access),
            ("Next", _NEXT),
        )
        rows = (Html(element("dt", label) + element("dd", value)) for label, value in facts)
        head = element("div", element("strong", self.name, class_="nbd-name"), class_="nbd-head")
        return fragment(head, element("dl", *rows), class_="nbd-card")

    def _key(self) -> str:
        return self.manifests.token or ""

    def _connected(self) -> Client:
        if self._client is None or self._forward is None:
            self._forward = self.deployer.port_forward(self.name)
            # A handle that a cell forgets, when it is run again, leaves no open port.
            weakref.finalize(self, self._forward.close)
            self._client = Client(self._forward.url, token=self._key())
        return self._client

    def _call(self, method: str, rows: Any) -> Any:
        client = self._connected()
        try:
            return client.call(method, rows)
        except UnreachableError:
            # If no pod answers, this tells why not.
            self.deployer.ready_pods(self.name)
            raise

    def _change(self, manifests: Manifests) -> None:
        send(manifests, self.deployer, force=False)
        self.manifests = manifests
        self._applied[_image_of(manifests)] = manifests

    def _take_note_of(self, image: str) -> None:
        """Know what runs after a way back, so that the next change is no rollout beside it."""
        now, known = self.manifests, self._applied.get(image)
        if known is not None:
            self.manifests = replace(known, autoscale=now.autoscale, replicas=now.replicas)
            return
        with suppress(ClusterError):  # an image of others, which no Manifests would take
            self.manifests = replace(now, image=image, version=_tag(image), digest=None)

    def _signature(self) -> Signature:
        if self.manifests.signature is None:
            message = (
                "These objects were made without a bundle, so nobody knows what a row looks like. "
                "Expected bundle.kubernetes(...)."
            )
            raise ClusterError(message)
        return self.manifests.signature

    def _ask(self, row: Any) -> tuple[Any, Mapping[Any, float]]:
        return self.predict([row])[0], {}

    def _is_there(self) -> bool:
        return self.deployer.exists(self.name)

    def _refuse_reset(self) -> None:
        message = "The figures of a pod start anew with it: rollout() replaces the pods."
        raise ClusterError(message)


def diff_service(manifests: Manifests, deployer: KubernetesDeployer | None) -> Changes:
    """Do what `Manifests.diff` tells of a cluster."""
    manifests, deployer = placed(manifests, deployer)
    return deployer.diff(manifests.objects())


def apply_service(
    manifests: Manifests, deployer: KubernetesDeployer | None, *, force: bool, wait: float
) -> ClusterService:
    """Do what `Manifests.apply` tells."""
    manifests, deployer = placed(manifests, deployer)
    send(manifests, deployer, force=force)
    service = ClusterService(manifests, deployer)
    if wait > 0:
        service.status(timeout=wait)
    return service


def _tag(image: str) -> str:
    name = image.partition("@")[0]
    return name.rpartition("/")[2].partition(":")[2] or "unknown"


def _image_of(manifests: Manifests) -> str:
    return manifests.image if manifests.digest is None else f"{manifests.image}@{manifests.digest}"
