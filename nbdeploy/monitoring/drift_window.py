"""The rows that a version was asked lately, kept so cheaply that nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from nbdeploy.models.baseline import Baseline
from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.distributions import Counts, Distribution, as_numbers

__all__ = ["WINDOW_ROWS", "DriftWindow", "Seen"]

WINDOW_ROWS = 1_000
"""Rows of a window: the latest."""

_CELLS = 500_000
_FEWEST = 100


class Seen(NamedTuple):
    """What the cells of one column are now: counts in the places of its baseline, and a median."""

    baseline: Distribution
    counts: Counts
    median: float | None


class DriftWindow:
    """The latest rows and predictions of one version, beside its baseline.

    Between one and two windows of rows are in memory, at most about 500,000 cells a window; of a
    larger request every n-th row. They are counted when somebody asks, and never leave the process.

    Parameters
    ----------
    baseline
        How columns and predictions were distributed.
    kind
        The kind of the signature.
    width
        How many columns the signature has, where it has more than the baseline.
    rows
        How many rows a window has.
    learn
        Gives the distribution of the predictions of the example where the baseline has none; asked
        once, when the drift is asked for the first time.
    """

    def __init__(
        self,
        baseline: Baseline,
        kind: Literal["frame", "array", "values"],
        *,
        width: int | None = None,
        rows: int = WINDOW_ROWS,
        learn: Callable[[], Distribution | None] | None = None,
    ) -> None:
        self._baseline = baseline
        self._learn = learn
        self._learning = threading.Lock()
        self._is_flat = kind == "values"
        self._width = width or len(baseline.columns)
        self.limit = max(_FEWEST, min(rows, _CELLS // self._width))
        self._most_cells = 2 * self.limit * self._width
        # One flat list: rows that live on would each be looked at by every garbage collection.
        self._cells: list[Any] = []
        # Tables, each with the number of rows that were added up to its end.
        self._tables: list[tuple[int, Any]] = []
        self._predictions: list[Any] = []
        self._added = 0

    def baseline(self) -> Baseline:
        """Return how it was, with predictions where the model can tell them."""
        with self._learning:
            if self._learn is not None:
                self._baseline = self._baseline.with_predictions(self._learn())
                self._learn = None
        return self._baseline

    def baseline_of_columns(self) -> Baseline:
        """Return how the columns were; the model is not asked."""
        return self._baseline.with_predictions(None)

    def keep(self, rows: Any) -> Any:
        """Return what to keep of rows before a model gets them: it may write into a table.

        Parameters
        ----------
        rows
            What a signature's ``validate`` gives, or plain cells: a list of rows, or columns.
        """
        if type(rows) is list:
            return rows
        step = self._step(len(rows))
        if isinstance(rows, CellColumns):
            return rows[::step]
        if isinstance(rows, (pd.DataFrame, pd.Series)):
            return rows.iloc[::step].copy()
        return rows[::step].copy()

    def add(self, kept: Any, predictions: list[Any] | None) -> None:
        """Add rows that were answered.

        Parameters
        ----------
        kept
            What `keep` gave.
        predictions
            One a row that was asked; ``None`` where the method was none that predicts.
        """
        if type(kept) is list and len(kept) == 1:
            # The commonest request of all.
            self._cells += kept if self._is_flat else kept[0]
            self._added += 1
        else:
            self._add_many(kept)
        if len(self._cells) >= self._most_cells:
            del self._cells[: -self._most_cells // 2]
        if predictions and type(predictions[0]) is not list:
            self._predictions += (
                predictions
                if len(predictions) == 1
                else predictions[:: self._step(len(predictions))]
            )
            if len(self._predictions) >= 2 * self.limit:
                del self._predictions[: -self.limit]

    def _add_many(self, kept: Any) -> None:
        if self._is_flat or type(kept) is list:
            rows = kept.tolist() if hasattr(kept, "tolist") else kept
            rows = rows[:: self._step(len(rows))]
            self._cells += rows if self._is_flat else chain.from_iterable(rows)
            self._added += len(rows)
            return
        self._added += len(kept)
        self._tables.append((self._added, kept))
        oldest = self._added - self.limit
        while self._tables[0][0] <= oldest:
            del self._tables[0]

    def _step(self, size: int) -> int:
        return max(1, -(-size // self.limit))

    def reset(self) -> None:
        """Forget all rows."""
        del self._cells[:], self._tables[:], self._predictions[:]

    def read(self) -> tuple[int, list[Seen]]:
        """Count the latest rows: how many they are, and each column; the predictions come last."""
        baseline = self.baseline()
        tables = self._latest_tables()
        room = self.limit - sum(map(len, tables))
        cells = self._cells[-room * self._width :] if room else []
        rows = len(cells) // self._width + sum(map(len, tables))
        columns = [
            _counted(
                column, [cells[place :: self._width], *(_column(each, place) for each in tables)]
            )
            for place, column in enumerate(baseline.columns)
        ]
        if baseline.predictions is not None:
            columns.append(_counted(baseline.predictions, [self._predictions[-self.limit :]]))
        return rows, columns

    def _latest_tables(self) -> list[Any]:
        """Return the tables of the window, those of one form joined; the oldest is cut."""
        oldest = self._added - self.limit
        parts = []
        for end, table in self._tables[:]:
            wanted = end - oldest
            if wanted > 0:
                cut = max(0, len(table) - wanted)
                parts.append(table.iloc[cut:] if hasattr(table, "iloc") else table[cut:])
        frames = [part for part in parts if isinstance(part, pd.DataFrame)]
        arrays = [part for part in parts if isinstance(part, np.ndarray)]
        joined: list[Any] = [part for part in parts if isinstance(part, CellColumns)]
        joined += [pd.concat(frames)] if frames else []
        return [*joined, np.concatenate(arrays)] if arrays else joined


def _column(table: Any, place: int) -> Any:
    if isinstance(table, CellColumns):
        return table.columns[place]
    return table.iloc[:, place] if hasattr(table, "iloc") else table[:, place]


def _counted(baseline: Distribution, parts: list[Any]) -> Seen:
    counts = np.zeros(len(baseline.counts), dtype=np.int64)
    for cells in parts:
        counts += baseline.count(cells)
    if not baseline.is_ordered:
        return Seen(baseline, counts, None)
    numbers = np.concatenate([as_numbers(cells, baseline.kind) for cells in parts])
    present = numbers[~np.isnan(numbers)]
    return Seen(baseline, counts, float(np.median(present)) if len(present) else None)
