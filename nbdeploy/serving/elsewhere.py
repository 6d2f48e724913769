"""Calls of the model that are made elsewhere: in replicas, behind the same batcher."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from nbdeploy.serving.call_costs import CallCosts, Costly

__all__ = ["CallsElsewhere", "Elsewhere"]


class Elsewhere(Protocol):
    """Where models are called instead of in this process."""

    @property
    def concurrency(self) -> int:
        """Calls that can be made at once."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether there is anybody to answer."""
        ...

    def publish(self, route: Any) -> None:
        """Make ready for a model that is going to answer."""
        ...

    def answer(self, work: Any) -> list[Any]:
        """Answer work, in a thread that may wait for it."""
        ...

    def stats(self) -> dict[str, Any]:
        """Tell how it goes, in values that JSON can hold."""
        ...


class CallsElsewhere(CallCosts):
    """What calls cost that are never made on the event loop, because another process answers.

    Parameters
    ----------
    clock
        Gives seconds that never go back.
    elsewhere
        Who answers.
    """

    def __init__(self, clock: Callable[[], float], elsewhere: Elsewhere) -> None:
        super().__init__(clock, clock)
        self._now = clock
        self._elsewhere = elsewhere

    def is_at(self, elsewhere: Elsewhere) -> bool:
        """Tell whether calls are made there already."""
        return self._elsewhere is elsewhere

    def of(self, work: Costly, rows: int = 0) -> float:  # noqa: ARG002 -- whatever it is
        """Say that it may take any time."""
        return math.inf

    def timed(self, work: Costly) -> list[Any]:
        """Let it be answered there, and learn from it."""
        start = self._now()
        try:
            return self._elsewhere.answer(work)
        finally:
            work.seconds_of_call = seconds = self._now() - start
            self.learn(work, seconds)

    def place_of(self, seconds: float) -> str:  # noqa: ARG002 -- however long it takes
        """Say that it runs in a replica."""
        return "in a replica"
