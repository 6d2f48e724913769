"""How many requests may be tried a second time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["RetryBudget"]


class RetryBudget:
    """Allow a second try to a share of the requests, so that an outage is not made worse by it.

    Parameters
    ----------
    share
        Second tries for each request of the last `window` seconds.
    least
        Second tries that are always allowed in a window, for services that are asked little.
    window
        Seconds that count.
    clock
        Seconds that never go back.

    Examples
    --------
    >>> budget = RetryBudget(share=0.2, least=3)
    >>> for _ in range(100):
    ...     budget.count_request()
    >>> sum(budget.take() for _ in range(100))
    20
    """

    def __init__(
        self,
        *,
        share: float = 0.2,
        least: int = 3,
        window: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share = share
        self.least = least
        self.window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._requests: deque[float] = deque()
        self._retries: deque[float] = deque()

    def count_request(self) -> None:
        """Count a request that is tried for the first time."""
        with self._lock:
            self._requests.append(self._forget())

    def take(self) -> bool:
        """Take a second try out of the budget; tell whether there was one."""
        with self._lock:
            now = self._forget()
            if len(self._retries) + 1 > max(self.least, self.share * len(self._requests)):
                return False
            self._retries.append(now)
            return True

    def _forget(self) -> float:
        now = self._clock()
        for moments in (self._requests, self._retries):
            while moments and moments[0] <= now - self.window:
                moments.popleft()
        return now
