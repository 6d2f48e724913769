"""The truth about predictions: it comes late, out of order, twice, or never."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nbdeploy.exceptions import UnknownPredictionError

if TYPE_CHECKING:
    from nbdeploy.monitoring.contest import Contest
    from nbdeploy.monitoring.quality import QualityLog

__all__ = ["LIFETIME", "MAX_ROWS", "FeedbackLog", "Probabilities"]

LIFETIME = 7 * 24 * 3600.0
"""Seconds that a prediction waits for its truth."""

MAX_ROWS = 100_000
"""Predicted rows that wait at the same time; the oldest give way."""


_MOST_CLASSES = 10


class Probabilities(NamedTuple):
    """What was answered: shape ``[rows, classes]``, and the labels of the classes."""

    rows: Sequence[Sequence[float]]
    classes: Sequence[Any]


class _Waiting:
    """A prediction that was answered; without predictions once the truth has come."""

    __slots__ = ("contest", "expires", "predictions", "probabilities", "rows", "version")

    def __init__(
        self,
        contest: Contest,
        version: str,
        predictions: list[Any],
        probabilities: Probabilities | None,
        expires: float,
    ) -> None:
        self.contest = contest
        self.version = version
        self.predictions: list[Any] | None = predictions
        self.probabilities = probabilities
        self.rows = len(predictions)
        self.expires = expires


class FeedbackLog:
    """Joins the truth to what was predicted, by the id of the prediction.

    Ids are random: who did not get an answer cannot judge it. Memory is bounded by rows and by
    time. The rows that were asked are not kept.

    Parameters
    ----------
    quality
        Is told of every truth, whatever becomes of the contest.
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
        quality: QualityLog | None = None,
        max_rows: int = MAX_ROWS,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    ) -> None:
        self._quality = quality
        self._max_rows = max_rows
        self._lifetime = lifetime
        self._clock = clock
        self._new_id = new_id
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._rows = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def remember(
        self,
        contest: Contest,
        version: str,
        predictions: list[Any],
        probabilities: Probabilities | None = None,
    ) -> str | None:
        """Keep what was answered until the truth comes.

        Parameters
        ----------
        contest
            Where the version is judged.
        version
            Which version answered.
        predictions
            One a row.
        probabilities
            Those of every row, where they were asked for; of at most ten classes they are kept.

        Returns
        -------
        str or None
            The id; ``None`` for a request of more rows than are kept.
        """
        if len(predictions) > self._max_rows:
            return None
        now = self._clock()
        if probabilities is not None and len(probabilities.classes) > _MOST_CLASSES:
            probabilities = None
        waiting = _Waiting(contest, version, predictions, probabilities, now + self._lifetime)
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
            if self._quality is not None:
                _tell(self._quality, waiting, waiting.predictions, truth)
            waiting.predictions = waiting.probabilities = None
            return True


def _tell(
    quality: QualityLog, waiting: _Waiting, predictions: list[Any], truth: Sequence[Any]
) -> None:
    known = waiting.probabilities
    quality.add(
        waiting.version,
        predictions,
        truth,
        probabilities=None if known is None else known.rows,
        classes=None if known is None else known.classes,
        are_amounts=not waiting.contest.metric.is_share,
    )
