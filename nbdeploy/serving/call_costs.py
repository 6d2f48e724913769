"""What a call of a model costs: learned from the calls themselves, told in the statistics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["AT_ONCE_SECONDS", "INLINE_SECONDS", "CallCosts", "Costly", "processor_clock"]

INLINE_SECONDS = 0.001
"""A call that costs less is made on the event loop: to wake a thread would take as long."""

AT_ONCE_SECONDS = 0.0002
"""A call that costs less is made without looking for company: joining would cost as much."""

_FINE_SECONDS = 1e-4
_SMOOTHING = 0.2
_OUTLIER = 4.0
_KINDS = 256


def processor_clock() -> Callable[[], float]:
    """Give the clock of what a thread computes; the usual one where that is too coarse."""
    is_fine = time.get_clock_info("thread_time").resolution <= _FINE_SECONDS
    return time.thread_time if is_fine else time.perf_counter


class Costly(Protocol):
    """Work as far as its cost is concerned."""

    @property
    def key(self) -> object:
        """Names the kind of work, the method second."""
        ...

    @property
    def size(self) -> int:
        """Rows."""
        ...

    @property
    def expected_seconds(self) -> float:
        """What a call will cost as far as is known, until it was measured."""
        ...

    @property
    def may_block(self) -> bool:
        """Whether a call may take much longer than usual."""
        ...

    seconds_of_call: float | None
    """What the call that answered it took, once it was measured."""

    def run(self) -> list[Any]:
        """Call the model."""
        ...


class CallCosts:
    """Seconds of calls by kind of work and number of rows, a power of two apart.

    Parameters
    ----------
    clock
        Gives seconds that never go back.
    busy_clock
        Gives the seconds that the thread which asks has computed. A call costs what it computes:
        in a thread it also waits for the event loop to let it run, and if that counted, a call
        that was sent there once would seem too dear for the loop for ever.
    """

    def __init__(self, clock: Callable[[], float], busy_clock: Callable[[], float]) -> None:
        self._clock = clock
        self._busy_clock = busy_clock
        self._seconds: dict[tuple[object, int], float] = {}

    def knows(self, work: Costly) -> bool:
        """Tell whether a call of this size was measured."""
        return (work.key, work.size.bit_length()) in self._seconds

    def of(self, work: Costly, rows: int = 0) -> float:
        """Estimate the seconds of a call by those of its size, or of the next smaller known.

        Of so many rows of its kind, if they are told.
        """
        if work.may_block:
            return math.inf
        for bits in range((rows or work.size).bit_length(), 0, -1):
            known = self._seconds.get((work.key, bits))
            if known is not None:
                return known
        return work.expected_seconds

    def is_for_the_loop(self, work: Costly) -> bool:
        """Tell whether a call costs so little that it is made on the event loop."""
        return self.of(work) < INLINE_SECONDS

    def timed(self, work: Costly) -> list[Any]:
        """Make a call, and learn from it."""
        start, busy = self._clock(), self._busy_clock()
        try:
            return work.run()
        finally:
            busy = self._busy_clock() - busy
            work.seconds_of_call = seconds = self._clock() - start
            self.learn(work, seconds if work.may_block else busy)

    def learn(self, work: Costly, seconds: float) -> None:
        """Remember what a call took."""
        key = (work.key, work.size.bit_length())
        # The first call is the likeliest to be interrupted: what was expected of it counts too.
        expected = work.expected_seconds if work.size == 1 else 0.0
        known = self._seconds.get(key, expected or seconds)
        if len(self._seconds) > _KINDS:
            self._seconds.clear()
        # One call that was interrupted says little about the next.
        seconds = min(seconds, _OUTLIER * known)
        self._seconds[key] = known + _SMOOTHING * (seconds - known)

    def describe(self) -> list[dict[str, Any]]:
        """Tell where each kind of work runs, and what a call costs."""
        return [
            {
                "method": key[1] if isinstance(key, tuple) else key,
                "rows": f"up to {2**bits - 1}",
                "seconds": seconds,
                "runs": self.place_of(seconds),
            }
            for (key, bits), seconds in list(self._seconds.items())
        ]

    def place_of(self, seconds: float) -> str:
        """Tell where calls run that take so long."""
        if seconds < AT_ONCE_SECONDS:
            return "on the event loop, at once"
        return "on the event loop" if seconds < INLINE_SECONDS else "in a thread"
