"""The rollouts that a cluster remembers of one Deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nbdeploy.containers.cluster_objects import HASH, revision_of
from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.exceptions import ClusterError

__all__ = ["Revision", "RolloutHistory", "history_of", "template_before"]


@dataclass(frozen=True)
class Revision:
    """One rollout.

    Parameters
    ----------
    number
        Counts up; a rollback gets a new one.
    image
        What its pods run.
    created_at
        When the cluster first saw it: ISO 8601, in UTC.
    pods
        How many there are of it now.
    is_current
        Whether new pods are of it.
    """

    number: int
    image: str
    created_at: str
    pods: int
    is_current: bool


@dataclass(frozen=True, repr=False)
class RolloutHistory(ReprMixin):
    """What `KubernetesDeployer.history` returns: the newest first.

    Parameters
    ----------
    name
        The Deployment.
    revisions
        Its rollouts.
    """

    name: str
    revisions: tuple[Revision, ...]

    def __len__(self) -> int:
        return len(self.revisions)

    def __iter__(self) -> Iterator[Revision]:
        return iter(self.revisions)

    def __getitem__(self, place: int) -> Revision:
        return self.revisions[place]

    def __repr__(self) -> str:
        return f"<RolloutHistory of {self.name!r}: {len(self.revisions)} revisions>"

    def to_text(self) -> str:
        """Write a table."""
        return "\n".join([f"{self.name}:", self._table(with_time=False).to_text()])

    def to_html(self) -> str:
        """Draw the same, with the times."""
        head = element("div", element("strong", self.name, class_="nbd-name"), class_="nbd-head")
        return fragment(head, self._table(with_time=True).element(), class_="nbd-card")

    def _table(self, *, with_time: bool) -> Table:
        columns = ("revision", "image", "pods", "") + (("since",) if with_time else ())
        rows = [
            (str(each.number), each.image, str(each.pods), "current" if each.is_current else "")
            + ((each.created_at,) if with_time else ())
            for each in self.revisions
        ]
        return Table(columns, rows, right=("revision", "pods"), noun="revision")


def history_of(live: dict[str, Any], replica_sets: Sequence[dict[str, Any]]) -> RolloutHistory:
    """Read the rollouts of a Deployment from its ReplicaSets, the oldest first."""
    revisions = tuple(
        Revision(
            number=revision_of(each),
            image=_image(each),
            created_at=str(each["metadata"].get("creationTimestamp", "")),
            pods=int(each.get("status", {}).get("replicas", 0)),
            is_current=revision_of(each) == revision_of(live),
        )
        for each in reversed(replica_sets)
    )
    return RolloutHistory(live["metadata"]["name"], revisions)


def template_before(live: dict[str, Any], replica_sets: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the template that the pods had before the latest change.

    Raises
    ------
    ClusterError
        If there was none.
    """
    earlier = [each for each in replica_sets if revision_of(each) < revision_of(live)]
    if not earlier:
        name = live["metadata"]["name"]
        message = f"Deployment/{name} has had no other pods before: nothing to go back to."
        raise ClusterError(message)
    template = earlier[-1]["spec"]["template"]
    metadata = {key: each for key, each in template["metadata"].items() if each is not None}
    metadata["labels"] = {
        key: value for key, value in metadata.get("labels", {}).items() if key != HASH
    }
    return {"metadata": metadata, "spec": template["spec"]}


def _image(made: dict[str, Any]) -> str:
    containers = made["spec"]["template"]["spec"].get("containers", [])
    return ", ".join(str(each.get("image", "")) for each in containers)
