"""What a monitor knows at one moment, as a value: it merges, travels as JSON and is summarized."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nbdeploy.monitoring.statistics import Tally, describe

__all__ = ["Labels", "Snapshot"]

FORMAT = 1


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
    """

    window: Tally = field(default_factory=Tally)
    series: Mapping[Labels, Tally] = field(default_factory=dict)
    in_flight: int = 0
    uptime: float = 0.0
    rates: tuple[float, ...] = ()

    @classmethod
    def merged(cls, snapshots: Iterable[Snapshot]) -> Snapshot:
        """Add snapshots up.

        Counts, sums and buckets add exactly; the order and the grouping do not matter.
        """
        parts = list(snapshots)
        labels = dict.fromkeys(label for part in parts for label in part.series)
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
            "by_endpoint": _summaries(self.by(lambda labels: labels.endpoint)),
            "by_version": _summaries(self.by(lambda labels: labels.version)),
            "by_status": {
                status: tally.requests
                for status, tally in self.by(lambda labels: labels.status).items()
            },
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
                {**labels._asdict(), **tally.to_dict()} for labels, tally in self.series.items()
            ],
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
                    rates=tuple(float(rate) for rate in values["rates"]),
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


def _summaries(groups: Mapping[str, Tally]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "requests": tally.requests,
            "errors": tally.errors,
            "cancelled": tally.cancelled,
            "error_rate": tally.error_rate,
            "rows": tally.rows,
            **tally.latency.describe(),
        }
        for name, tally in groups.items()
    }
