"""The truth about predictions: it comes late, out of order, twice, or never."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nbdeploy.exceptions import UnknownPredictionError

if TYPE_CHECKING:
    from nbdeploy.monitoring.contest import Contest

__all__ = ["LIFETIME", "MAX_ROWS", "FeedbackLog"]

LIFETIME = 7 * 24 * 3600.0
"""Seconds that a prediction waits for its truth."""

MAX_ROWS = 100_000
"""Predicted rows that wait at the same time; the oldest give way."""


class _Waiting:
    """A prediction that was answered; without predictions once the truth has come."""

    __slots__ = ("contest", "expires", "predictions", "rows", "version")

    def __init__(
        self, contest: Contest, version: str, predictions: list[Any], expires: float
    ) -> None:
        self.contest = contest
        self.version = version
        self.predictions: list[Any] | None = predictions
        self.rows = len(predictions)
        self.expires = expires


class FeedbackLog:
    """Joins the truth to what was predicted, by the id of the prediction.

    Ids are random: who did not get an answer cannot judge it. Memory is bounded by rows and by
    time. The rows that were asked are not kept.

    Parameters
    ----------
    max_rows
        Predicted rows that wait at the same time.
    lifetime
        Seconds that a prediction waits.
    clock
        Gives seconds that never go back.
    new_id
        Gives a text that nobody can guess.
    """

    def __init__(
        self,
        *,
        max_rows: int = MAX_ROWS,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    ) -> None:
        self._max_rows = max_rows
        self._lifetime = lifetime
        self._clock = clock
        self._new_id = new_id
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._rows = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def remember(self, contest: Contest, version: str, predictions: list[Any]) -> str | None:
        """Keep what was answered until the truth comes.

        Returns
        -------
        str or None
            The id; ``None`` for a request of more rows than are kept.
        """
        if len(predictions) > self._max_rows:
            return None
        now = self._clock()
        waiting = _Waiting(contest, version, predictions, now + self._lifetime)
        prediction_id = self._new_id()
        with self._lock:
            self._waiting[prediction_id] = waiting
            self._rows += waiting.rows
            self._forget(now)
        return prediction_id

    def _forget(self, now: float) -> None:
        while self._waiting:
            oldest = next(iter(self._waiting))
            if self._rows <= self._max_rows and self._waiting[oldest].expires > now:
                return
            self._rows -= self._waiting.pop(oldest).rows

    def accept(self, prediction_id: str, truth: Sequence[Any]) -> bool:
        """Take the truth about a prediction.

        Parameters
        ----------
        prediction_id
            Which prediction.
        truth
            One value a row; ``None`` for a row whose truth is not known.

        Returns
        -------
        bool
            Whether it was the first: a second truth changes nothing.

        Raises
        ------
        UnknownPredictionError
            If there is no such prediction, or none any more.
        SignatureError
            If the truth is none of this prediction. It may then be sent again.
        """
        with self._lock:
            self._forget(self._clock())
            waiting = self._waiting.get(prediction_id)
            if waiting is None:
                message = (
                    f"There is no prediction {prediction_id[:80]!r}. Expected the X-Prediction-ID "
                    f"of an answer of the last {self._lifetime / 86400:g} days. Ids do not "
                    "survive a restart, and the oldest give way when very many wait."
                )
                raise UnknownPredictionError(message)
            if waiting.predictions is None:
                return False
            waiting.contest.judge(waiting.version, waiting.predictions, truth)
            waiting.predictions = None
            return True
