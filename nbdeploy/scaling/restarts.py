"""How often to try again: rules without processes."""

from __future__ import annotations

import threading

__all__ = ["CRASH_LOOP", "RetryBudget", "restart_delay"]

CRASH_LOOP = 3
"""So many replicas in a row that ended before they had answered anything: something is wrong."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0


def restart_delay(crashes: int) -> float:
    """Give the seconds to wait before another replica is started.

    Parameters
    ----------
    crashes
        How many in a row ended before they had answered anything.

    Examples
    --------
    >>> [restart_delay(crashes) for crashes in range(7)]
    [0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 4.0]
    >>> restart_delay(1000)
    30.0
    """
    if crashes < CRASH_LOOP:
        return 0.0
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(crashes - CRASH_LOOP, 16))


class RetryBudget:
    """Allow retries in proportion to requests: trouble shall not multiply the load.

    Parameters
    ----------
    share
        Retries for each request.
    reserve
        Retries that are always allowed at first.
    most
        Retries that can be saved up.

    Examples
    --------
    >>> budget = RetryBudget(share=0.2, reserve=1)
    >>> budget.may_retry(), budget.may_retry()
    (True, False)
    >>> for _ in range(5):
    ...     budget.count_request()
    >>> budget.may_retry(), budget.may_retry()
    (True, False)
    """

    def __init__(self, share: float = 0.2, *, reserve: float = 3.0, most: float = 10.0) -> None:
        self._share = share
        self._most = most
        self._saved = reserve
        self._lock = threading.Lock()

    def count_request(self) -> None:
        """Save up for one request."""
        with self._lock:
            # Fifths do not add up to one exactly.
            self._saved = round(min(self._most, self._saved + self._share), 9)

    def may_retry(self) -> bool:
        """Take one retry from the budget, if there is one."""
        with self._lock:
            if self._saved < 1.0:
                return False
            self._saved -= 1.0
            return True
