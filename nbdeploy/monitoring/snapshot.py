"""What a monitor knows at one moment, as a value: it merges, travels as JSON and is summarized."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nbdeploy.monitoring.details import REASONS, Details
from nbdeploy.monitoring.latency import describe
from nbdeploy.monitoring.predictions import PredictionCounts
from nbdeploy.monitoring.statistics import Tally
from nbdeploy.monitoring.timeline import History

__all__ = ["Labels", "Snapshot", "summary"]

FORMAT = 2

_REASONS = {str(status): reason for status, reason in REASONS.items()}


class Labels(NamedTuple):
    """What requests are told apart by.

    Parameters
    ----------
    endpoint
        The method that was called: ``"predict"``, ``"predict_proba"``...
    version
        The version that answered; ``None`` when it has no name or none was reached.
    status
        A HTTP status as text, otherwise ``"ok"``, ``"error"`` or ``"cancelled"``.
    """

    endpoint: str
    version: str | None
    status: str


@dataclass(frozen=True)
class Snapshot:
    """The counts of one monitor, or of several that were merged.

    Parameters
    ----------
    window
        The latest requests, as many as the window holds.
    series
        All requests since the start, by their labels.
    in_flight
        Requests that have begun and not ended.
    uptime
        Seconds since the start; of the oldest, when merged.
    rates
        Requests per second, one number for each monitor that was merged.
    series_rates
        The same by their labels.
    details
        Stages, batches and what was refused.
    predictions
        What was predicted, by version; ``""`` where it has no name.
    history
        The last minutes in short stretches.
    """

    window: Tally = field(default_factory=Tally)
    series: Mapping[Labels, Tally] = field(default_factory=dict)
    in_flight: int = 0
    uptime: float = 0.0
    rates: tuple[float, ...] = ()
    series_rates: Mapping[Labels, tuple[float, ...]] = field(default_factory=dict)
    details: Details = field(default_factory=Details)
    predictions: Mapping[str, PredictionCounts] = field(default_factory=dict)
    history: History = field(default_factory=History)

    @classmethod
    def merged(cls, snapshots: Iterable[Snapshot]) -> Snapshot:
        """Add snapshots up.

        Counts, sums and buckets add exactly; the order and the grouping do not matter.
        """
        parts = list(snapshots)
        labels = dict.fromkeys(label for part in parts for label in part.series)
        versions = dict.fromkeys(version for part in parts for version in part.predictions)
        return cls(
            window=Tally.total(part.window for part in parts),
            series={
                label: Tally.total(part.series[label] for part in parts if label in part.series)
                for label in labels
            },
            in_flight=sum(part.in_flight for part in parts),
            uptime=max((part.uptime for part in parts), default=0.0),
            # Kept apart because float additions depend on their order; sorted for the same reason.
            rates=tuple(sorted(rate for part in parts for rate in part.rates)),
            series_rates={
                label: tuple(
                    sorted(rate for part in parts for rate in part.series_rates.get(label, ()))
                )
                for label in dict.fromkeys(label for part in parts for label in part.series_rates)
            },
            details=Details.merged(part.details for part in parts),
            predictions={
                version: PredictionCounts.merged(
                    part.predictions[version] for part in parts if version in part.predictions
                )
                for version in versions
            },
            history=History.merged(part.history for part in parts),
        )

    @property
    def total(self) -> Tally:
        """All requests since the start."""
        return Tally.total(self.series.values())

    def by(self, key: Callable[[Labels], str | None]) -> dict[str, Tally]:
        """Group the requests since the start, in the order of the names.

        Parameters
        ----------
        key
            Returns the name of the group, or ``None`` to leave the requests out.
        """
        groups: dict[str, Tally] = {}
        for labels, tally in self.series.items():
            name = key(labels)
            if name is not None:
                groups.setdefault(name, Tally()).merge(tally)
        return dict(sorted(groups.items()))

    @property
    def rejected(self) -> dict[str, int]:
        """Requests that were refused, by the reason."""
        rejected = dict(self.details.rejected)
        for labels, tally in self.series.items():
            reason = _REASONS.get(labels.status)
            if reason is not None:
                rejected[reason] = rejected.get(reason, 0) + tally.requests
        return dict(sorted(rejected.items()))

    def rate(self, fits: Callable[[Labels], bool]) -> float:
        """Return the requests per second of some labels in the last minute."""
        return math.fsum(
            rate for labels, rates in self.series_rates.items() if fits(labels) for rate in rates
        )

    def statistics(self, latencies: Sequence[float] | None = None) -> dict[str, Any]:
        """Summarize: what ``ModelMonitor.get_statistics`` returns.

        Parameters
        ----------
        latencies
            The latencies of the window in seconds, where they are at hand: the summary of the
            window is then exact. Otherwise its quantiles come from the buckets.
        """
        total = self.total
        return {
            **(self.window.latency.describe() if latencies is None else describe(latencies)),
            "error_rate": self.window.error_rate,
            "total_predictions": self.window.requests,
            "requests_per_second": math.fsum(self.rates),
            "in_flight": self.in_flight,
            "requests": total.requests,
            "errors": total.errors,
            "cancelled": total.cancelled,
            "rows": total.rows,
            "uptime": self.uptime,
            "since_start": total.latency.describe(),
            "by_endpoint": self._summaries(lambda labels: labels.endpoint),
            "by_version": self._summaries(lambda labels: labels.version),
            "by_status": {
                status: tally.requests
                for status, tally in self.by(lambda labels: labels.status).items()
            },
            "rejected": self.rejected,
            **self.details.statistics(),
            "predictions": {
                version: counts.report() for version, counts in sorted(self.predictions.items())
            },
        }

    def _summaries(self, key: Callable[[Labels], str | None]) -> dict[str, dict[str, Any]]:
        return {
            name: {
                **summary(tally),
                "requests_per_second": self.rate(lambda labels, name=name: key(labels) == name),  # type: ignore[misc]
            }
            for name, tally in self.by(key).items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "format": FORMAT,
            "uptime": self.uptime,
            "in_flight": self.in_flight,
            "rates": list(self.rates),
            "window": self.window.to_dict(),
            "series": [
                {
                    **labels._asdict(),
                    **tally.to_dict(),
                    "rates": list(self.series_rates.get(labels, ())),
                }
                for labels, tally in self.series.items()
            ],
            "details": self.details.to_dict(),
            "predictions": {
                version: counts.to_dict() for version, counts in self.predictions.items()
            },
            "history": self.history.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Snapshot:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If the values are not those of a monitor, or of a format that this version of
            nbdeploy does not know.
        """
        try:
            found = values["format"]
            if found == FORMAT:
                return cls(
                    window=Tally.from_dict(values["window"]),
                    series={_labels(entry): Tally.from_dict(entry) for entry in values["series"]},
                    in_flight=int(values["in_flight"]),
                    uptime=float(values["uptime"]),
                    rates=_rates(values),
                    series_rates={_labels(entry): _rates(entry) for entry in values["series"]},
                    details=Details.from_dict(values["details"]),
                    predictions={
                        str(version): PredictionCounts.from_dict(counts)
                        for version, counts in values["predictions"].items()
                    },
                    history=History.from_dict(values["history"]),
                )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            message = (
                f"These are no values of a monitor ({type(error).__name__}: {error}). "
                "Expected what ModelMonitor.to_dict() returned."
            )
            raise ValueError(message) from error
        message = (
            f"The values of the monitor have format {found!r}, this nbdeploy reads {FORMAT}. "
            "Use the same version of nbdeploy on both sides."
        )
        raise ValueError(message)


def _labels(entry: Mapping[str, Any]) -> Labels:
    version = entry["version"]
    return Labels(
        str(entry["endpoint"]), None if version is None else str(version), str(entry["status"])
    )


def _rates(values: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(float(rate) for rate in values["rates"])


def summary(tally: Tally) -> dict[str, Any]:
    """Summarize requests: how many, how they ended, how long they took."""
    return {
        "requests": tally.requests,
        "errors": tally.errors,
        "cancelled": tally.cancelled,
        "error_rate": tally.error_rate,
        "rows": tally.rows,
        **tally.latency.describe(),
    }
