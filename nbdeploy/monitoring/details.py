"""What the path of requests tells beside their latencies: stages, batches, and what was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, TypeAlias

import numpy as np

from nbdeploy.monitoring.bounded_names import OTHER, BoundedNames
from nbdeploy.monitoring.latency import LatencyHistogram

__all__ = ["REASONS", "STAGES", "Details", "DetailsLog", "Stage", "reason_of"]

Stage: TypeAlias = Literal["parse", "queue", "predict", "encode"]

STAGES: tuple[Stage, ...] = ("parse", "queue", "predict", "encode")
"""From bytes to validated rows; waiting for the model; its call, shared or not; back to bytes."""

# Counted together, stages cost a fraction of what they cost one by one.
_TOGETHER = 256

REASONS = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "unknown",
    405: "wrong_verb",
    413: "too_large",
    415: "media_type",
    421: "foreign_host",
    422: "invalid_rows",
    503: "overloaded",
    504: "deadline",
}
"""Why requests are refused, by the status of the answer."""


def reason_of(status: int) -> str:
    """Say why a request was refused."""
    return REASONS.get(status, OTHER)


@dataclass(frozen=True)
class Details:
    """What was counted, as a value.

    Parameters
    ----------
    stages
        Seconds of each stage, of the requests that were looked at.
    batches
        Calls of the model by the bit length of their rows: 1, 2 to 3, 4 to 7...
    batch_rows
        Rows of all these calls.
    rejected
        Requests that were refused before a model was chosen for them, by the reason.
    validation_errors
        Requests whose rows did not fit, by column and kind, see `SignatureError`.
    """

    stages: Mapping[str, LatencyHistogram] = field(default_factory=dict)
    batches: Mapping[int, int] = field(default_factory=dict)
    batch_rows: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    validation_errors: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def merged(cls, parts: Iterable[Details]) -> Details:
        """Add several up; the order and the grouping do not matter."""
        several = list(parts)
        stages: dict[str, LatencyHistogram] = {}
        for part in several:
            for stage, histogram in part.stages.items():
                stages.setdefault(stage, LatencyHistogram()).merge(histogram)
        return cls(
            stages,
            _total(part.batches for part in several),
            sum(part.batch_rows for part in several),
            _total(part.rejected for part in several),
            _total(part.validation_errors for part in several),
        )

    def statistics(self) -> dict[str, Any]:
        """Summarize: the keys that ``ModelMonitor.get_statistics`` tells of it."""
        calls = sum(self.batches.values())
        return {
            "stages": {
                stage: {"requests": self.stages[stage].count, **self.stages[stage].describe()}
                for stage in STAGES
                if stage in self.stages
            },
            "batch_sizes": {
                "calls": calls,
                "mean": self.batch_rows / calls if calls else None,
                "rows": {
                    _sizes(bits): count for bits, count in sorted(self.batches.items()) if count
                },
            },
            "validation_errors": [
                {"column": column, "kind": kind, "requests": count}
                for (column, kind), count in sorted(self.validation_errors.items())
            ],
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "stages": {stage: each.to_dict() for stage, each in self.stages.items()},
            "batches": [list(each) for each in sorted(self.batches.items())],
            "batch_rows": self.batch_rows,
            "rejected": dict(self.rejected),
            "validation_errors": [
                [*names, count] for names, count in sorted(self.validation_errors.items())
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Details:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            {
                str(stage): LatencyHistogram.from_dict(each)
                for stage, each in values["stages"].items()
            },
            {int(bits): int(count) for bits, count in values["batches"]},
            int(values["batch_rows"]),
            {str(reason): int(count) for reason, count in values["rejected"].items()},
            {
                (str(column), str(kind)): int(count)
                for column, kind, count in values["validation_errors"]
            },
        )


class DetailsLog:
    """Counts it; any thread may.

    Of columns the first 32 names are told apart, the others are counted as ``"other"``: callers
    can send any name.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._stages: dict[str, LatencyHistogram] = {}
            self._seconds: dict[str, list[float]] = {}
            self._batches: dict[int, int] = {}
            self._batch_rows = 0
            self._rejected: Counter[str] = Counter()
            self._misfits: Counter[tuple[str, str]] = Counter()
            self._columns = BoundedNames()

    def add_stages(self, **seconds: float) -> None:
        """Count the seconds that stages of one request took."""
        for stage, each in seconds.items():
            waiting = self._seconds.setdefault(stage, [])
            # To append is one step, and needs no lock.
            waiting.append(each)
            if len(waiting) >= _TOGETHER:
                with self._lock:
                    self._count_stages()

    def _count_stages(self) -> None:
        for stage, waiting in list(self._seconds.items()):
            size = len(waiting)
            if size:
                seconds = np.maximum(waiting[:size], 0.0)
                del waiting[:size]
                self._stages.setdefault(stage, LatencyHistogram()).add_all(seconds)

    def add_batch(self, rows: int) -> None:
        """Count a call of the model; only one thread at a time may."""
        bits = rows.bit_length()
        self._batches[bits] = self._batches.get(bits, 0) + 1
        self._batch_rows += rows

    def reject(self, reason: str) -> None:
        """Count a request that was refused before a model was chosen for it."""
        with self._lock:
            self._rejected[reason] += 1

    def add_validation_error(self, column: str | int | None, kind: str) -> None:
        """Count a request whose rows did not fit."""
        with self._lock:
            name = self._columns.known("" if column is None else str(column))
            self._misfits[name, kind] += 1

    def seen(self) -> Details:
        """Return what was counted until now."""
        with self._lock:
            self._count_stages()
            return Details(
                {stage: each.copy() for stage, each in self._stages.items()},
                dict(self._batches),
                self._batch_rows,
                dict(self._rejected),
                dict(self._misfits),
            )


def _total(parts: Iterable[Mapping[Any, int]]) -> dict[Any, int]:
    total: Counter[Any] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def _sizes(bits: int) -> str:
    low, high = 1 << (bits - 1), (1 << bits) - 1
    return str(low) if low == high else f"{low} to {high}"
