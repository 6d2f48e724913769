"""A row to show people that is no row of the example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.models.columns import PLACEHOLDER, Column, Scalar

__all__ = ["unlike_any_row"]

_MOST_TRIED = 20
_MANY_ALIKE = 5


def unlike_any_row(
    columns: Sequence[Column], example: Sequence[pd.Series[Any]]
) -> tuple[Column, ...]:
    """Return the columns with typical cells that together are in no row of the example.

    Medians and modes of all columns can by chance make up a row that exists. Then one cell is
    moved, to another that the column has often. Where few columns of few categories leave no row
    that is new, the row is shown if several rows are like it, so that it tells of none of them.

    Parameters
    ----------
    columns
        The learned columns.
    example
        The cells that each was learned from.
    """
    matches: list[npt.NDArray[np.bool_]] = []
    alike: Any = np.True_
    for column, cells in zip(columns, example, strict=True):
        matches.append(_equal(cells, column.typical))
        alike = np.logical_and(alike, matches[-1])
        if not alike.any():
            return tuple(columns)
    moved = _moved(columns, example, matches, _alternatives)
    if moved is None and alike.sum() < _MANY_ALIKE:
        moved = _moved(columns, example, matches, _placeholders)
    return tuple(columns) if moved is None else moved


def _moved(
    columns: Sequence[Column],
    example: Sequence[pd.Series[Any]],
    matches: Sequence[npt.NDArray[np.bool_]],
    alternatives: Callable[[Column], Sequence[Scalar]],
) -> tuple[Column, ...] | None:
    """Return the columns with the first cell that makes the row a new one."""
    for place, column in enumerate(columns):
        others = _all([*matches[:place], *matches[place + 1 :]])
        for cell in alternatives(column):
            if not (_equal(example[place], cell) & others).any():
                moved = replace(column, typical=cell)
                return (*columns[:place], moved, *columns[place + 1 :])
    return None


def _all(matches: Sequence[npt.NDArray[np.bool_]]) -> Any:
    return np.logical_and.reduce(matches) if matches else np.True_


def _equal(cells: pd.Series[Any], typical: Scalar | None) -> npt.NDArray[np.bool_]:
    absent = cells.isna().to_numpy()
    if typical is None:
        return absent
    if cells.dtype.kind == "M":
        typical = pd.Timestamp(typical)  # type: ignore[assignment]
    return (cells == typical).fillna(value=False).to_numpy(dtype=bool) & ~absent


def _placeholders(column: Column) -> Sequence[Scalar]:
    return [PLACEHOLDER] if column.kind == "string" else []


def _alternatives(column: Column) -> Sequence[Scalar]:
    low, high, typical = column.minimum, column.maximum, column.typical
    if column.kind == "bool":
        return [not typical]
    if column.kind in {"string", "category"}:
        return column.categories[:_MOST_TRIED]
    if not isinstance(typical, (int, float)):
        return []
    if isinstance(low, str) or isinstance(high, str) or low is None or high is None:
        low = high = typical
    if column.kind == "int":
        return [value for value in (typical - 1, typical + 1) if low <= value <= high] or [
            typical + 1
        ]
    middles = [float(f"{(typical + end) / 2:.3g}") for end in (low, high)]
    return [*middles, float(f"{typical:.1g}")]
