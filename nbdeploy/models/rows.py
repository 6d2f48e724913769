"""Rows taken apart: any form a caller may send them in, brought to the model's order of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.columns import Label, list_values, shorten
from nbdeploy.models.example import as_frame
from nbdeploy.models.misfit import near_miss

__all__ = ["QUICK_ROWS", "Layout", "RawTable", "take_values"]

QUICK_ROWS = 64
"""Above so many rows a look at whole columns is faster than one at every cell."""

_SEQUENCES = (list, tuple, np.ndarray, pd.Series)
_TWO_DIMENSIONS = 2
_SPELLED_OUT = 5


@dataclass(frozen=True, eq=False)
class RawTable:
    """Raw cells in the model's order of columns: exactly one of rows, columns, matrix and frame.

    Parameters
    ----------
    count
        Number of rows.
    rows
        The rows, all of the right width.
    columns
        One sequence, array or Series for each column.
    matrix
        An array of shape (rows, columns).
    frame
        A DataFrame, already in the right order.
    """

    count: int
    rows: Sequence[Sequence[Any]] = ()
    columns: Sequence[Any] = ()
    matrix: npt.NDArray[Any] | None = None
    frame: pd.DataFrame | None = None

    @property
    def index(self) -> pd.Index[Any] | None:
        """The index of the DataFrame that was given."""
        return None if self.frame is None else self.frame.index

    def by_column(self) -> Sequence[Any]:
        """Return the cells of each column."""
        if self.frame is not None:
            return [self.frame.iloc[:, place] for place in range(self.frame.shape[1])]
        if self.matrix is not None:
            return list(self.matrix.T)
        return self.columns or list(zip(*self.rows, strict=True))

    def cells(self) -> Sequence[Sequence[Any]] | npt.NDArray[Any] | None:
        """Return all cells at once; ``None`` where they are only known column by column."""
        if self.frame is not None:
            is_numeric = all(dtype.kind in "fiu" for dtype in self.frame.dtypes)
            return self.frame.to_numpy() if is_numeric else None
        return self.rows or self.matrix


class Layout:
    """Names and order of the columns that rows are brought to.

    Parameters
    ----------
    names
        The names as JSON has them.
    keys
        The names as a DataFrame has them.
    positional
        A DataFrame is taken column by column, whatever its names.
    """

    def __init__(
        self, names: tuple[str, ...], keys: tuple[Label, ...], *, positional: bool = False
    ) -> None:
        self.names = names
        self.keys = keys
        self.width = len(names)
        self.positional = positional
        self._expected = frozenset(names)
        self._pick = _picker(names)
        self._cells = list(map(itemgetter, names))

    def arrange(self, rows: Any) -> RawTable:
        """Return rows in the order of the columns.

        Raises
        ------
        SignatureError
            There are no rows, or a row has other columns than the model.
        """
        if isinstance(rows, (list, tuple)):
            return self._from_list(rows)
        if isinstance(rows, Mapping):
            return self._from_mapping(rows)
        if isinstance(rows, (np.ndarray, pd.Series)):
            return (
                self._from_series(rows) if isinstance(rows, pd.Series) else self._from_array(rows)
            )
        if isinstance(rows, CellColumns):
            return RawTable(len(rows), columns=rows.columns)
        frame = as_frame(rows)
        if frame is not None:
            return self._from_frame(frame)
        if hasattr(rows, "toarray"):
            return self._from_array(rows.toarray())
        message = (
            f"Got {shorten(rows)} ({type(rows).__name__}); expected rows: a list of lists, a list "
            "of objects or a DataFrame."
        )
        raise SignatureError(message, value=shorten(rows), expected="rows")

    def _from_list(self, rows: Sequence[Any]) -> RawTable:
        if not rows:
            raise no_rows()
        if isinstance(rows[0], Mapping):
            columns = self._columns(rows) if len(rows) > QUICK_ROWS else None
            if columns is not None:
                return RawTable(len(rows), columns=columns)
            return RawTable(len(rows), rows=self._records(rows))
        if not _is_sequence(rows[0]):
            self._check_width(rows, 0)
            return RawTable(1, rows=[rows])
        if set(map(type, rows)) <= {list, tuple} and set(map(len, rows)) == {self.width}:
            return RawTable(len(rows), rows=rows)
        return RawTable(len(rows), rows=[self._row(row, number) for number, row in enumerate(rows)])

    def _row(self, row: Any, number: int) -> Sequence[Any]:
        if not _is_sequence(row):
            message = f"Row {number} is {shorten(row)}; expected a list of {self.width} values."
            raise SignatureError(
                message, row=number, value=shorten(row), expected=f"{self.width} values"
            )
        if isinstance(row, (np.ndarray, pd.Series)):
            row = row.tolist()
        self._check_width(row, number)
        return row  # type: ignore[no-any-return]

    def _check_width(self, row: Sequence[Any], number: int) -> None:
        if len(row) == self.width:
            return
        if self.width == 1 and not any(map(_is_sequence, row)):
            hint = f" For {len(row)} rows of one value send [[{shorten(row[0])}], ...]."
        else:
            hint = ""
        names = "" if self._are_numbers() else f": {list_values(self.names, shown=12, last=', ')}"
        message = f"Row {number} has {_counted(row)}; expected {self.width}{names}.{hint}"
        raise SignatureError(
            message, row=number, value=shorten(row), expected=f"{self.width} values"
        )

    def _are_numbers(self) -> bool:
        return self.names[0] == "0"

    def _records(self, records: Sequence[Any]) -> Sequence[Sequence[Any]]:
        try:
            if set(map(len, records)) == {self.width}:
                return list(map(self._pick, records))
        except (LookupError, TypeError):
            pass
        return [self._record(record, number) for number, record in enumerate(records)]

    def _columns(self, records: Sequence[Any]) -> Sequence[list[Any]] | None:
        """Return the columns of records that have no other names: no row is made on the way."""
        try:
            if set(map(len, records)) == {self.width}:
                return [list(map(cell, records)) for cell in self._cells]
        except (LookupError, TypeError):
            pass
        return None

    def _record(self, record: Any, number: int) -> Sequence[Any]:
        if not isinstance(record, Mapping):
            message = (
                f"Row {number} is {shorten(record)}; expected an object with column names, like "
                "row 0."
            )
            raise SignatureError(message, row=number, value=shorten(record), expected="an object")
        self._check_names([str(key) for key in record], row=number)
        named = {str(key): value for key, value in record.items()}
        return [named[name] for name in self.names]

    def _check_names(self, names: Sequence[str], *, row: int | None = None) -> None:
        given = set(names)
        missing = [name for name in self.names if name not in given]
        unexpected = [name for name in names if name not in self._expected]
        where = "The rows have" if row is None else f"Row {row} has"
        if missing:
            raise self._missing(missing, unexpected, where, row)
        if unexpected:
            raise self._unexpected(unexpected, where, row)
        if len(given) != len(names):
            twice = Counter(names).most_common(1)[0][0]
            message = f"{where} the column {shorten(twice)} more than once; expected it once."
            raise SignatureError(message, row=row, column=twice, expected="one column of the name")

    def _missing(
        self, missing: list[str], unexpected: list[str], where: str, row: int | None
    ) -> SignatureError:
        name = missing[0]
        typo = near_miss(name, unexpected)
        if typo is not None:
            message = (
                f"{where} a column {shorten(typo)} that the model does not know; did you mean "
                f"{shorten(name)}?"
            )
            return SignatureError(
                message,
                row=row,
                column=typo,
                expected=self._listed(),
                suggestion=name,
                kind="unknown_column",
            )
        listed = list_values(tuple(missing))
        message = f"{where} no column {listed}; expected {self._listed()}."
        return SignatureError(
            message, row=row, column=name, expected=self._listed(), kind="missing_column"
        )

    def _unexpected(self, unexpected: list[str], where: str, row: int | None) -> SignatureError:
        listed = list_values(tuple(unexpected), last=", ")
        dropped = listed if len(unexpected) <= _SPELLED_OUT else "..."
        near = near_miss(unexpected[0], self.names)
        hint = f" It is close to {shorten(near)}, which is there too." if near else ""
        message = (
            f"{where} columns that the model was not fitted on: {listed}.{hint} Leave them out; "
            f"of a DataFrame: frame.drop(columns=[{dropped}])."
        )
        return SignatureError(
            message,
            row=row,
            column=unexpected[0],
            expected=self._listed(),
            suggestion=near,
            kind="unknown_column",
        )

    def _listed(self) -> str:
        return f"the columns {list_values(self.names, shown=12, last=', ')}"

    def _from_mapping(self, rows: Mapping[Any, Any]) -> RawTable:
        if not rows or not all(map(_is_sequence, rows.values())):
            return RawTable(1, rows=self._records([rows]))
        named = {str(key): value for key, value in rows.items()}
        self._check_names(tuple(named))
        columns = [named[name] for name in self.names]
        count = len(columns[0])
        for name, column in zip(self.names, columns, strict=True):
            if len(column) != count:
                message = (
                    f"Column {shorten(name)} has {_counted(column)}, column "
                    f"{shorten(self.names[0])} has {count}; expected the same number in each."
                )
                raise SignatureError(message, column=name, expected=f"{count} values")
        if not count:
            raise no_rows()
        return RawTable(count, columns=columns)

    def _from_array(self, array: Any) -> RawTable:
        if array.ndim == 1 and len(array):
            return self._from_list(array.tolist())
        if array.ndim != _TWO_DIMENSIONS:
            message = f"The rows have {array.ndim} dimensions; expected 2 (rows and features)."
            raise SignatureError(message, expected="2 dimensions")
        if not len(array):
            raise no_rows()
        self._check_width(array[0], 0)
        return RawTable(len(array), matrix=array)

    def _from_series(self, series: pd.Series[Any]) -> RawTable:
        if series.empty:
            raise no_rows()
        labels = {str(label) for label in series.index}
        unnamed = self.positional or isinstance(series.index, pd.RangeIndex)
        if unnamed and not labels & self._expected:
            return self._from_list(series.tolist())
        return RawTable(1, rows=[self._record(dict(series.items()), 0)])

    def _from_frame(self, frame: pd.DataFrame) -> RawTable:
        if not len(frame):
            raise no_rows()
        names = tuple(str(label) for label in frame.columns)
        if self.positional and Counter(names) != Counter(self.names):
            self._check_width(names, 0)
            return RawTable(len(frame), frame=frame)
        if names != self.names:
            self._check_names(names)
            frame = frame.iloc[:, [names.index(name) for name in self.names]]
        return RawTable(len(frame), frame=frame)


def take_values(rows: Any) -> tuple[Sequence[Any] | pd.Series[Any], pd.Index[Any] | None]:
    """Return rows of one value each as a sequence, and the index of a Series.

    Raises
    ------
    SignatureError
        There are no rows, or a row is no single value.
    """
    frame = as_frame(rows)
    if frame is not None:
        if frame.shape[1] != 1:
            message = f"The frame has {frame.shape[1]} columns; expected one, or a list of values."
            raise SignatureError(message, expected="one column")
        rows = frame.iloc[:, 0]
    if isinstance(rows, (str, bytes)) or np.isscalar(rows):
        rows = [rows]
    if isinstance(rows, np.ndarray):
        rows = rows.tolist()
    if isinstance(rows, Mapping):
        rows = [rows] if len(rows) == 1 else rows
    if not isinstance(rows, (list, tuple, pd.Series)):
        message = f"Got {shorten(rows)}; expected a list with one value for each row."
        raise SignatureError(message, value=shorten(rows), expected="a list of values")
    if len(rows) == 0:
        raise no_rows()
    if isinstance(rows, pd.Series):
        return rows, rows.index
    return [_unwrapped(row) for row in rows], None


def _unwrapped(row: Any) -> Any:
    if isinstance(row, Mapping) and len(row) == 1:
        return next(iter(row.values()))
    return row[0] if isinstance(row, (list, tuple)) and len(row) == 1 else row


def no_rows() -> SignatureError:
    """Return the error for a request without rows."""
    message = "There are no rows; expected at least one."
    return SignatureError(message, expected="at least one row")


def _is_sequence(value: Any) -> bool:
    # An array without dimensions is a number in disguise.
    return isinstance(value, _SEQUENCES) and getattr(value, "ndim", 1) > 0


def _counted(values: Sequence[Any]) -> str:
    return f"{len(values)} value{'s' * (len(values) != 1)}"


def _picker(names: tuple[str, ...]) -> Callable[[Any], Sequence[Any]]:
    if len(names) == 1:
        return lambda record: (record[names[0]],)
    getter: Callable[..., Callable[[Any], Sequence[Any]]] = itemgetter
    return getter(*names)
