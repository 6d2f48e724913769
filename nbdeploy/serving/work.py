"""Work for a model: the rows of one request while they wait, and of several that share a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nbdeploy.serving.call_costs import Costly

__all__ = ["Waiting", "Work", "join", "outcome_of"]


class Work(Costly, Protocol):
    """What can be asked of a model: the rows of one request, or of several joined."""

    @property
    def is_wide(self) -> bool:
        """Whether a call is long, and leaves the interpreter to others while it computes."""
        ...

    @property
    def can_join(self) -> bool:
        """Whether it may share a call with others of the same key."""
        ...

    def joined(self, others: Sequence[Any]) -> Any:
        """Join with the rows of others of the same key, in order."""
        ...


class Waiting:
    """Work that somebody waits for, until its deadline."""

    __slots__ = ("allowed", "deadline", "future", "work")

    def __init__(
        self, work: Work, future: asyncio.Future[list[Any]], *, now: float, allowed: float
    ) -> None:
        self.work = work
        self.future = future
        self.allowed = allowed
        self.deadline = now + allowed


def join(works: list[Work]) -> Any:
    """Make one work of several of the same key."""
    return works[0].joined(works[1:]) if len(works) > 1 else works[0]


def outcome_of(
    call: Callable[[Any], list[Any]], work: Any
) -> tuple[list[Any] | None, BaseException | None]:
    """Give the answers of a call, or its error."""
    try:
        return call(work), None
    except Exception as error:  # noqa: BLE001 -- it goes to whoever asked
        return None, error
