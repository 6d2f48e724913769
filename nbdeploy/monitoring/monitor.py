"""The monitor of a service: what was asked, how long it took and what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from nbdeploy.monitoring.alert_verbs import AlertVerbs
from nbdeploy.monitoring.answer_verbs import AnswerVerbs
from nbdeploy.monitoring.drift_desk import DriftDesk, no_rows
from nbdeploy.monitoring.drift_verbs import DriftVerbs
from nbdeploy.monitoring.error_log import ErrorLog, RecordedError
from nbdeploy.monitoring.ledger import Ledger, labels_of
from nbdeploy.monitoring.monitor_views import MonitorViews
from nbdeploy.monitoring.observation import Observation
from nbdeploy.monitoring.quality import QualityLog
from nbdeploy.monitoring.snapshot import Snapshot
from nbdeploy.monitoring.statistics import Outcome
from nbdeploy.monitoring.timeline import SECONDS, STRETCHES

__all__ = ["ModelMonitor", "Observation", "RecordedError"]

# Thirty years: a moment that was logged instead of a duration is longer than that.
_LONGEST = 1e9
_LONGEST_WINDOW = 3600


class ModelMonitor(AnswerVerbs, DriftVerbs, AlertVerbs, MonitorViews):
    """Counts predictions, their latencies and their errors.

    The summary of :meth:`get_statistics` is taken over one window: the last ``window_size``
    attempts, failed ones included, so the error rate and the latencies speak of the same
    requests. Next to it there are totals since the start. Of rows only the latest 1,000 are kept,
    and only where there is a baseline to compare them with, predictions are counted; memory does
    not grow with the number of requests. Any thread may log.

    Parameters
    ----------
    window_size
        How many of the latest attempts the summary covers.
    window_seconds
        How far back the summary looks, 2 to 3,600 seconds, instead of a number of attempts. Its
        edge is exact to two seconds and its quantiles to 2.2 %.
    example
        Rows such as ``X_train``, at least 30: :meth:`drift` compares with them what is logged.
    clock
        Returns seconds that never go back.
    wall_clock
        Returns seconds since 1970: the time of an error.
    status_of
        Returns the HTTP status that an exception is answered with, or ``None``; used for
        exceptions that pass through :meth:`observe`.

    Examples
    --------
    >>> monitor = ModelMonitor()
    >>> monitor.log_prediction([5.1, 3.5, 1.4, 0.2], prediction=0, latency=0.002)
    >>> monitor.log_prediction([5.1, None, 1.4, 0.2], None, 0.004, error="sepal width is missing")
    >>> statistics = monitor.get_statistics()
    >>> statistics["avg_latency"], statistics["max_latency"]
    (0.003, 0.004)
    >>> statistics["error_rate"], statistics["total_predictions"]
    (0.5, 2)
    """

    def __init__(
        self,
        window_size: int = 1000,
        *,
        window_seconds: float | None = None,
        example: Any = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        status_of: Callable[[BaseException], int | None] | None = None,
    ) -> None:
        if window_size < 1:
            message = f"window_size is {window_size}. Expected at least 1, as in the default 1000."
            raise ValueError(message)
        if window_seconds is not None:
            _check_window(window_seconds, _LONGEST_WINDOW)
        self._kept_seconds = max(SECONDS * STRETCHES, window_seconds or 0)
        self.clock = clock
        self._ledger = Ledger(window_size, clock, window_seconds)
        self.details = self._ledger.details
        """Where the path of a request counts its stages, its batches and what it refuses."""
        self._error_log = ErrorLog(wall_clock=wall_clock)
        self._status_of = status_of
        self._merged: Snapshot | None = None
        self._attached: dict[str, Callable[[], Any]] = {}
        self.quality = QualityLog()
        """What is told of it once the truth about predictions comes."""
        self.attach("quality", self.quality.report)
        self._wall_clock = wall_clock
        self._drift = DriftDesk()
        if example is not None:
            self._drift.learn(example)

    def log_prediction(
        self,
        input_data: Any,
        prediction: Any,
        latency: float,
        error: str | BaseException | None = None,
        *,
        endpoint: str = "predict",
        version: str | None = None,
        status: int | None = None,
    ) -> None:
        """Log one attempt at a prediction.

        Parameters
        ----------
        input_data
            The row, or the rows, that were sent: counted, and kept for :meth:`drift` only.
        prediction
            What the model answered, one value a row: counted, not kept.
        latency
            Seconds that it took.
        error
            What went wrong, if something did: the attempt then counts as an error.
        endpoint
            The method that was called.
        version
            The version that answered.
        status
            The HTTP status of the answer, where there was one.

        Raises
        ------
        ValueError
            If the latency is negative, not finite or a date.
        TypeError
            If this monitor is a merged copy.
        """
        self._require_live()
        latency = _seconds(latency)
        outcome: Outcome = "ok"
        rows = 0
        if error is None or error == "":
            rows = _row_count(input_data)
            self._drift.log(input_data)
        else:
            outcome = "error"
            self._error_log.add(error, endpoint=endpoint, status=status)
        labels = labels_of(endpoint, version, status, outcome)
        predicted = _plain(prediction) if outcome == "ok" else None
        self._ledger.add(self._ledger.clock(), latency, outcome, rows, labels, predicted)

    def observe(
        self,
        endpoint: str = "predict",
        *,
        version: str | None = None,
        started: float | None = None,
    ) -> Observation:
        """Measure and count one request.

        Parameters
        ----------
        endpoint
            The method that is called.
        version
            The version that answers, if it is known yet.
        started
            What :meth:`clock` said when the request began; now when ``None``.

        Returns
        -------
        Observation
            A context manager. An exception that passes through counts as an error, a
            cancellation as cancelled; both go on.

        Examples
        --------
        >>> monitor = ModelMonitor()
        >>> with monitor.observe("predict") as observation:
        ...     observation.record(rows=2, version="1.1")
        >>> monitor.get_statistics()["rows"]
        2
        """
        self._require_live()
        return Observation(
            self._ledger, self._error_log, self._status_of, endpoint, version, started
        )

    def get_statistics(self, *, window_seconds: float | None = None) -> dict[str, Any]:
        """Summarize what was logged, in plain values that JSON can hold.

        Parameters
        ----------
        window_seconds
            Look back so many seconds instead of over the window: 2 to 300, or to the monitor's own
            if that is longer.

        Returns
        -------
        dict
            Over the window: ``avg_latency``, ``max_latency``, ``p50_latency``, ``p90_latency``,
            ``p95_latency``, ``p99_latency`` (seconds, exact; ``None`` when nothing was logged),
            ``error_rate`` (0.0 to 1.0) and ``total_predictions`` (attempts). The latency is that
            of parsing, waiting and predicting.

            Now: ``requests_per_second`` (over the last minute, or since the start if that is
            shorter), ``in_flight``.

            Since the start: ``requests``, ``errors``, ``cancelled``, ``rows``, ``uptime``
            (seconds), ``by_endpoint`` and ``by_version`` (the same counts and latencies for
            each, quantiles within 2.2 %, and the rate of the last minute), ``by_status``
            (requests), ``since_start`` (latencies of all), ``rejected`` (requests by the reason),
            ``validation_errors`` (requests by column and kind), ``predictions`` (of each version:
            ``rows``, and ``shares`` of its labels or ``mean``, ``min``, ``max`` and ``histogram``
            of its numbers).

            Of a sample, at most about 250 requests a second: ``stages`` (latencies of parse,
            queue, predict and encode). Of all calls of the model: ``batch_sizes``.

            Once the truth about predictions has come through ``/feedback``: ``quality``, by
            version, see `QualityLog.report`.
        """
        snapshot, latencies = (
            self._ledger.snapshot() if self._merged is None else (self._merged, None)
        )
        if window_seconds is not None:
            _check_window(window_seconds, self._kept_seconds)
            window = snapshot.history.last(window_seconds)
            snapshot, latencies = replace(snapshot, window=window), None
        attached = {name: facts() for name, facts in self._attached.items()}
        told = {name: facts for name, facts in attached.items() if facts is not None}
        return snapshot.statistics(latencies) | told

    def errors(self) -> list[RecordedError]:
        """Return the last failures, at most 100, the oldest first."""
        return self._error_log.all()

    def find_error(self, error_id: str) -> RecordedError | None:
        """Return the failure with this id, or ``None`` when it is not kept any more."""
        return self._error_log.find(error_id)

    def error_id(self, error: BaseException) -> str | None:
        """Return the id under which an exception was just recorded, or ``None``.

        Parameters
        ----------
        error
            The exception itself; one of the last five that were recorded.
        """
        return self._error_log.id_of(error)

    def reset(self) -> None:
        """Start anew: everything is forgotten but the requests in flight."""
        self._require_live()
        self._ledger.reset()
        self._error_log.clear()
        self._drift.reset()
        self.quality.reset()

    def snapshot(self) -> Snapshot:
        """Return what is known at this moment, as a value."""
        return self._ledger.snapshot()[0] if self._merged is None else self._merged

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values that JSON can hold and :meth:`from_dict` reads.

        Errors are counted in them; what the errors said stays here.
        """
        return self.snapshot().to_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelMonitor:
        """Return a read-only monitor with the counts that :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If the values are not those of a monitor.
        """
        return cls._of(Snapshot.from_dict(values))

    @classmethod
    def merged(cls, monitors: Iterable[ModelMonitor]) -> ModelMonitor:
        """Return a read-only monitor with the counts of several, as of now.

        Counts and averages add exactly; quantiles over the union of the windows are within
        2.2 % of the exact ones.

        Examples
        --------
        >>> one, two = ModelMonitor(), ModelMonitor()
        >>> one.log_prediction([1.0], 0, latency=0.010)
        >>> two.log_prediction([2.0], 1, latency=0.030)
        >>> ModelMonitor.merged([one, two]).get_statistics()["avg_latency"]
        0.02
        """
        return cls._of(Snapshot.merged(monitor.snapshot() for monitor in monitors))

    @classmethod
    def _of(cls, snapshot: Snapshot) -> ModelMonitor:
        monitor = cls()
        monitor._merged = snapshot
        monitor._drift.ask(no_rows)
        return monitor

    def _require_live(self) -> None:
        if self._merged is not None:
            message = (
                "This monitor is a merged copy of others and cannot be changed. "
                "Log to one of the monitors that it was made of, and merge again."
            )
            raise TypeError(message)

    def __repr__(self) -> str:
        total = self.snapshot().total
        return (
            f"<{type(self).__name__} requests={total.requests} errors={total.errors} "
            f"cancelled={total.cancelled}>"
        )


def _check_window(seconds: float, longest: float) -> None:
    if not SECONDS <= seconds <= longest:
        message = (
            f"window_seconds is {seconds}. Expected {SECONDS} to {longest} seconds, or None for "
            "a window of window_size attempts."
        )
        raise ValueError(message)


def _seconds(latency: float) -> float:
    seconds = float(latency)
    if 0 <= seconds < _LONGEST:
        return seconds
    message = (
        f"The latency is {latency!r}. Expected the seconds that the prediction took, 0 or more: "
        "time.perf_counter() after it, minus time.perf_counter() before it."
    )
    raise ValueError(message)


def _plain(prediction: Any) -> Any:
    """Give the value of one row, or the list of several; None where there is none."""
    plain = prediction.tolist() if hasattr(prediction, "tolist") else prediction
    if not isinstance(plain, (list, tuple)):
        return plain if isinstance(plain, (str, int, float, bool)) else None
    return [each.item() if hasattr(each, "item") else each for each in plain]


def _row_count(input_data: Any) -> int:
    shape = getattr(input_data, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) > 1 else 1
    if isinstance(input_data, list | tuple) and input_data:
        nested = all(isinstance(row, list | tuple | dict) for row in input_data)
        return len(input_data) if nested else 1
    return 1
