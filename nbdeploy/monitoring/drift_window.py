"""The rows that a version was asked lately, kept so cheaply that nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from nbdeploy.models.baseline import Baseline
from nbdeploy.models.distributions import Counts, Distribution, as_numbers

__all__ = ["WINDOW_ROWS", "DriftWindow", "Seen"]

WINDOW_ROWS = 1_000
"""Rows of a window: the latest."""

_CELLS = 500_000
_FEWEST = 100
_PAIR = 2


class Seen(NamedTuple):
    """What the cells of one column are now: counts in the places of its baseline, and a median."""

    baseline: Distribution
    counts: Counts
    median: float | None


@dataclass(frozen=True)
class _Columns:
    """Rows of one form, by column."""

    rows: int
    cells: Callable[[int], Any]


class DriftWindow:
    """The latest rows and predictions of one version, beside its baseline.

    To add rows is to append a reference. Between one and two windows of rows are in memory, at most
    about 500,000 cells a window; of a larger request every n-th row. They are counted when
    somebody asks, and never leave the process.

    Parameters
    ----------
    baseline
        How columns and predictions were distributed.
    kind
        The kind of the signature.
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
        rows: int = WINDOW_ROWS,
        learn: Callable[[], Distribution | None] | None = None,
    ) -> None:
        self._baseline = baseline
        self._kind = kind
        self._learn = learn
        self._learning = threading.Lock()
        self.limit = max(_FEWEST, min(rows, _CELLS // len(baseline.columns)))
        # Rows and predictions, one after the other in one flat list: see `Ledger`.
        self._seen: list[Any] = []
        self._size = 0

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
        """Return what to keep of rows before a model gets them: it may write into an array.

        Parameters
        ----------
        rows
            What a signature's ``validate`` gives, or a list of rows of plain cells.
        """
        step = max(1, -(-len(rows) // self.limit))
        if type(rows) is list:
            return rows if step == 1 else rows[::step]
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
        self._seen += (kept, predictions)
        self._size += len(kept)
        if self._size >= _PAIR * self.limit:
            self._trim()

    def _trim(self) -> None:
        """Drop what is older than the window."""
        seen = self._seen[:]
        size, place = 0, len(seen)
        while place and size < self.limit:
            place -= _PAIR
            size += len(seen[place])
        # A thread that adds meanwhile adds behind: one step, and no lock.
        del self._seen[:place]
        self._size = size

    def reset(self) -> None:
        """Forget all rows."""
        del self._seen[:]
        self._size = 0

    def read(self) -> tuple[int, list[Seen]]:
        """Count the latest rows: how many they are, and each column; the predictions come last."""
        baseline = self.baseline()
        seen = self._latest()
        blocks = self._blocks(seen[0::_PAIR])
        columns = [
            _counted(column, [block.cells(place) for block in blocks])
            for place, column in enumerate(baseline.columns)
        ]
        if baseline.predictions is not None:
            columns.append(_counted(baseline.predictions, [_predictions_in(seen)]))
        return sum(block.rows for block in blocks), columns

    def _latest(self) -> list[Any]:
        """Return the entries of the window; the oldest is cut."""
        seen = self._seen[:]
        size, place = 0, len(seen)
        while place and size < self.limit:
            place -= _PAIR
            size += len(seen[place])
        seen = seen[place:]
        if size > self.limit:
            kept, predictions = seen[0], seen[1]
            cut = size - self.limit
            seen[0] = kept[cut:] if not hasattr(kept, "iloc") else kept.iloc[cut:]
            seen[1] = None if predictions is None else _thinned(predictions, len(kept))[cut:]
        return seen

    def _blocks(self, parts: list[Any]) -> list[_Columns]:
        if self._kind == "values":
            values = [value for part in parts for value in part]
            return [_Columns(len(values), lambda _: values)] if values else []
        plain = [row for part in parts if type(part) is list for row in part]
        frames = [part for part in parts if isinstance(part, pd.DataFrame)]
        arrays = [part for part in parts if isinstance(part, np.ndarray)]
        blocks = []
        if plain:
            by_column = list(zip(*plain, strict=True))
            blocks.append(_Columns(len(plain), by_column.__getitem__))
        if frames:
            frame = pd.concat(frames) if len(frames) > 1 else frames[0]
            blocks.append(_Columns(len(frame), lambda place: frame.iloc[:, place]))
        if arrays:
            array = np.concatenate(arrays)
            blocks.append(_Columns(len(array), lambda place: array[:, place]))
        return blocks


def _counted(baseline: Distribution, parts: list[Any]) -> Seen:
    counts = np.zeros(len(baseline.counts), dtype=np.int64)
    for cells in parts:
        counts += baseline.count(cells)
    if not baseline.is_ordered or not parts:
        return Seen(baseline, counts, None)
    numbers = np.concatenate([as_numbers(cells, baseline.kind) for cells in parts])
    present = numbers[~np.isnan(numbers)]
    return Seen(baseline, counts, float(np.median(present)) if len(present) else None)


def _predictions_in(seen: list[Any]) -> list[Any]:
    found: list[Any] = []
    for kept, predictions in zip(seen[0::_PAIR], seen[1::_PAIR], strict=True):
        if predictions is not None:
            found += _thinned(predictions, len(kept))
    return found


def _thinned(predictions: list[Any], size: int) -> list[Any]:
    """Return the predictions of the rows that were kept."""
    return predictions if len(predictions) <= size else predictions[:: -(-len(predictions) // size)]
