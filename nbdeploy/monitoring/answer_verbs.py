"""How a service tells its monitor of answers: at the least price, on the path of every request."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from nbdeploy.monitoring.ledger import TOGETHER, USUAL_ENTRY, Ledger

__all__ = ["AnswerVerbs"]


class AnswerVerbs:
    """Counts what was answered, and what is in flight."""

    _ledger: Ledger
    clock: Callable[[], float]
    # The endpoint and the version of the latest usual request, and the list for those alike.
    _latest: tuple[str, str, list[Any] | None] = ("", "", None)
    # Requests that shared calls since they were counted, about: threads may lose some of them.
    _shared = 0

    def answered(
        self, endpoint: str, *, started: float, rows: int, version: str, predicted: Any = None
    ) -> float:
        """Count one request that was answered with status 200 just now.

        The same as an observation without a failure, at a fraction of its price.

        Parameters
        ----------
        endpoint
            The method that was called.
        started
            What :meth:`clock` said when the request began.
        rows
            Rows that were predicted.
        version
            The version that answered.
        predicted
            The predictions: the value of one row, or the list of several.

        Returns
        -------
        float
            When it ended, by :meth:`clock`.
        """
        ended = self.clock()
        entries = self._usual(endpoint, version)
        if rows == 1 and entries is not None:
            entries += (ended, started, predicted)
            if len(entries) >= TOGETHER * USUAL_ENTRY:
                self._ledger.count()
        else:
            labels = (endpoint, version, "200")
            self._ledger.add(ended, ended - started, "ok", rows, labels, predicted)
        return ended

    def answered_together(
        self,
        endpoint: str,
        *,
        started: Sequence[float],
        version: str,
        predicted: Sequence[Any] | None = None,
    ) -> float:
        """Count requests of one row each that were answered with status 200 just now.

        The same as :meth:`answered` for each, with one look at the clock.

        Parameters
        ----------
        endpoint
            The method that was called.
        started
            What :meth:`clock` said when each began.
        version
            The version that answered.
        predicted
            What was predicted for each.

        Returns
        -------
        float
            When they ended, by :meth:`clock`.

        Raises
        ------
        ValueError
            If not as many predictions as requests are told.
        """
        ended = self.clock()
        told = [None] * len(started) if predicted is None else list(predicted)
        if len(told) != len(started):
            message = f"{len(told)} predictions for {len(started)} requests; expected one for each."
            raise ValueError(message)
        entries = self._usual(endpoint, version)
        if entries is not None and told:
            # One step: another thread may count in between, and takes whole entries only. Bare
            # numbers, so that nothing of a request lives on, and its memory is used again at once.
            entries += (ended, array("d", started), told)
            self._shared += len(started)
            if self._shared >= TOGETHER:
                self._shared = 0
                self._ledger.count()
            return ended
        labels = (endpoint, version, "200")
        for began, each in zip(started, told, strict=True):
            self._ledger.add(ended, ended - began, "ok", 1, labels, each)
        return ended

    def _usual(self, endpoint: str, version: str) -> list[Any] | None:
        latest = self._latest
        if latest[0] != endpoint or latest[1] != version:
            entries = self._ledger.usual((endpoint, version, "200"))
            latest = self._latest = (endpoint, version, entries)
        return latest[2]

    def enter(self) -> None:
        """Count a request as in flight until :meth:`leave`: one that waits for its answer."""
        self._ledger.enter()

    def leave(self) -> None:
        """Take back :meth:`enter`."""
        self._ledger.leave()
