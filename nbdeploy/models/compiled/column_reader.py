"""From many rows to numbers, column by column: one array for each that the rows have."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.compiled.features import Number, Table
from nbdeploy.models.compiled.lookups import Lookup, Pairs, numbered
from nbdeploy.models.compiled.outcomes import Unanswerable

__all__ = ["ColumnReader"]

_Array = npt.NDArray[np.float64]


class ColumnReader:
    """Read features of many rows: arithmetic of whole columns, a table for each category.

    Parameters
    ----------
    table
        The features, all of them numbers or codes.
    lookups
        What categories become, each with the place of its cell in the row.
    defaults
        The features of a row without any, shape ``[1, features]``.
    """

    def __init__(
        self, table: Table, lookups: Sequence[tuple[int, Lookup[Pairs]]], defaults: _Array
    ) -> None:
        self._numbers = [
            (slot, feature)
            for slot, feature in enumerate(table.features)
            if isinstance(feature, Number)
        ]
        self._codes = [_Codes(place, lookup) for place, lookup in lookups]
        self._defaults = defaults

    def read(self, rows: Sequence[Sequence[Any]]) -> _Array:
        """Return an array of shape ``[n, features]``.

        Raises
        ------
        Unanswerable
            A cell is text where a number is expected, or the model would refuse it.
        """
        columns = rows.columns if isinstance(rows, CellColumns) else list(zip(*rows, strict=True))
        features = self._defaults.repeat(len(rows), axis=0)
        arrays: dict[int, _Array] = {}
        for slot, number in self._numbers:
            if number.place not in arrays:
                arrays[number.place] = _floats(columns[number.place])
            values = arrays[number.place]
            for step in number.steps:
                values = step.vector(values, step.operand)
            features[:, slot] = values
        for codes in self._codes:
            codes.write(columns[codes.place], features)
        return features


class _Codes:
    """What one lookup writes into the features of many rows.

    A category writes few of the features that its column decides, of a one-hot encoder a single
    one: so its pairs are written one after the other, the first of all rows, then the second.
    """

    def __init__(self, place: int, lookup: Lookup[Pairs]) -> None:
        self.place = place
        self._numbers, outcomes = numbered(lookup)
        self._pairs = [
            _nth_pairs(outcomes, place) for place in range(max(map(len, outcomes), default=0))
        ]

    def write(self, cells: Sequence[Any], features: _Array) -> None:
        """Write the features that a column of cells decides."""
        plain = cells.tolist() if isinstance(cells, np.ndarray) else cells
        found = np.fromiter(map(self._numbers.__getitem__, plain), np.intp, len(plain))
        for has_pair, slots, values in self._pairs:
            rows = np.flatnonzero(has_pair[found])
            written = found[rows]
            features[rows, slots[written]] = values[written]


def _nth_pairs(
    outcomes: Sequence[Pairs], nth: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp], _Array]:
    """Return which outcomes have so many pairs, and the places and values of the last of them."""
    has_pair = np.array([len(pairs) > nth for pairs in outcomes])
    slots = np.zeros(len(outcomes), dtype=np.intp)
    values = np.zeros(len(outcomes))
    for number, pairs in enumerate(outcomes):
        if len(pairs) > nth:
            slots[number], values[number] = pairs[nth]
    return has_pair, slots, values


def _floats(cells: Sequence[Any]) -> _Array:
    """Return numbers as float64, NaN where there is none; text is no number."""
    if isinstance(cells, np.ndarray):
        return cells
    try:
        return np.frombuffer(array("d", cells))
    except TypeError:
        if str in set(map(type, cells)):
            raise Unanswerable from None
        return np.array(cells, dtype=np.float64)
