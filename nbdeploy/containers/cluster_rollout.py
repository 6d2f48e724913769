"""How far a rollout is, and what keeps it, in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nbdeploy.display.html import element, fragment, visible
from nbdeploy.display.mime import ReprMixin

__all__ = ["RolloutStatus", "rollout_of"]

_WORDS = {
    "ImagePullBackOff": "the image cannot be pulled",
    "ErrImagePull": "the image cannot be pulled",
    "InvalidImageName": "the name of the image is none",
    "CrashLoopBackOff": "the container ends again and again: see logs()",
    "OOMKilled": "the container took more memory than its limit: raise memory_limit",
    "ErrImageNeverPull": "the image cannot be pulled",
    "RunContainerError": "the container cannot be started: see logs()",
    "CreateContainerError": "the container cannot be made: see `kubectl describe pod`",
    "Evicted": "the node had no room left for the pod: raise what it requests",
    "CreateContainerConfigError": "a Secret or ConfigMap that the pod names is not there",
    "Unschedulable": "no node has room for the pod: request less, or add nodes",
}
_PULL = (
    "push it to a registry that the cluster can reach (`docker push IMAGE`), or, with kind, "
    "`kind load docker-image IMAGE`"
)


@dataclass(frozen=True, repr=False)
class RolloutStatus(ReprMixin):
    """How far a rollout is.

    Parameters
    ----------
    name
        The Deployment.
    wanted, updated, available
        Pods that there shall be, that are of the newest kind, that answer.
    done
        Whether it is over.
    failed
        Whether the cluster gave up.
    reasons
        Why pods do not start, each with what to do.
    share
        How much of it is done, from 0 to 1: pods of the newest kind that answer.
    """

    name: str
    wanted: int
    updated: int
    available: int
    done: bool
    failed: bool = False
    reasons: tuple[str, ...] = ()
    share: float = 0.0

    @property
    def counts(self) -> str:
        """How many pods there are, in words."""
        return f"{self.updated} of {self.wanted} pods are new, {self.available} answer"

    def __repr__(self) -> str:
        state = "done" if self.done else "failed" if self.failed else "under way"
        return (
            f"<RolloutStatus {self.name!r} {state}: {self.updated} of {self.wanted} new, "
            f"{self.available} available>"
        )

    def to_text(self) -> str:
        """Tell the state, and why pods do not start."""
        return "\n".join([repr(self), *map(visible, self.reasons)])

    def to_html(self) -> str:
        """Show the same."""
        notes = (element("p", reason, class_="nbd-note") for reason in self.reasons)
        name = element("strong", self.name, class_="nbd-name")
        state = f" {repr(self)[1:-1].partition(repr(self.name))[2].strip()}"
        return fragment(element("div", name, state, class_="nbd-head"), *notes, class_="nbd-card")


def rollout_of(deployment: dict[str, Any], pods: Iterable[dict[str, Any]]) -> RolloutStatus:
    """Read how far a Deployment is.

    Parameters
    ----------
    deployment
        The object as the cluster has it.
    pods
        Those of its selector.
    """
    spec, status = deployment["spec"], deployment.get("status", {})
    wanted = spec.get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    # Those that answer are of the old kind first.
    fresh = max(0, min(updated, available - max(0, status.get("replicas", 0) - updated)))
    is_seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    is_last = status.get("replicas", 0) <= updated
    done = is_seen and updated >= wanted and is_last and available >= wanted
    conditions = status.get("conditions", []) if is_seen else []
    failed = any(each.get("reason") == "ProgressDeadlineExceeded" for each in conditions)
    refused = [
        f"The cluster refuses the pods: {each.get('message')}"
        for each in conditions
        if each.get("type") == "ReplicaFailure" and each.get("status") == "True"
    ]
    reasons = () if done else (*refused, *(why for pod in pods for why in _reasons(pod)))
    return RolloutStatus(
        deployment["metadata"]["name"],
        wanted,
        updated,
        available,
        done,
        failed and not done,
        tuple(dict.fromkeys(reasons)),
        1.0 if done else min(1.0, fresh / max(wanted, 1)),
    )


def _reasons(pod: dict[str, Any]) -> Iterable[str]:
    status = pod.get("status", {})
    if status.get("reason") in _WORDS:
        yield f"{status['reason']}: {_WORDS[status['reason']]}."
    for each in status.get("conditions", []):
        if each.get("reason") == "Unschedulable":
            yield f"Unschedulable: {_WORDS['Unschedulable']} ({each.get('message')})."
    for container in status.get("containerStatuses", []):
        if "running" in container.get("state", {}) and container.get("ready") is False:
            yield "Starting: a container runs, and does not answer its probes yet."
        states = (container.get("state", {}), container.get("lastState", {}))
        for state in states:
            held = state.get("waiting") or state.get("terminated") or {}
            reason = held.get("reason")
            if reason in _WORDS:
                words = _WORDS[reason]
                advice = ""
                if "pulled" in words:
                    advice = f"; {_PULL.replace('IMAGE', str(container.get('image', 'IMAGE')))}"
                yield f"{reason}: {words}{advice}."
