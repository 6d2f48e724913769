"""What every request leaves behind, counted by many threads at once in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

from nbdeploy.monitoring.snapshot import Labels, Snapshot
from nbdeploy.monitoring.statistics import Outcome, RecentRequests, Tally

__all__ = ["OTHER", "Ledger", "labels_of"]

#: Names beyond the limit are counted under this one.
OTHER = "other"
_NAMES = 32
_NAME_LENGTH = 100


class Ledger:
    """Counts of finished requests, and the latest of them one by one.

    Memory does not grow with the number of requests: the window is bounded, and of each label
    the first 32 names are told apart, the others counted together as ``"other"``.

    Parameters
    ----------
    window_size
        How many of the latest requests are kept one by one.
    clock
        Returns seconds that never go back.
    """

    def __init__(self, window_size: int, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.window_size = window_size
        self._lock = Lock()
        self._in_flight = 0
        self._begin()

    def _begin(self) -> None:
        self._started = self.clock()
        # When it ended, seconds it took, how it ended, rows, and what it was; the oldest first.
        self._window: deque[tuple[float, float, Outcome, int, tuple[str, str | None, str]]]
        self._window = deque(maxlen=self.window_size)
        # Keyed by plain tuples, which cost a fifth of a Labels on the path of every request.
        self._series: dict[tuple[str, str | None, str], Tally] = {}
        self._endpoints: set[str] = set()
        self._versions: set[str] = set()
        self._statuses: set[str] = set()
        self._recent = RecentRequests(self._started)

    def enter(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self._in_flight += 1

    def leave(
        self,
        ended: float,
        latency: float,
        outcome: Outcome,
        rows: int,
        labels: tuple[str, str | None, str],
    ) -> None:
        """Count the end of a request that began with :meth:`enter`."""
        with self._lock:
            self._in_flight -= 1
            self._add(ended, latency, outcome, rows, labels)

    def add(
        self,
        latency: float,
        outcome: Outcome,
        rows: int,
        labels: tuple[str, str | None, str],
    ) -> None:
        """Count a request that somebody else measured and that ended now."""
        ended = self.clock()
        with self._lock:
            self._add(ended, latency, outcome, rows, labels)

    def _add(
        self,
        ended: float,
        latency: float,
        outcome: Outcome,
        rows: int,
        labels: tuple[str, str | None, str],
    ) -> None:
        tally = self._series.get(labels)
        if tally is None:
            labels = self._bounded(labels)
            tally = self._series.setdefault(labels, Tally())
        tally.add(latency, outcome, rows)
        self._recent.add(ended)
        self._window.append((ended, latency, outcome, rows, labels))

    def _bounded(self, labels: tuple[str, str | None, str]) -> tuple[str, str | None, str]:
        endpoint, version, status = labels
        return (
            _known(self._endpoints, endpoint),
            None if version is None else _known(self._versions, version),
            _known(self._statuses, status),
        )

    def snapshot(self) -> tuple[Snapshot, list[float]]:
        """Return the counts as of now, and the latencies of the window in seconds."""
        now = self.clock()
        with self._lock:
            window = list(self._window)
            series = {Labels(*key): Tally.total([tally]) for key, tally in self._series.items()}
            in_flight, uptime = self._in_flight, now - self._started
            rate = self._recent.rate(now)
        tally = Tally()
        for _, latency, outcome, rows, _ in window:
            tally.add(latency, outcome, rows)
        snapshot = Snapshot(
            window=tally, series=series, in_flight=in_flight, uptime=uptime, rates=(rate,)
        )
        return snapshot, [entry[1] for entry in window]

    def reset(self) -> None:
        """Forget everything but the requests in flight, and start the uptime anew."""
        with self._lock:
            self._begin()


def labels_of(
    endpoint: str, version: str | None, status: int | None, outcome: Outcome
) -> tuple[str, str | None, str]:
    """Return what a request is told apart by; without a status, how it ended stands for it."""
    return endpoint, version, outcome if status is None else str(status)


def _known(names: set[str], name: str) -> str:
    name = name[:_NAME_LENGTH]
    if name in names:
        return name
    if len(names) < _NAMES:
        names.add(name)
        return name
    return OTHER
