"""One request from its beginning to its end: what the path of a prediction tells the monitor."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from types import TracebackType
from typing import Self

from nbdeploy.exceptions import SignatureError
from nbdeploy.monitoring.error_log import ErrorLog, RecordedError
from nbdeploy.monitoring.ledger import Ledger, labels_of
from nbdeploy.monitoring.statistics import Outcome

__all__ = ["Observation"]


class Observation:
    """One request while it is answered: a context manager that measures and counts it."""

    __slots__ = (
        "_error_log",
        "_ledger",
        "_outcome",
        "_started",
        "_status_of",
        "endpoint",
        "error",
        "latency",
        "rows",
        "status",
        "version",
    )

    def __init__(
        self,
        ledger: Ledger,
        error_log: ErrorLog,
        status_of: Callable[[BaseException], int | None] | None,
        endpoint: str,
        version: str | None,
        started: float | None = None,
    ) -> None:
        self._ledger = ledger
        self._error_log = error_log
        self._status_of = status_of
        self._outcome: Outcome = "ok"
        self._started = started
        self.endpoint = endpoint
        self.version = version
        self.rows = 1
        self.status: int | None = None
        self.error: RecordedError | None = None
        self.latency: float | None = None

    def record(
        self, *, rows: int = 1, version: str | None = None, status: int | None = None
    ) -> None:
        """Tell what was answered.

        Parameters
        ----------
        rows
            Rows that were predicted.
        version
            The version that answered.
        status
            The HTTP status of the answer, where there is one.
        """
        self.rows = rows
        if version is not None:
            self.version = version
        if status is not None:
            self.status = status

    def fail(
        self, error: BaseException | str, *, status: int | None = None
    ) -> RecordedError | None:
        """Count the request as failed, for errors that are answered and do not pass through.

        Parameters
        ----------
        error
            The exception, or a text where there is none.
        status
            The HTTP status of the answer, where there is one.

        Returns
        -------
        RecordedError or None
            What :meth:`ModelMonitor.errors` lists; ``None`` for a cancellation, which is none.
            The first failure of a request is the one that counts.
        """
        if self._outcome == "ok":
            self.status = None
            if isinstance(error, CancelledError):
                self._outcome = "cancelled"
                return None
            self._outcome = "error"
            if status is None and self._status_of is not None and not isinstance(error, str):
                status = self._status_of(error)
            self.status = status
            self.error = self._error_log.add(error, endpoint=self.endpoint, status=status)
            if isinstance(error, SignatureError):
                self._ledger.details.add_validation_error(error.column, error.kind)
        return self.error

    def __enter__(self) -> Self:
        self._ledger.enter()
        if self._started is None:
            self._started = self._ledger.clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ledger = self._ledger
        ended = ledger.clock()
        assert self._started is not None
        self.latency = latency = max(0.0, ended - self._started)
        try:
            if error is not None:
                self.fail(error)
        finally:
            outcome = self._outcome
            ledger.leave()
            ledger.add(
                ended,
                latency,
                outcome,
                self.rows if outcome == "ok" else 0,
                labels_of(self.endpoint, self.version, self.status, outcome),
            )
