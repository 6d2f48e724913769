"""What a monitor shows: as a table, as a plot, as text, and beside it what others tell."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdeploy.display.mime import ReprMixin
from nbdeploy.monitoring import overview
from nbdeploy.monitoring.snapshot import Snapshot, summary

if TYPE_CHECKING:
    import pandas as pd

    from nbdeploy.display.plots import Plot
    from nbdeploy.monitoring.timeline import Moment

__all__ = ["MonitorViews"]


class MonitorViews(ReprMixin, ABC):
    """Ways to look at what was counted."""

    _attached: dict[str, Callable[[], Any]]

    @abstractmethod
    def get_statistics(self) -> dict[str, Any]:
        """Summarize what was logged."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return what is known at this moment, as a value."""

    def to_frame(self) -> pd.DataFrame:
        """Return all requests since the start as a table.

        Returns
        -------
        pandas.DataFrame
            A row for each version, endpoint and status, with ``requests``, ``errors``,
            ``cancelled``, ``error_rate``, ``rows``, ``requests_per_second`` (over the last
            minute) and the latencies in seconds.

        Examples
        --------
        >>> from nbdeploy import ModelMonitor
        >>> monitor = ModelMonitor()
        >>> monitor.log_prediction([1.5], 0, latency=0.25, version="1.0")
        >>> monitor.to_frame()[["version", "endpoint", "status", "requests", "p95_latency"]]
          version endpoint status  requests  p95_latency
        0     1.0  predict     ok         1         0.25
        """
        import pandas as pd  # noqa: PLC0415 -- for who asks only

        snapshot = self.snapshot()
        rows = [
            {
                "version": labels.version,
                "endpoint": labels.endpoint,
                "status": labels.status,
                **summary(tally),
                "requests_per_second": sum(snapshot.series_rates.get(labels, ())),
            }
            for labels, tally in sorted(
                snapshot.series.items(), key=lambda item: tuple(map(str, item[0]))
            )
        ]
        columns = ["version", "endpoint", "status", *summary(Snapshot().total)]
        return pd.DataFrame(rows, columns=[*columns, "requests_per_second"])

    def plot(self) -> Plot:
        """Plot the last five minutes: throughput, latencies and what was predicted.

        Returns
        -------
        Plot
            A matplotlib figure (``.figure``) that a notebook shows; ``.savefig(path)`` writes it.
        """
        from nbdeploy.display.monitor_plots import plot_moments  # noqa: PLC0415 -- needs matplotlib

        return plot_moments(self.timeline())

    def timeline(self) -> list[Moment]:
        """Return what ended in the last five minutes, in stretches of two seconds.

        Returns
        -------
        list of Moment
            The oldest first; none before the first request.
        """
        return self.snapshot().history.moments()

    def attach(self, name: str, facts: Callable[[], Any]) -> None:
        """Let the statistics tell something else too.

        Parameters
        ----------
        name
            The key that it is told under.
        facts
            Returns values that JSON can hold, or ``None`` when there is nothing to tell.
        """
        self._attached[name] = facts

    def detach(self, name: str) -> None:
        """Tell it no more; what was not told is no error."""
        self._attached.pop(name, None)

    def attached(self, name: str) -> Any:
        """Return what else is told under a name; ``None`` if there is nothing to tell."""
        facts = self._attached.get(name)
        return None if facts is None else facts()

    def export_grafana(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write a Grafana dashboard and Prometheus' alert rules for what ``/metrics`` tells.

        Parameters
        ----------
        folder
            Where to; it is made if it is missing.

        Returns
        -------
        list of Path
            The files.
        """
        from nbdeploy.monitoring.grafana import export  # noqa: PLC0415 -- for who asks only

        return export(Path(folder))

    def to_html(self) -> str:
        """Write the statistics as HTML."""
        return overview.to_html(self.get_statistics())

    def to_text(self) -> str:
        """Write the statistics as text; unlike ``repr``, with latencies and times."""
        return overview.to_text(self.get_statistics())
