"""What a pod asks a cluster for, and the most that it gets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from nbdeploy.containers.manifests_values import checked_quantity
from nbdeploy.exceptions import ClusterError

__all__ = ["Resources"]

_MEBI = 1024**2
_ROOM = 2.0  # requests with many rows take more than those that were seen
_SHARE = 1.25
_LEAST_MEMORY = 128  # MiB: the interpreter, numpy and the server
_STEP = 64
_LEAST_CPU = 100  # thousandths


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Requests, by which a pod is placed, and limits, beyond which it is slowed or ended.

    Parameters
    ----------
    cpu, cpu_limit
        CPUs, ``"500m"`` is half of one.
    memory, memory_limit
        Bytes, such as ``"256Mi"``.
    storage, storage_limit
        Bytes on the node's disk: the log and ``/tmp``.

    Raises
    ------
    ClusterError
        If one is no quantity, or a request is more than its limit.

    Examples
    --------
    >>> Resources.measured(memory=200 * 1024**2, cpu=0.3)
    Resources(cpu='300m', cpu_limit='1', memory='256Mi', memory_limit='512Mi', storage='64Mi', \
storage_limit='256Mi')
    """

    cpu: str = "250m"
    cpu_limit: str = "1"
    memory: str = "256Mi"
    memory_limit: str = "512Mi"
    storage: str = "64Mi"
    storage_limit: str = "256Mi"

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "storage"):
            request, limit = getattr(self, name), getattr(self, f"{name}_limit")
            least = checked_quantity(request, f"{name} request")
            most = checked_quantity(limit, f"{name} limit")
            if least > most:
                message = (
                    f"{name} request {request!r} is more than its limit {limit!r}: no node could "
                    f"ever give it. Expected {name} <= {name}_limit."
                )
                raise ClusterError(message)

    @classmethod
    def measured(cls, *, memory: int, cpu: float) -> Self:
        """Propose resources from what a service took.

        Parameters
        ----------
        memory
            The most that its process held, in bytes: a quarter more is requested, twice of that
            is the limit.
        cpu
            CPUs under the load that one pod shall bear.
        """
        if not memory > 0 or not 0 <= cpu < math.inf:
            message = f"memory={memory!r} and cpu={cpu!r} were not measured. Expected bytes, CPUs."
            raise ClusterError(message)
        mebi = max(_LEAST_MEMORY, _STEP * math.ceil(memory * _SHARE / _MEBI / _STEP))
        thousandths = max(_LEAST_CPU, math.ceil(cpu * 1000))
        return cls(
            cpu=f"{thousandths}m",
            cpu_limit=str(max(1, math.ceil(thousandths / 500))) if thousandths > 500 else "1",  # noqa: PLR2004
            memory=f"{mebi}Mi",
            memory_limit=f"{round(mebi * _ROOM)}Mi",
        )

    def rendered(self) -> dict[str, Any]:
        """Write them as a container has them."""
        return {
            "requests": {
                "cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.storage,
            },
            "limits": {
                "cpu": self.cpu_limit, "memory": self.memory_limit,
                "ephemeral-storage": self.storage_limit,
            },
        }  # fmt: skip
