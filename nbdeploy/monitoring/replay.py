"""What came of recorded requests that were asked again: `Deployment.shadow` with ``replay=``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nbdeploy.display.html import visible
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.display.units import count, counted, duration, percent
from nbdeploy.display.verdicts import verdict_card
from nbdeploy.exceptions import ServingError
from nbdeploy.monitoring.latency import LatencyHistogram
from nbdeploy.monitoring.log_files import log_files
from nbdeploy.monitoring.request_log import folder_of
from nbdeploy.monitoring.shadow import Change, ShadowReport

__all__ = ["Replay", "recorded_files"]

_SHOWN = 10


def recorded_files(folder: str | os.PathLike[str], service: str) -> list[Path]:
    """Find the files in which the requests of a service were recorded, the oldest first.

    Parameters
    ----------
    folder
        That of the log, or that of the service in it.
    service
        Its name.

    Raises
    ------
    ServingError
        If there are none.
    """
    around = Path(folder).expanduser()
    if not around.is_dir():
        message = (
            f"replay={str(folder)!r}: there is no such folder. Expected the one that "
            "deploy(model, request_log=folder) records requests in."
        )
        raise ServingError(message)
    for place in (folder_of(around, service), around):
        if place.is_dir() and (found := log_files(place)):
            return found
    others = sorted(each.name for each in around.iterdir() if each.is_dir() and log_files(each))
    hint = f" It has requests of {', '.join(others)}: name that folder in it." if others else ""
    message = (
        f"replay={str(folder)!r} has no requests of {service!r}.{hint} They are recorded after "
        f"deploy(model, name={service!r}, request_log=folder)."
    )
    raise ServingError(message)


@dataclass(frozen=True, repr=False)
class Replay(ReprMixin):
    """How a version answers requests that were recorded, beside what callers got.

    Parameters
    ----------
    report
        What it answered: ``requests``, ``errors``, ``rows``, ``agreed``, ``changes``.
    recorded
        Seconds that the same requests took when they were recorded.
    answered_by
        How many of them each version had answered.
    skipped
        How many requests could not be replayed, by the reason.
    failed_then
        Those that failed when they were recorded.
    rescued
        Those of them that the version answers.
    unclear
        Rows whose answer hangs on a column that was redacted: they cannot be compared.
    stand_ins
        Columns that were redacted, and for which a usual value stood in.
    """

    report: ShadowReport
    recorded: LatencyHistogram
    answered_by: Mapping[str, int]
    skipped: Mapping[str, int]
    failed_then: int = 0
    rescued: int = 0
    unclear: int = 0
    stand_ins: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version that was asked."""
        return self.report.version

    @property
    def requests(self) -> int:
        """Requests that it was asked again."""
        return self.report.requests + self.report.errors + self.rescued

    @property
    def errors(self) -> int:
        """Requests that it failed."""
        return self.report.errors

    @property
    def changed(self) -> int:
        """Rows whose prediction changed."""
        return self.report.rows - self.report.agreed

    @property
    def changes(self) -> tuple[Change, ...]:
        """The rows that changed, the last 10,000: the id of the request, the row, both answers."""
        return self.report.changes

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence or two."""
        if not self.requests:
            return f"No recorded request could be asked again of {self.version}."
        rows = self.report.rows
        share = f" ({percent(self.changed / rows)})" if rows else ""
        said = (
            f"{self.version} was asked {counted(self.requests, 'recorded request')}: of "
            f"{counted(rows, 'prediction')} {count(self.changed)} change{share}, and "
            f"{count(self.errors)} requests fail."
        )
        if self.stand_ins:
            said += (
                f" Redacted: for {', '.join(self.stand_ins)} a usual value stood in; compared are "
                "rows for which the version that answered does not care."
            )
        return said

    def to_frame(self) -> pd.DataFrame:
        """Give the rows that changed as a DataFrame: request, row, then, now."""
        rows = [(each.prediction_id, each.row, each.live, each.shadow) for each in self.changes]
        return pd.DataFrame(rows, columns=["request", "row", "then", "now"])

    def __repr__(self) -> str:
        return f"<Replay of {counted(self.requests, 'request')} by {self.version}>"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the verdict and the tables as text."""
        tables = [f"{title}\n{table.to_text()}" for title, table in self._tables()]
        return "\n\n".join([visible(self.verdict), *tables])

    def to_html(self) -> str:
        """Write the verdict and the tables as a card."""
        return verdict_card(self.verdict, self._tables())

    def _tables(self) -> Iterator[tuple[str, Table]]:
        yield "Its latency is that of the call alone; then, that of the answer", self._summary()
        if self.report.last_error is not None:
            yield "Its last error", Table(("error",), ((self.report.last_error,),))
        if self.report.pairs and not _are_numbers(self.changes):
            pairs = tuple((str(was), str(now), count(n)) for was, now, n in self.report.pairs)
            table = Table(
                ("then", "now", "rows"), pairs, right=("rows",), limit=_SHOWN, noun="change"
            )
            yield "Predictions that changed", table
        if self.changes:
            yield "The last of them", self._examples()
        if self.skipped or self.unclear:
            yield "Not compared", self._left_out()

    def _summary(self) -> Table:
        report = self.report
        row = [self.version, count(self.requests), count(self.errors)]
        row += [count(report.rows), count(self.changed)]
        columns = ["version", "requests", "errors", "rows", "changed"]
        if self.failed_then:
            columns += ["failed then", "of these answered now"]
            row += [count(self.failed_then), count(self.rescued)]
        for quantile in (0.50, 0.95):
            columns += [f"p{quantile * 100:.0f}", f"p{quantile * 100:.0f} then"]
            row += [duration(report.latency.quantile(quantile))]
            row += [duration(self.recorded.quantile(quantile))]
        return Table(tuple(columns), (tuple(row),), right=columns[1:])

    def _examples(self) -> Table:
        rows = tuple(
            (str(each.prediction_id), str(each.row), str(each.live), str(each.shadow))
            for each in reversed(self.changes)
        )
        columns = ("request", "row", "then", "now")
        return Table(columns, rows, right=columns[1:], limit=_SHOWN, noun="change")

    def _left_out(self) -> Table:
        rows = [(why, counted(times, "request")) for why, times in self.skipped.items()]
        if self.unclear:
            why = "the answer hangs on a redacted column"
            rows.append((why, counted(self.unclear, "row")))
        return Table(("why", "how many"), rows, right=("how many",))


def _are_numbers(changes: tuple[Change, ...]) -> bool:
    return any(isinstance(each.live, (float, list)) for each in changes)
