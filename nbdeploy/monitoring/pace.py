"""Look at every request while they are few, and at one of several when they are many."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle, repeat

__all__ = ["Pace"]

_LOOK_AFTER = 512
# Odd, so that callers who take turns are all seen.
_ONE_OF = (1, 3, 7, 15, 31, 63, 127, 255)


class Pace:
    """Tells of each request whether to look at it.

    Parameters
    ----------
    most
        Looks a second, about; of so many requests that one in 255 is more, one in 255.
    clock
        Gives seconds that never go back.

    Examples
    --------
    >>> pace = Pace(1000)
    >>> pace.takes()
    True
    """

    takes: Callable[[], bool]
    """Tells whether to look at the next request; :meth:`took` must follow where it is true."""

    def __init__(self, most: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._look_at_one_of(1)

    def took(self) -> None:
        """Tell that one was looked at."""
        self._looks -= 1
        if not self._looks:
            self._keep()

    def _look_at_one_of(self, requests: int) -> None:
        # Nothing that is written in Python is asked for every request.
        self.takes = cycle((True, *repeat(False, requests - 1))).__next__
        self._looks = looks = -(-_LOOK_AFTER // requests)
        self._looked = looks * requests, self._clock()

    def _keep(self) -> None:
        """Look at fewer of many requests, and at more of few."""
        requests, since = self._looked
        most = (self._clock() - since) * self._most
        enough = (each for each in _ONE_OF if requests <= each * most)
        self._look_at_one_of(next(enough, _ONE_OF[-1]))
