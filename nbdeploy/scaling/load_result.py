"""What came of a load: latencies, throughput, errors, versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from nbdeploy.display import units
from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.monitoring.latency import quantile

if TYPE_CHECKING:
    from nbdeploy.display.plots import Plot

__all__ = ["LoadResult", "Sample"]

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_LEAST_INTERVALS, _MOST_INTERVALS, _IN_EACH = 5, 40, 10
_ROWS = 10
# From here on, what sends the load is part of what is measured.
_LATE = 0.01
_OK = "200"
_ROUNDING = 1e-9


class Sample(NamedTuple):
    """One request.

    `due` is when it should have been sent, in seconds from the start; `late` how much later it
    was; `latency` the seconds from when it was due until its end; `outcome` the status of the
    answer, or ``refused``, ``broken``, ``timeout``; `version` the model that answered.
    """

    due: float
    late: float
    latency: float
    outcome: str
    version: str


@dataclass(frozen=True, repr=False)
class LoadResult(ReprMixin):
    """What came of a load.

    Parameters
    ----------
    samples
        The requests, in the order of their ends.
    seconds
        How long new ones were sent.
    sent
        How, in words.
    replicas
        Moments, and how many replicas there were.
    is_interrupted
        Whether it was stopped early.
    notes
        What else a reader should know.
    """

    samples: Sequence[Sample]
    seconds: float
    sent: str
    replicas: Sequence[tuple[float, int]] = ()
    is_interrupted: bool = False
    notes: Sequence[str] = field(default=())

    @cached_property
    def answered(self) -> list[Sample]:
        """The requests that were answered well."""
        return [sample for sample in self.samples if sample.outcome == _OK]

    @property
    def errors(self) -> dict[str, int]:
        """How often what went wrong, by status or kind."""
        counts = Counter(sample.outcome for sample in self.samples if sample.outcome != _OK)
        return dict(sorted(counts.items()))

    @property
    def versions(self) -> dict[str, int]:
        """How many answers each version gave."""
        return dict(sorted(Counter(sample.version for sample in self.answered).items()))

    @property
    def error_rate(self) -> float:
        """The share of requests that were not answered well; 0 without requests."""
        return 1 - len(self.answered) / len(self.samples) if self.samples else 0.0

    @property
    def throughput(self) -> float:
        """Good answers a second, until the last of them was there."""
        ends = [sample.due + sample.latency for sample in self.answered]
        return len(ends) / max(self.seconds, *ends) if ends else 0.0

    @cached_property
    def latency(self) -> Mapping[str, float | None]:
        """Quantiles of the seconds until a good answer: p50, p95, p99, max."""
        return _described(self.answered)

    @property
    def p95(self) -> float | None:
        """Seconds within which 95 % of the good answers came."""
        return self.latency["p95"]

    @property
    def late(self) -> float:
        """By how many seconds the sender was late, in 95 % of cases at most."""
        return (
            quantile(sorted(sample.late for sample in self.samples), 0.95) if self.samples else 0.0
        )

    def plot(self) -> Plot:
        """Draw latency quantiles, rates and, where known, replicas over time."""
        from nbdeploy.display.scaling_plots import load_plot  # noqa: PLC0415 -- matplotlib: 1 s

        count = max(_LEAST_INTERVALS, min(len(self.samples) // _IN_EACH, _MOST_INTERVALS))
        length = self.seconds / count
        parts = self._parts(count)
        described = [_described(_good(part)) for part in parts]
        return load_plot(
            [(number + 0.5) * length for number in range(count)],
            {name: [each[name] for each in described] for name in _QUANTILES},
            answered=[len(_good(part)) / length for part in parts],
            failed=[(len(part) - len(_good(part))) / length for part in parts],
            replicas=self.replicas,
        )

    def table(self) -> Table:
        """Tell the course of it: what was due in each tenth of the time."""
        count = _ROWS if len(self.samples) >= _ROWS else 1
        length = self.seconds / count
        columns: tuple[str, ...] = ("from", "requests", "failed", *_QUANTILES, "replicas")
        rows: list[tuple[str, ...]] = []
        for number, part in enumerate(self._parts(count)):
            latency = _described(_good(part))
            rows.append(
                (
                    units.duration(number * length),
                    units.count(len(part)),
                    units.count(len(part) - len(_good(part))),
                    *(units.duration(latency[name]) for name in _QUANTILES),
                    self._replicas_at((number + 1) * length),
                )
            )
        if not self.replicas:
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        return Table(columns, rows, right=columns, noun="interval")

    def facts(self) -> list[tuple[str, str]]:
        """Sum it up in names and texts."""
        latency = {name: units.duration(value) for name, value in self.latency.items()}
        facts = [
            ("sent", self.sent + (", interrupted" if self.is_interrupted else "")),
            (
                "answered",
                f"{len(self.answered):,} of {units.counted(len(self.samples), 'request')}",
            ),
            ("throughput", units.rate(self.throughput)),
            ("latency", ", ".join(f"{name} {text}" for name, text in latency.items())),
        ]
        if self.errors:
            told = ", ".join(f"{count:,} times {kind}" for kind, count in self.errors.items())
            facts.append(("failed", f"{units.percent(self.error_rate)}: {told}"))
        if len(self.versions) > 1:
            told = ", ".join(f"{count:,} by {name}" for name, count in self.versions.items())
            facts.append(("versions", told))
        return facts

    def all_notes(self) -> list[str]:
        """List what a reader should know before believing the numbers."""
        notes = list(self.notes)
        if self.late > _LATE:
            notes.append(
                f"5 % of the requests left {units.duration(self.late)} late or more: all "
                "connections, or this machine's processors, were busy. They count as waiting."
            )
        return notes

    def __repr__(self) -> str:
        return f"<LoadResult: {'; '.join(f'{name} {text}' for name, text in self.facts())}>"

    def to_text(self) -> str:
        """Write the sum, the course and the notes."""
        summed = Table(("load test", ""), self.facts()).to_text()
        return "\n".join([summed, "", self.table().to_text(), *self.all_notes()])

    def to_html(self) -> str:
        """Write the sum, the course and the notes."""
        notes = (element("div", note, class_="nbd-quiet") for note in self.all_notes())
        summed = Table(("load test", ""), self.facts()).element()
        return fragment(summed, self.table().element(), *notes)

    def _parts(self, count: int) -> list[list[Sample]]:
        parts: list[list[Sample]] = [[] for _ in range(count)]
        for sample in self.samples:
            # 0.3 / 3 * 10 is 0.9999999999999999 for a computer, and belongs to the second part.
            number = int(sample.due / self.seconds * count + _ROUNDING)
            parts[min(number, count - 1)].append(sample)
        return parts

    def _replicas_at(self, time: float) -> str:
        known = [count for moment, count in self.replicas if moment <= time]
        return str(known[-1]) if known else units.MISSING


def _good(samples: Iterable[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.outcome == _OK]


def _described(samples: Iterable[Sample]) -> dict[str, float | None]:
    ordered = sorted(sample.latency for sample in samples)
    if not ordered:
        return dict.fromkeys([*_QUANTILES, "max"])
    return {**{name: quantile(ordered, q) for name, q in _QUANTILES.items()}, "max": ordered[-1]}
