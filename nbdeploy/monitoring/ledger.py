"""What every request leaves behind, counted by many threads at once in bounded memory."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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

__all__ = ["TOGETHER", "USUAL_ENTRY", "LabelValues", "Ledger", "labels_of"]

LabelValues: TypeAlias = tuple[str, str | None, str]
"""What a request is told apart by: endpoint, version, status."""

# When it ended, the seconds it took, how it ended, its rows, its labels, and what was predicted
# (the value of one row, the list of several, or None), one after the other in one flat list:
# tuples that live on would each be looked at by every garbage collection.
_ENTRY = 6
# Most requests are answered, and have one row: when it ended, when it began, what was predicted.
# Of those that shared a call: when all ended, an array of when they began, a list of predictions.
USUAL_ENTRY = 3
# Counted together, requests cost a fraction of what they cost one by one.
TOGETHER = 2048
_MANY_ROWS = 64
_MOST_LISTS = 64


class _Part(NamedTuple):
    """Requests that were counted together, as the window keeps them.

    Without outcomes and rows all were answered, and had one row each.
    """

    latencies: npt.NDArray[np.float64]
    outcomes: Sequence[Outcome] | None = None
    rows: Sequence[int] | None = None

    def tally(self) -> Tally:
        """Count them."""
        if self.outcomes is not None and self.rows is not None:
            return Tally.of(self.latencies, self.outcomes, self.rows)
        tally = Tally(rows=len(self.latencies))
        tally.latency.add_all(self.latencies)
        return tally

    def chosen(self, places: Sequence[int]) -> _Part:
        """Return some of them, in this order."""
        outcomes, rows = self.outcomes, self.rows
        if outcomes is None or rows is None:
            return _Part(self.latencies[places])
        return _Part(
            self.latencies[places], [outcomes[at] for at in places], [rows[at] for at in places]
        )

    def spelled_out(self) -> tuple[Sequence[Outcome], Sequence[int]]:
        """Return the outcome and the rows of each."""
        size = len(self.latencies)
        return self.outcomes or ["ok"] * size, self.rows or [1] * size


class _Finished(NamedTuple):
    """Requests of the same labels, when they ended, and what was predicted for them."""

    labels: LabelValues
    ended: npt.NDArray[np.float64]
    part: _Part
    predicted: Sequence[Any]


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
        # What is not counted yet; to extend a list is one step, and needs no lock.
        self._pending: list[Any] = []
        # Never forgotten, not even by a reset: whoever was given one goes on adding to it.
        self._usual: dict[LabelValues, list[Any]] = {}
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
        # The labels of before, where they are equal: one object for all.
        self._pending += (ended, latency, outcome, rows, self._known.get(labels, labels), predicted)
        if len(self._pending) >= TOGETHER * _ENTRY or rows > _MANY_ROWS:
            self.count()

    def usual(self, labels: LabelValues) -> list[Any] | None:
        """Give the list for requests that are answered and have one row.

        Parameters
        ----------
        labels
            What they all have.

        Returns
        -------
        list or None
            Extend it by when a request ended, when it began, and the value that was predicted, in
            one step; of several that ended together, by that moment, an ``array("d")`` and a list.
            Once it has as much as `TOGETHER` requests, :meth:`count`. ``None`` if there are too
            many lists already: :meth:`add` takes requests of any labels.
        """
        if labels not in self._usual and len(self._usual) >= _MOST_LISTS:
            return None
        return self._usual.setdefault(labels, [])

    def count(self) -> None:
        """Count what ended since the last time."""
        with self._lock:
            self._count()

    def _count(self) -> None:
        finished = [*self._take_usual(), *self._take_others()]
        if not finished:
            return
        ended, part = finished[0].ended, finished[0].part
        if len(finished) > 1:
            ended, part = _in_order(finished)
        self._latest = max(self._latest, float(ended.max()))
        self._recent.add_all(ended)
        self._keep(part)
        place = self._timeline.place_of
        for each in finished:
            first, last = place(float(each.ended.min())), place(float(each.ended.max()))
            if first == last:
                self._add(first, each)
                continue
            groups: dict[int, list[int]] = {}
            for at, moment in enumerate(each.ended.tolist()):
                groups.setdefault(place(moment), []).append(at)
            for stretch, places in groups.items():
                self._add(stretch, _chosen(each, places))

    def _take_usual(self) -> Iterator[_Finished]:
        for labels, waiting in list(self._usual.items()):
            size = len(waiting)
            if not size:
                continue
            entries = waiting[:size]
            del waiting[:size]
            yield _of_usual(labels, *(entries[field::USUAL_ENTRY] for field in range(USUAL_ENTRY)))

    def _take_others(self) -> Iterator[_Finished]:
        size = len(self._pending)
        entries = self._pending[:size]
        del self._pending[:size]
        groups: dict[LabelValues, list[int]] = {}
        for at, labels in enumerate(entries[4::_ENTRY]):
            groups.setdefault(labels, []).append(at)
        for labels, places in groups.items():
            ended, latencies, outcomes, rows, _, predicted = (
                [entries[at * _ENTRY + field] for at in places] for field in range(_ENTRY)
            )
            part = _Part(np.array(latencies), outcomes, rows)
            yield _Finished(labels, np.array(ended), part, predicted)

    def _add(self, stretch: int, finished: _Finished) -> None:
        """Count requests that ended in the same stretch of time."""
        labels = finished.labels
        known = self._known.get(labels) or self._bounded(labels)
        series = self._series.get(known)
        if series is None:
            series = self._series[known] = _Series(self._started)
        tally = finished.part.tally()
        series.tally.merge(tally)
        series.recent.add_all(finished.ended)
        predictions = PredictionCounts()
        predictions.add_all(_flat(finished.predicted))
        if predictions.rows:
            version = known[1] or ""
            self._predictions.setdefault(version, PredictionCounts()).merge(predictions)
        self._timeline.add(stretch, Stretch(tally, predictions))

    def _keep(self, part: _Part) -> None:
        self._window.append(part)
        self._in_window += len(part.latencies)
        while self._in_window - len(self._window[0].latencies) >= self._window_size:
            self._in_window -= len(self._window.popleft().latencies)

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


def _of_usual(
    labels: LabelValues, ended: list[float], started: list[Any], predicted: list[Any]
) -> _Finished:
    """Spell out requests that were told one by one or, where they shared a call, together."""
    if array not in set(map(type, started)):
        until = np.array(ended)
        return _Finished(labels, until, _Part(until - np.array(started)), predicted)
    moments = array("d")
    values: list[Any] = []
    sizes: list[int] = []
    for began, told in zip(started, predicted, strict=True):
        if type(began) is array:
            moments += began
            values += told
            sizes.append(len(began))
        else:
            moments.append(began)
            values.append(told)
            sizes.append(1)
    until = np.array(ended).repeat(sizes)
    return _Finished(labels, until, _Part(until - np.array(moments)), values)


def _joined(parts: Sequence[_Part], most: int) -> tuple[Tally, list[float]]:
    if not parts:
        return Tally(), []
    latencies = np.concatenate([part.latencies for part in parts])[-most:]
    outcomes, rows = _spelled_out(parts)
    outcomes, rows = outcomes[-most:], rows[-most:]
    return Tally.of(latencies, outcomes, rows), latencies.tolist()


def _spelled_out(parts: Iterable[_Part]) -> tuple[list[Outcome], list[int]]:
    outcomes: list[Outcome] = []
    rows: list[int] = []
    for part in parts:
        some, of_each = part.spelled_out()
        outcomes += some
        rows += of_each
    return outcomes, rows


def _in_order(several: Sequence[_Finished]) -> tuple[npt.NDArray[np.float64], _Part]:
    """Return requests of several labels in the order in which they ended."""
    ended = np.concatenate([each.ended for each in several])
    latencies = np.concatenate([each.part.latencies for each in several])
    places = np.argsort(ended, kind="stable")
    together = _Part(latencies, *_spelled_out(each.part for each in several))
    return ended[places], together.chosen(places.tolist())


def _chosen(finished: _Finished, places: Sequence[int]) -> _Finished:
    predicted = [finished.predicted[at] for at in places]
    part = finished.part.chosen(places)
    return _Finished(finished.labels, finished.ended[places], part, predicted)


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
