"""What every request leaves behind, counted by many threads at once in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from nbdeploy.monitoring.snapshot import Labels, Snapshot
from nbdeploy.monitoring.statistics import Outcome, RecentRequests, Tally

__all__ = ["OTHER", "Entry", "LabelValues", "Ledger", "labels_of"]

LabelValues: TypeAlias = tuple[str, str | None, str]
"""What a request is told apart by: endpoint, version, status."""

Entry: TypeAlias = tuple[float, float, Outcome, int, LabelValues]
"""When a request ended, the seconds it took, how it ended, its rows, and what it was."""

#: Names beyond the limit are counted under this one.
OTHER = "other"
_NAMES = 32
# Counted together, requests cost a fraction of what they cost one by one.
_TOGETHER = 256
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
        self._entered = 0
        self._left = 0
        # What ended and is not counted yet; appending needs no lock.
        self._pending: deque[Entry] = deque()
        self._begin()

    def _begin(self) -> None:
        self._started = self.clock()
        self._window: deque[Entry] = deque(maxlen=self.window_size)
        self._series: dict[LabelValues, Tally] = {}
        # From the labels of a request to those that it is counted under.
        self._known: dict[LabelValues, LabelValues] = {}
        self._endpoints: set[str] = set()
        self._versions: set[str] = set()
        self._statuses: set[str] = set()
        self._recent = RecentRequests(self._started)

    def enter(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self._entered += 1

    def leave(
        self, ended: float, latency: float, outcome: Outcome, rows: int, labels: LabelValues
    ) -> None:
        """Count the end of a request that began with :meth:`enter`."""
        self._pending.append((ended, latency, outcome, rows, labels))
        if len(self._pending) >= _TOGETHER:
            with self._lock:
                self._count()

    def add(self, latency: float, outcome: Outcome, rows: int, labels: LabelValues) -> None:
        """Count a request that somebody else measured and that ended now."""
        self.enter()
        self.leave(self.clock(), latency, outcome, rows, labels)

    def _count(self) -> None:
        """Count what ended since the last time; the caller holds the lock."""
        by_labels: dict[LabelValues, list[Entry]] = {}
        for _ in range(len(self._pending)):
            ended, latency, outcome, rows, labels = self._pending.popleft()
            known = self._known.get(labels) or self._bounded(labels)
            entry = (ended, latency, outcome, rows, known)
            by_labels.setdefault(known, []).append(entry)
            self._window.append(entry)
            self._recent.add(ended)
            self._left += 1
        for labels, entries in by_labels.items():
            tally = self._series.setdefault(labels, Tally())
            tally.add_all([entry[1] for entry in entries], [entry[2:4] for entry in entries])

    def _bounded(self, labels: LabelValues) -> LabelValues:
        endpoint, version, status = labels
        bounded = (
            _known(self._endpoints, endpoint),
            None if version is None else _known(self._versions, version),
            _known(self._statuses, status),
        )
        if len(self._known) < _NAMES**2:
            self._known[labels] = bounded
        return bounded

    def snapshot(self) -> tuple[Snapshot, list[float]]:
        """Return the counts as of now, and the latencies of the window in seconds."""
        now = self.clock()
        with self._lock:
            self._count()
            window = list(self._window)
            series = {Labels(*key): Tally.total([tally]) for key, tally in self._series.items()}
            in_flight, uptime = self._entered - self._left, now - self._started
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
            self._count()
            self._begin()


def labels_of(
    endpoint: str, version: str | None, status: int | None, outcome: Outcome
) -> LabelValues:
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
