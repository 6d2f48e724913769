"""What a scaling policy sees, what it remembers and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

__all__ = ["Decision", "Load", "Memory", "ReplicaLoad", "bounded", "replicas_for"]

# 2.2 / 1.1 is 2.0000000000000004 for a computer, and does not need a third replica.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """The metric of one replica.

    Parameters
    ----------
    value
        For CPU, percent of what the replica may use; ``None`` when nobody measured it.
    is_ready
        Whether it takes requests already.
    is_alive
        ``False`` when it failed or is being stopped: it then counts for nothing.
    """

    value: float | None
    is_ready: bool = True
    is_alive: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """What is going on, at one moment.

    Parameters
    ----------
    replicas
        How many there are.
    time
        When, in seconds from any start.
    cpu
        Processor use in percent, the mean of all replicas.
    concurrency
        Requests in flight, waiting ones included: the mean over the policy's stable window.
    recent_concurrency
        The same over its short panic window; `concurrency` when ``None``.
    external
        A number that belongs to no replica, such as the length of a queue.
    each
        The metric of every replica, where they are known one by one; it then takes the place
        of `cpu`.
    """

    replicas: int
    time: float = 0.0
    cpu: float | None = None
    concurrency: float | None = None
    recent_concurrency: float | None = None
    external: float | None = None
    each: tuple[ReplicaLoad, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What a policy must know of the past.

    Parameters
    ----------
    wanted
        What was computed before: moments and numbers of replicas.
    changes
        What was really done: moments and how many came (or, negative, went).
    panic_since
        When load was last seen to be so high that only more replicas are an answer.
    panic_most
        What is not gone below until that is over.
    parts
        The memories of the single policies of `LargestOf`.
    """

    wanted: tuple[tuple[float, int], ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    panic_since: float | None = None
    panic_most: int = 0
    parts: tuple[Memory, ...] = ()

    def scaled(self, time: float, change: int, *, keep: float) -> Memory:
        """Remember that so many replicas came or went, and forget what is older than `keep`."""
        recent = tuple(each for each in self.changes if each[0] > time - keep)
        parts = tuple(part.scaled(time, change, keep=keep) for part in self.parts)
        return replace(self, changes=(*recent, (time, change)), parts=parts)


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there should be, and why.

    Parameters
    ----------
    replicas
        The number, within the policy's bounds.
    metric
        The number that it was decided by; ``None`` when there was none.
    reason
        In words.
    memory
        What to give along the next time.
    """

    replicas: int
    metric: float | None
    reason: str
    memory: Memory = field(repr=False)


def bounded(count: int, least: int, most: int) -> int:
    """Bring a count between two bounds."""
    return max(least, min(count, most))


def replicas_for(load: float, one: float = 1.0) -> int:
    """Count the replicas that a load needs when each takes so much.

    Examples
    --------
    >>> replicas_for(4.2), replicas_for(2.2, 1.1), replicas_for(0)
    (5, 2, 0)
    """
    return math.ceil(load / one - _ROUNDING)
