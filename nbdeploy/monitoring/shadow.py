"""What a shadow answered beside the live version: where they agree, and where not."""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Real
from typing import Any, Self

from nbdeploy.models.equality import is_equal
from nbdeploy.monitoring.latency import LatencyHistogram

__all__ = ["Change", "ShadowLog", "ShadowReport"]

_KEPT = 100
_PAIRS = 1000
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Change:
    """One row that the shadow answered otherwise.

    Parameters
    ----------
    prediction_id
        Of the answer that the caller got; the caller knows which row that was.
    row
        Its place in the request.
    live
        What the caller got.
    shadow
        What the shadow would have answered.
    """

    prediction_id: str | None
    row: int
    live: Any
    shadow: Any


@dataclass(frozen=True)
class ShadowReport:
    """What is known of a shadow at one moment.

    Parameters
    ----------
    version
        The version in the shadow.
    requests
        Those that it answered.
    errors
        Those that it failed.
    dropped
        Those that it never saw, because it was too far behind.
    rows
        Rows that both answered.
    agreed
        Rows with equal answers.
    mean_change
        The mean distance of the answers, where they are numbers.
    latency
        Seconds of a call for a single request, without waiting.
    changes
        The last rows that changed.
    pairs
        How often an answer became another, the commonest first.
    last_error
        What the last failure said.
    """

    version: str
    requests: int
    errors: int
    dropped: int
    rows: int
    agreed: int
    mean_change: float | None
    latency: LatencyHistogram
    changes: tuple[Change, ...]
    pairs: tuple[tuple[Any, Any, int], ...]
    last_error: str | None

    @property
    def agreement(self) -> float | None:
        """The share of rows with equal answers; ``None`` before the first."""
        return self.agreed / self.rows if self.rows else None

    def to_dict(self) -> dict[str, Any]:
        """Write it as JSON values."""
        return {**asdict(replace(self, latency=None)), "latency": self.latency.to_dict()}  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(
            **{
                **values,
                "latency": LatencyHistogram.from_dict(values["latency"]),
                "changes": tuple(Change(**change) for change in values["changes"]),
                "pairs": tuple(
                    (_hashable(a), _hashable(b), count) for a, b, count in values["pairs"]
                ),
            }
        )


class ShadowLog:
    """Collects what a shadow answers; any thread may tell it.

    Parameters
    ----------
    version
        The version in the shadow.
    kept
        How many changed rows are remembered, the latest.
    """

    def __init__(self, version: str, *, kept: int = _KEPT) -> None:
        self.version = version
        self.number = next(_numbers)
        """Names the log, in this process and in one that is told of it."""
        self._elsewhere: ShadowReport | None = None
        self._lock = threading.Lock()
        self._requests = self._errors = self._dropped = self._rows = self._agreed = 0
        self._distance, self._distances = 0.0, 0
        self._latency = LatencyHistogram()
        self._changes: deque[Change] = deque(maxlen=kept)
        self._pairs: Counter[tuple[Any, Any]] = Counter()
        self._last_error: str | None = None

    def compare(
        self,
        live: Sequence[Any],
        shadow: Sequence[Any],
        *,
        prediction_id: str | None = None,
        places: Sequence[int] | None = None,
    ) -> None:
        """Count one request that both answered.

        Parameters
        ----------
        live, shadow
            One answer a row, in the same order.
        prediction_id
            Of the answer that the caller got.
        places
            The rows of the request that these are; all of them when ``None``.
        """
        same = [is_equal(ours, theirs) for ours, theirs in zip(shadow, live, strict=True)]
        with self._lock:
            self._requests += 1
            self._rows += len(same)
            self._agreed += sum(same)
            rows = range(len(same)) if places is None else places
            for row, theirs, ours, agrees in zip(rows, live, shadow, same, strict=True):
                distance = abs(ours - theirs) if _are_numbers(theirs, ours) else math.nan
                if math.isfinite(distance):
                    self._distance += distance
                    self._distances += 1
                if not agrees:
                    self._changes.append(Change(prediction_id, row, theirs, ours))
                    self._count_pair(theirs, ours)

    def _count_pair(self, live: Any, shadow: Any) -> None:
        pair = (_hashable(live), _hashable(shadow))
        if pair in self._pairs or len(self._pairs) < _PAIRS:
            self._pairs[pair] += 1

    def fail(self, error: BaseException) -> None:
        """Count one request that the shadow could not answer."""
        with self._lock:
            self._errors += 1
            self._last_error = f"{type(error).__name__}: {error}"[:300]

    def drop(self) -> None:
        """Count one request that the shadow will not see."""
        with self._lock:
            self._dropped += 1

    def time(self, latency: float) -> None:
        """Count the seconds of a call for a single request."""
        with self._lock:
            self._latency.add(latency)

    def take(self, report: ShadowReport) -> None:
        """Report from now on what a log elsewhere reported."""
        self._elsewhere = report

    def report(self) -> ShadowReport:
        """Give what is known now."""
        if self._elsewhere is not None:
            return self._elsewhere
        with self._lock:
            latency = LatencyHistogram()
            latency.merge(self._latency)
            return ShadowReport(
                version=self.version,
                requests=self._requests,
                errors=self._errors,
                dropped=self._dropped,
                rows=self._rows,
                agreed=self._agreed,
                mean_change=self._distance / self._distances if self._distances else None,
                latency=latency,
                changes=tuple(self._changes),
                pairs=tuple((*pair, count) for pair, count in self._pairs.most_common()),
                last_error=self._last_error,
            )


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, Real) and not isinstance(value, bool) for value in values)


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return str(value)
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
