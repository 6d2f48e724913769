"""What every request leaves behind, counted by many threads at once in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nbdeploy.monitoring.bounded_names import MOST_NAMES, BoundedNames
from nbdeploy.monitoring.details import DetailsLog
from nbdeploy.monitoring.predictions import PredictionCounts
from nbdeploy.monitoring.snapshot import Labels, Snapshot
from nbdeploy.monitoring.statistics import Outcome, RecentRequests, Tally
from nbdeploy.monitoring.timeline import SECONDS, STRETCHES, Stretch, Timeline

__all__ = ["ENTRY", "TOGETHER", "LabelValues", "Ledger", "labels_of"]

LabelValues: TypeAlias = tuple[str, str | None, str]
"""What a request is told apart by: endpoint, version, status."""

# When it ended, the seconds it took, how it ended, its rows, its labels, and what was predicted
# (the value of one row, the list of several, or None), one after the other in one flat list:
# tuples that live on would each be looked at by every garbage collection.
ENTRY = 6
# Counted together, requests cost a fraction of what they cost one by one.
TOGETHER = 512
_MANY_ROWS = 64


class _Part(NamedTuple):
    """Requests that were counted together, as the window keeps them."""

    latencies: npt.NDArray[np.float64]
    outcomes: list[Outcome]
    rows: list[int]


class _Series:
    """All requests of the same labels."""

    __slots__ = ("recent", "tally")

    def __init__(self, started: float) -> None:
        self.tally = Tally()
        self.recent = RecentRequests(started)


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
    window_seconds
        How far back the summary looks, instead of a number of requests.
    """

    def __init__(
        self,
        window_size: int,
        clock: Callable[[], float],
        window_seconds: float | None = None,
    ) -> None:
        self.clock = clock
        self.details = DetailsLog()
        self.pending: list[Any] = []
        """Entries that are not counted yet; to extend a list is one step, and needs no lock."""
        self._window_size = window_size
        self._window_seconds = window_seconds
        self._stretches = max(STRETCHES, int((window_seconds or 0) / SECONDS) + 2)
        self._lock = Lock()
        # To append to a list and to take from it is one step each, and needs no lock.
        self._in_flight: list[None] = []
        self._begin()

    def _begin(self) -> None:
        self._started = self._latest = self.clock()
        self._window: deque[_Part] = deque()
        self._in_window = 0
        self._series: dict[LabelValues, _Series] = {}
        self._predictions: dict[str, PredictionCounts] = {}
        # From the labels of a request to those that it is counted under.
        self._known: dict[LabelValues, LabelValues] = {}
        self._endpoints = BoundedNames()
        self._versions = BoundedNames()
        self._statuses = BoundedNames()
        self._recent = RecentRequests(self._started)
        self._timeline = Timeline(self._stretches)

    def enter(self) -> None:
        """Count a request that begins and will wait."""
        self._in_flight.append(None)

    def leave(self) -> None:
        """Take back :meth:`enter`."""
        self._in_flight.pop()

    def add(
        self,
        ended: float,
        latency: float,
        outcome: Outcome,
        rows: int,
        labels: LabelValues,
        predicted: Any = None,
    ) -> None:
        """Count a request that has ended."""
        self.pending += (ended, latency, outcome, rows, self.known(labels), predicted)
        self.count_if_many(rows)

    def known(self, labels: LabelValues) -> LabelValues:
        """Give the labels that equal ones were counted under before: one object for all."""
        return self._known.get(labels, labels)

    def count_if_many(self, rows: int) -> None:
        """Count what ended since the last time when it is much; the last had so many rows."""
        if len(self.pending) >= TOGETHER * ENTRY or rows > _MANY_ROWS:
            with self._lock:
                self._count()

    def _count(self) -> None:
        size = len(self.pending)
        entries = self.pending[:size]
        del self.pending[:size]
        if not entries:
            return
        ended = np.array(entries[0::ENTRY])
        part = _Part(np.array(entries[1::ENTRY]), entries[2::ENTRY], entries[3::ENTRY])
        labels, predicted = entries[4::ENTRY], entries[5::ENTRY]
        self._latest = max(self._latest, float(ended.max()))
        self._recent.add_all(ended)
        self._keep(part)
        place = self._timeline.place_of
        first, last = place(float(ended.min())), place(float(ended.max()))
        if first == last and labels.count(labels[0]) == len(labels):
            self._add(first, labels[0], ended, part, predicted)
            return
        groups: dict[tuple[int, LabelValues], list[int]] = {}
        for at, (moment, each) in enumerate(zip(ended.tolist(), labels, strict=True)):
            groups.setdefault((place(moment), each), []).append(at)
        for (stretch, each), places in groups.items():
            chosen = _Part(
                part.latencies[places],
                [part.outcomes[at] for at in places],
                [part.rows[at] for at in places],
            )
            self._add(stretch, each, ended[places], chosen, [predicted[at] for at in places])

    def _add(
        self,
        stretch: int,
        labels: LabelValues,
        ended: npt.NDArray[np.float64],
        part: _Part,
        predicted: Sequence[Any],
    ) -> None:
        """Count requests of the same labels that ended in the same stretch of time."""
        known = self._known.get(labels) or self._bounded(labels)
        series = self._series.get(known)
        if series is None:
            series = self._series[known] = _Series(self._started)
        tally = Tally.of(*part)
        series.tally.merge(tally)
        series.recent.add_all(ended)
        predictions = PredictionCounts()
        predictions.add_all(_flat(predicted))
        if predictions.rows:
            version = known[1] or ""
            self._predictions.setdefault(version, PredictionCounts()).merge(predictions)
        self._timeline.add(stretch, Stretch(tally, predictions))

    def _keep(self, part: _Part) -> None:
        self._window.append(part)
        self._in_window += len(part.rows)
        while self._in_window - len(self._window[0].rows) >= self._window_size:
            self._in_window -= len(self._window.popleft().rows)

    def _bounded(self, labels: LabelValues) -> LabelValues:
        endpoint, version, status = labels
        bounded = (
            self._endpoints.known(endpoint),
            None if version is None else self._versions.known(version),
            self._statuses.known(status),
        )
        if len(self._known) < MOST_NAMES**2:
            self._known[labels] = bounded
        return bounded

    def snapshot(self) -> tuple[Snapshot, list[float] | None]:
        """Return the counts as of now, and the latencies of the window in seconds.

        They are not kept one by one where the window is one of time.
        """
        now = self.clock()
        with self._lock:
            self._count()
            parts = list(self._window)
            series = {Labels(*key): Tally.total([each.tally]) for key, each in self._series.items()}
            rates = {Labels(*key): (each.recent.rate(now),) for key, each in self._series.items()}
            predictions = {
                version: PredictionCounts.merged([each])
                for version, each in self._predictions.items()
            }
            history = self._timeline.seen_at(now)
            in_flight, uptime = len(self._in_flight), now - self._started
            rate = self._recent.rate(now)
        if self._window_seconds is None:
            window, latencies = _joined(parts, self._window_size)
        else:
            window, latencies = history.last(self._window_seconds), None
        snapshot = Snapshot(
            window=window,
            series=series,
            in_flight=in_flight,
            uptime=uptime,
            rates=(rate,),
            series_rates=rates,
            details=self.details.seen(),
            predictions=predictions,
            history=history,
        )
        return snapshot, latencies

    def silence(self) -> float:
        """Return the seconds since the last request ended; since the start if there was none."""
        with self._lock:
            self._count()
            return max(0.0, self.clock() - self._latest)

    def reset(self) -> None:
        """Forget everything but the requests in flight, and start the uptime anew."""
        self.details.reset()
        with self._lock:
            self._count()
            self._begin()


def _joined(parts: Sequence[_Part], most: int) -> tuple[Tally, list[float]]:
    if not parts:
        return Tally(), []
    latencies = np.concatenate([part.latencies for part in parts])[-most:]
    outcomes = list(chain.from_iterable(part.outcomes for part in parts))[-most:]
    rows = list(chain.from_iterable(part.rows for part in parts))[-most:]
    return Tally.of(latencies, outcomes, rows), latencies.tolist()


def _flat(predicted: Sequence[Any]) -> Sequence[Any]:
    """Give one value a row: of single rows the value is there, of others a list of them."""
    types = set(map(type, predicted))
    if not types & {list, type(None)}:
        return predicted
    flat: list[Any] = []
    for each in predicted:
        if type(each) is list:
            flat += each
        elif each is not None:
            flat.append(each)
    return flat


def labels_of(
    endpoint: str, version: str | None, status: int | None, outcome: Outcome
) -> LabelValues:
    """Return what a request is told apart by; without a status, how it ended stands for it."""
    return endpoint, version, outcome if status is None else str(status)
