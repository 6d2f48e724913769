"""Whether rows and predictions still look as they did when the model was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nbdeploy.display.html import Html, element, fragment, visible
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.display.units import MISSING, counted, percent
from nbdeploy.models.distributions import Counts, Distribution
from nbdeploy.monitoring.drift_measures import (
    chi_square,
    holm,
    jensen_shannon,
    kolmogorov_smirnov,
    stability_index,
)
from nbdeploy.monitoring.drift_window import DriftWindow, Seen
from nbdeploy.monitoring.drift_words import change_in_words, coarse, unseen_share

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ALPHA",
    "LEAST_DISTANCE",
    "LEAST_ROWS",
    "LEAST_STABILITY_INDEX",
    "Drift",
    "DriftRow",
    "measure_drift",
]

ALPHA = 0.01
"""The chance of a false alarm in a window, at most."""

LEAST_STABILITY_INDEX = 0.1
"""A smaller index is no change that counts, however sure it is (Siddiqi 2006)."""

LEAST_DISTANCE = 0.13
"""The Jensen-Shannon distance of a small change with that index: the root of 0.1 / (8 ln 2)."""

LEAST_ROWS = 30
"""Fewer rows are not judged."""

_COLUMNS = ("column", "kind", "PSI", "p", "corrected p", "missing", "unseen", "what changed")
_VERSION = "version"


@dataclass(frozen=True)
class DriftRow:
    """One column of one version, or its predictions.

    Parameters
    ----------
    version
        Which version was asked.
    feature
        The name of the column; ``"prediction"`` of the predictions.
    kind
        What is compared: numbers, dates, the lengths of texts or categories.
    is_prediction
        Whether it is of the predictions.
    rows
        How many rows were seen.
    psi
        The population stability index, 0 or more.
    distance
        The Jensen-Shannon distance, from 0 to 1; of predictions only.
    p
        The chance of so large a difference where nothing changed.
    corrected_p
        The same, corrected for the number of columns.
    missing
        The share of missing values now.
    unseen
        The share of values outside of the range, or of the categories, of the baseline; ``None``
        where not all its categories are known.
    verdict
        In words: ``"island: Torgersen 15 % -> 41 %"``.
    alarm
        Whether it changed, surely and by an amount that counts.
    """

    version: str
    feature: str
    kind: Literal["number", "date", "text", "category"]
    is_prediction: bool
    rows: int
    psi: float
    distance: float | None
    p: float
    corrected_p: float
    missing: float
    unseen: float | None
    verdict: str
    alarm: bool


@dataclass(frozen=True, repr=False)
class Drift(ReprMixin):
    """How far the latest rows of every live version are from its baseline.

    A column alarms when both hold:

    * its corrected p value is at most 0.01. Of numbers, dates and lengths of texts the p value is
      that of the Kolmogorov-Smirnov test; of categories, and of what is missing, that of the
      chi-square test. Missing values and categories that the baseline never saw are counted as
      places of their own. Holm's correction is over all columns and versions.
    * its population stability index, over at most ten bins, is at least 0.1 [1]_; of predictions
      the Jensen-Shannon distance [2]_ is at least 0.13, which is the same for a small change. With
      thousands of rows a p value alone would alarm about changes that nobody minds.

    **False alarms.** Where nothing changed, at most 1 % of the windows raise any alarm, whatever
    the number of columns and however they depend on each other: Holm's method bounds just that. Of
    3,000 simulated windows of five columns, 500 rows before and 200 now, 0.7 % had such a p value
    and 0.3 % an alarm. This holds for rows that are independent of each other: a row that is sent
    again and again, or rows that come in an order, are a change of what is asked, and alarm.
    Windows that overlap share their rows: to look every second at the same 1,000 rows is not
    another test each time. Fewer than 30 rows are not judged.

    Parameters
    ----------
    rows
        One for each column of each version, in the order of the columns, the predictions last.
    notes
        What else is to be known: what cannot be judged, and why.

    References
    ----------
    .. [1] N. Siddiqi, "Credit Risk Scorecards", Wiley 2006: below 0.1 no significant change.
    .. [2] J. Lin, IEEE Transactions on Information Theory 37 (1991), 145-151. For small changes the
       divergence in bits is PSI / (8 ln 2).
    """

    rows: tuple[DriftRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[DriftRow, ...]:
        """The rows that alarm, the surest first."""
        return tuple(sorted((row for row in self.rows if row.alarm), key=lambda row: row.p))

    @property
    def alarm(self) -> bool:
        """Whether anything alarms."""
        return bool(self.alarms)

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that were judged."""
        return tuple(dict.fromkeys(row.version for row in self.rows))

    @property
    def verdict(self) -> str:
        """What changed, in words."""
        if not self.rows:
            return " ".join(self.notes) or "Nothing to judge yet."
        alarms = self.alarms
        if not alarms:
            columns = len({row.feature for row in self.rows})
            return f"No drift in {counted(columns, 'column')}."
        several = len(self.versions) > 1
        return "; ".join(
            f"{row.verdict} ({row.version})" if several else row.verdict for row in alarms
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a DataFrame."""
        import pandas as pd  # noqa: PLC0415 -- heavy import

        return pd.DataFrame(
            [asdict(row) for row in self.rows], columns=list(DriftRow.__annotations__)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {"rows": [asdict(row) for row in self.rows], "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Drift:
        """Read what :meth:`to_dict` wrote."""
        return cls(tuple(DriftRow(**row) for row in values["rows"]), tuple(values["notes"]))

    def __repr__(self) -> str:
        return f"<Drift: {counted(len(self.alarms), 'alarm')} in {counted(len(self.rows), 'row')}>"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the verdict and the table as text."""
        lines = [visible(self.verdict)]
        if self.rows:
            lines += ["", self._table().to_text(), *map(visible, self.notes)]
        return "\n".join(lines)

    def to_html(self) -> str:
        """Write the verdict and the table as a card."""
        verdict = element("div", element("strong", element("bdi", self.verdict)), class_="nbd-head")
        if not self.rows:
            return fragment(verdict, class_="nbd-card")
        notes = Html("".join(element("div", note, class_="nbd-quiet") for note in self.notes))
        table = element("div", self._table().element(), class_="nbd-scroll")
        return fragment(verdict, table, notes, class_="nbd-card")

    def _table(self) -> Table:
        several = len(self.versions) > 1
        columns = (_VERSION, *_COLUMNS) if several else _COLUMNS
        # What alarms first; the others as they are.
        shown = sorted(self.rows, key=lambda row: (not row.alarm, row.p if row.alarm else 0.0))
        cells = [((row.version,) if several else ()) + _cells_of(row) for row in shown]
        return Table(columns, cells, right=_COLUMNS[2:7], noun="column")


def _cells_of(row: DriftRow) -> tuple[str, ...]:
    return (
        row.feature,
        row.kind,
        f"{row.psi:.2f}",
        _chance(row.p),
        _chance(row.corrected_p),
        percent(row.missing),
        MISSING if row.unseen is None else percent(row.unseen),
        f"ALARM {row.verdict}" if row.alarm else "no drift",
    )


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004 -- what three digits can show


def measure_drift(
    windows: Iterable[tuple[str, DriftWindow | None]], *, alpha: float = ALPHA
) -> Drift:
    """Compare the latest rows of versions with their baselines.

    Parameters
    ----------
    windows
        The versions, each with its rows; ``None`` where it has no baseline.
    alpha
        The chance of a false alarm, at most.
    """
    rows: list[DriftRow] = []
    notes: list[str] = []
    versions = list(windows)
    for version, window in versions:
        # The name of an only version may be a digest, which tells readers nothing.
        who = "The model" if len(versions) == 1 else f"Version {version}"
        if window is None:
            notes.append(
                f"{who} has no baseline: pass example= with at least {LEAST_ROWS} rows to "
                "deploy(), save_model() or save_model_version()."
            )
            continue
        size, columns = window.read()
        if size < LEAST_ROWS:
            notes.append(
                f"{who} was asked {counted(size, 'row')} so far; "
                f"{LEAST_ROWS} are needed for a judgement."
            )
            continue
        has_predictions = window.baseline().predictions is not None
        last = len(columns) - 1 if has_predictions else len(columns)
        rows += [
            _row_of(version, seen, is_prediction=place == last)
            for place, seen in enumerate(columns)
            if seen.counts.sum() >= LEAST_ROWS
        ]
    corrected = holm([row.p for row in rows])
    return Drift(tuple(map(_judged, rows, corrected, [alpha] * len(rows))), tuple(notes))


def _judged(row: DriftRow, corrected: float, alpha: float) -> DriftRow:
    counts = row.psi >= LEAST_STABILITY_INDEX
    if row.distance is not None:
        counts = row.distance >= LEAST_DISTANCE
    return replace(row, corrected_p=corrected, alarm=corrected <= alpha and counts)


def _row_of(version: str, seen: Seen, *, is_prediction: bool) -> DriftRow:
    baseline, now = seen.baseline, seen.counts
    before = np.array(baseline.counts)
    shares = coarse(baseline, before), coarse(baseline, now)
    return DriftRow(
        version=version,
        feature=baseline.name,
        kind=baseline.kind,
        is_prediction=is_prediction,
        rows=int(now.sum()),
        psi=stability_index(*shares),
        distance=jensen_shannon(*shares) if is_prediction else None,
        p=_chance_of(baseline, before, now),
        corrected_p=1.0,
        missing=float(now[0] / now.sum()),
        unseen=unseen_share(baseline, now),
        verdict=change_in_words(baseline, now, median=seen.median),
        alarm=False,
    )


def _chance_of(baseline: Distribution, before: Counts, now: Counts) -> float:
    if not baseline.is_ordered:
        return chi_square(before, now)
    moved = kolmogorov_smirnov(before[1:], now[1:])
    if not before[0] and not now[0]:
        return moved
    # Two looks at one column: Bonferroni.
    sides: Sequence[Counts] = [np.array([each[0], each[1:].sum()]) for each in (before, now)]
    return min(1.0, 2 * min(moved, chi_square(*sides)))
