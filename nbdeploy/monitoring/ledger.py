"""What every request leaves behind, counted by many threads at once in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeAlias

from nbdeploy.monitoring.snapshot import Labels, Snapshot
from nbdeploy.monitoring.statistics import Outcome, RecentRequests, Tally
from nbdeploy.monitoring.timeline import Moment, Timeline

__all__ = ["OTHER", "LabelValues", "Ledger", "labels_of"]

LabelValues: TypeAlias = tuple[str, str | None, str]
"""What a request is told apart by: endpoint, version, status."""

#: Names beyond the limit are counted under this one.
OTHER = "other"
_NAMES = 32
_NAME_LENGTH = 100
# Counted together, requests cost a fraction of what they cost one by one.
_TOGETHER = 512
# When it ended, the seconds it took, how it ended, its rows, and its labels, one after the other
# in one flat list: tuples that live on would each be looked at by every garbage collection.
_ENTRY = 5


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
        # Entries that are not counted yet; to extend a list is one step, and needs no lock.
        self._pending: list[Any] = []
        self._begin()

    def _begin(self) -> None:
        self._started = self.clock()
        self._window: list[Any] = []
        self._series: dict[LabelValues, Tally] = {}
        # From the labels of a request to those that it is counted under.
        self._known: dict[LabelValues, LabelValues] = {}
        self._endpoints: set[str] = set()
        self._versions: set[str] = set()
        self._statuses: set[str] = set()
        self._recent = RecentRequests(self._started)
        self._timeline = Timeline()

    def enter(self) -> None:
        """Count a request that begins and will wait."""
        with self._lock:
            self._in_flight += 1

    def leave(self) -> None:
        """Take back :meth:`enter`."""
        with self._lock:
            self._in_flight -= 1

    def add(
        self, ended: float, latency: float, outcome: Outcome, rows: int, labels: LabelValues
    ) -> None:
        """Count a request that has ended."""
        pending = self._pending
        pending += (ended, latency, outcome, rows, self._known.get(labels, labels))
        if len(pending) >= _TOGETHER * _ENTRY:
            with self._lock:
                self._count()

    def _count(self) -> None:
        """Count what ended since the last time; the caller holds the lock."""
        size = len(self._pending)
        entries = self._pending[:size]
        del self._pending[:size]
        if not entries:
            return
        labels = entries[4::_ENTRY]
        if labels.count(labels[0]) == len(labels):
            self._tally(labels[0], entries)
        else:
            groups: dict[LabelValues, list[Any]] = {}
            for at, each in zip(range(0, size, _ENTRY), labels, strict=True):
                groups.setdefault(each, []).extend(entries[at : at + _ENTRY])
            for each, group in groups.items():
                self._tally(each, group)
        ended = entries[0::_ENTRY]
        self._recent.add_all(ended)
        self._timeline.add_all(ended, entries[1::_ENTRY], entries[2::_ENTRY])
        self._window = (self._window + entries)[-self.window_size * _ENTRY :]

    def _tally(self, labels: LabelValues, entries: list[Any]) -> None:
        known = self._known.get(labels) or self._bounded(labels)
        tally = self._series.setdefault(known, Tally())
        tally.add_all(entries[1::_ENTRY], entries[2::_ENTRY], entries[3::_ENTRY])

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
            window = self._window
            series = {Labels(*key): Tally.total([tally]) for key, tally in self._series.items()}
            in_flight, uptime = self._in_flight, now - self._started
            rate = self._recent.rate(now)
        latencies = window[1::_ENTRY]
        tally = Tally()
        if latencies:
            tally.add_all(latencies, window[2::_ENTRY], window[3::_ENTRY])
        snapshot = Snapshot(
            window=tally, series=series, in_flight=in_flight, uptime=uptime, rates=(rate,)
        )
        return snapshot, latencies

    def silence(self) -> float:
        """Return the seconds since the last request ended; since the start if there was none."""
        with self._lock:
            self._count()
            latest = self._window[-_ENTRY] if self._window else self._started
            return max(0.0, self.clock() - latest)

    def timeline(self) -> list[Moment]:
        """Return what ended in the last minutes, in short stretches."""
        with self._lock:
            self._count()
            return self._timeline.moments(self.clock())

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
