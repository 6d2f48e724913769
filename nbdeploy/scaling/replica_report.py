"""What a notebook shows when the number of replicas has changed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ReplicaReport"]


@dataclass(frozen=True)
class ReplicaReport:
    """What `scale` did.

    Parameters
    ----------
    replicas
        How many processes answer; 0 when the model answers in the process of the service.
    cpus
        Processors that they share; not told when there are enough.

    Examples
    --------
    >>> ReplicaReport(3)
    3 replicas answer.
    >>> ReplicaReport(3, cpus=2.0)
    3 replicas answer. They share 2 processors: more than that help a model that waits.
    >>> ReplicaReport(0)
    No replicas: the model answers in the process of the service.
    """

    replicas: int
    cpus: float = float("inf")

    def __repr__(self) -> str:
        if self.replicas == 0:
            text = "No replicas: the model answers in the process of the service."
        elif self.replicas == 1:
            text = "1 replica answers."
        else:
            text = f"{self.replicas} replicas answer."
        if self.replicas > max(1.0, self.cpus):
            text += f" They share {self.cpus:g} processors: more than that help a model that waits."
        return text
