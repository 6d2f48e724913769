"""Many rows of plain cells, held column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np
import numpy.typing as npt

__all__ = ["CellColumns"]


class CellColumns(Sequence[tuple[Any, ...]]):
    """Rows of plain cells, from their check to the model as few long columns.

    A thousand rows are a thousand objects, made only to be taken apart again, and among which
    Python looks for garbage. Nobody writes into the columns.

    Parameters
    ----------
    columns
        One sequence a column, all of one length: a list of cells, or an array of float64, with NaN
        where a number is missing.

    Examples
    --------
    >>> rows = CellColumns([np.array([1.5, 2.5, 3.5]), ["a", "b", "c"]])
    >>> len(rows), rows[1], list(rows[::2])
    (3, (2.5, 'b'), [(1.5, 'a'), (3.5, 'c')])
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Sequence[Any]) -> None:
        self.columns = columns

    @classmethod
    def joined(cls, parts: Sequence[CellColumns]) -> CellColumns:
        """Return the rows of all parts, in order."""
        return cls([_chained(cells) for cells in zip(*(part.columns for part in parts))])  # noqa: B905 -- parts of one form

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, place: int) -> tuple[Any, ...]: ...

    @overload
    def __getitem__(self, place: slice) -> CellColumns: ...

    def __getitem__(self, place: int | slice) -> tuple[Any, ...] | CellColumns:
        if isinstance(place, slice):
            return CellColumns([_copied(cells[place]) for cells in self.columns])
        return tuple(
            cells[place].item() if isinstance(cells, np.ndarray) else cells[place]
            for cells in self.columns
        )

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*map(_as_list, self.columns), strict=True)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Return a new array of shape ``[rows, columns]``."""
        if copy is False:
            message = "Columns become one array only as a copy."
            raise ValueError(message)
        array = np.empty((len(self), len(self.columns)), dtype=dtype or object)
        for place, cells in enumerate(self.columns):
            array[:, place] = cells
        return array


def _copied(cells: Any) -> Any:
    # A view of a few cells would keep the memory of all.
    return cells.copy() if isinstance(cells, np.ndarray) else cells


def _as_list(cells: Any) -> Any:
    return cells.tolist() if isinstance(cells, np.ndarray) else cells


def _chained(parts: Sequence[Any]) -> Any:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return list(chain.from_iterable(map(_as_list, parts)))
