"""From rows to the numbers that the last step of a model takes, as fast as NumPy and dicts allow.

Three ways, and the features decide: whole columns at once where all is arithmetic; cell by cell
where there are categories, which for a few rows is faster than any array, and column by column for
many; the non-zero numbers only where scikit-learn would hold a sparse matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.column_reader import ColumnReader
from nbdeploy.models.compiled.features import Code, Number, Table
from nbdeploy.models.compiled.lookups import lookups_of
from nbdeploy.models.compiled.outcomes import Unsupported

__all__ = [
    "CellReader",
    "Matrix",
    "MatrixReader",
    "Reader",
    "SparseReader",
    "SparseRows",
    "known_cells",
    "reader_for",
]

Matrix: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = "Matrix | Sequence[Sequence[Any]]"

_MOST_ROWS_AT_ONCE = 1_000_000
_MOST_ROWS_BY_CELL = 2_000
_FEW_ROWS = 64


class SparseRows(NamedTuple):
    """Rows in the compressed form of SciPy: non-zero numbers, their columns, ends of the rows."""

    ends: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    values: Matrix


class Reader(Protocol):
    """Turns rows into features."""

    limit: int
    """Above so many rows, whole columns in scikit-learn are faster."""
    turn: int
    """Above so many rows they are read another way, which is to be verified too."""

    def read(self, rows: Any) -> Any:
        """Return the features of rows."""
        ...


def reader_for(table: Table, *, is_numeric: bool, width: int, as_sparse: bool) -> Reader:
    """Choose how to read features.

    Parameters
    ----------
    table
        The features, all of them numbers or codes.
    is_numeric
        Every cell of a row is a number, used or not.
    width
        Number of cells in a row.
    as_sparse
        Give `SparseRows` if scikit-learn would.

    Raises
    ------
    Unsupported
        A sparse matrix has no zeros left.
    """
    if as_sparse and table.sparse:
        return SparseReader(table)
    if is_numeric and all(isinstance(feature, Number) for feature in table.features):
        return MatrixReader(table, width=width)
    return CellReader(table)


class MatrixReader:
    """Read features that are arithmetic, whole columns at once.

    Parameters
    ----------
    table
        The features, all of them numbers.
    width
        Number of cells in a row.
    """

    limit = _MOST_ROWS_AT_ONCE
    turn = 0

    def __init__(self, table: Table, *, width: int) -> None:
        numbers = [feature for feature in table.features if isinstance(feature, Number)]
        self.width = len(numbers)
        by_operations = sorted(enumerate(numbers), key=_operations)
        self.blocks = [
            _Block(list(group), width) for _, group in groupby(by_operations, key=_operations)
        ]
        self.is_identity = (
            all(
                number == Number(place, is_float=number.is_float)
                for place, number in enumerate(numbers)
            )
            and self.width == width
        )

    def read(self, rows: Rows) -> Matrix:
        """Return an array of shape ``[n, features]``."""
        matrix = rows if isinstance(rows, np.ndarray) else np.array(rows, dtype=np.float64)
        if self.is_identity:
            return matrix
        if len(self.blocks) == 1:
            return self.blocks[0].compute(matrix)
        features = np.empty((len(matrix), self.width))
        for block in self.blocks:
            features[:, block.slots] = block.compute(matrix)
        return features


def _operations(numbered: tuple[int, Number]) -> list[str]:
    return [step.operation for step in numbered[1].steps]


class _Block:
    """Features that take the same operations, each with operands of its own."""

    def __init__(self, numbered: Sequence[tuple[int, Number]], width: int) -> None:
        self.slots = [slot for slot, _ in numbered]
        places = [number.place for _, number in numbered]
        self.places = None if places == list(range(width)) else np.array(places, dtype=np.intp)
        columns = zip(*(number.steps for _, number in numbered), strict=True)
        self.steps = [
            (steps[0].vector, np.array([step.operand for step in steps])) for steps in columns
        ]

    def compute(self, matrix: Matrix) -> Matrix:
        values = matrix if self.places is None else matrix.take(self.places, axis=1)
        for operation, operands in self.steps:
            values = operation(values, operands)
        return values


class CellReader:
    """Read features cell by cell: a table for each category, arithmetic for each number.

    Parameters
    ----------
    table
        The features.
    """

    limit = _MOST_ROWS_AT_ONCE
    turn = _FEW_ROWS

    def __init__(self, table: Table) -> None:
        self.numbers = _numbers(table)
        self.lookups = lookups_of(table)
        self.defaults = np.array([_defaults(table)])
        self._by_column = ColumnReader(table, self.lookups, self.defaults)

    def read(self, rows: Any) -> Matrix:
        """Return an array of shape ``[n, features]``."""
        if isinstance(rows, np.ndarray):
            rows = rows.tolist()
        if len(rows) > self.turn:
            return self._by_column.read(rows)
        features = self.defaults.copy() if len(rows) == 1 else self.defaults.repeat(len(rows), 0)
        for values, row in zip(features, rows, strict=True):
            for place, slot, compute in self.numbers:
                values[slot] = compute(row[place])
            for place, lookup in self.lookups:
                for slot, value in lookup[row[place]]:
                    values[slot] = value
        return features


class SparseReader:
    """Read the features that are not zero, cell by cell.

    Parameters
    ----------
    table
        The features.
    """

    limit = _MOST_ROWS_BY_CELL
    turn = 0

    def __init__(self, table: Table) -> None:
        self.numbers = _numbers(table)
        self.lookups = lookups_of(table)
        if any(_defaults(table)):
            message = "a scaler shifts the zeros of a sparse matrix"
            raise Unsupported(message)

    def read(self, rows: Any) -> SparseRows:
        """Return the non-zero numbers, in the order in which scikit-learn adds them up."""
        if isinstance(rows, np.ndarray):
            rows = rows.tolist()
        pairs: list[tuple[int, float]] = []
        ends = [0]
        for row in rows:
            pairs += sorted(self._pairs(row))
            ends.append(len(pairs))
        return SparseRows(
            np.array(ends, dtype=np.int32),
            np.array([slot for slot, _ in pairs], dtype=np.int32),
            np.array([value for _, value in pairs], dtype=np.float64),
        )

    def _pairs(self, row: Sequence[Any]) -> list[tuple[int, float]]:
        computed = [(slot, compute(row[place])) for place, slot, compute in self.numbers]
        pairs = [pair for pair in computed if pair[1]]
        for place, lookup in self.lookups:
            pairs += lookup[row[place]]
        return pairs


def known_cells(reader: Reader) -> dict[int, list[Any]]:
    """Return the categories that a reader tells apart, by the index of the cell."""
    known: dict[int, list[Any]] = {}
    for place, lookup in getattr(reader, "lookups", ()):
        known.setdefault(place, []).extend(lookup)
    return known


def _numbers(table: Table) -> list[tuple[int, int, Callable[[Any], float]]]:
    return [
        (feature.place, slot, _computation(feature))
        for slot, feature in enumerate(table.features)
        if isinstance(feature, Number)
    ]


def _computation(number: Number) -> Callable[[Any], float]:
    """Return the arithmetic of one cell as a function, with as few calls as possible."""
    steps = list(number.steps)
    missing = steps.pop(0).operand if steps and steps[0].operation == "fill" else math.nan
    operations = [step.operation for step in steps]
    if operations == ["subtract", "divide"]:
        center, scale = (step.operand for step in steps)
        return lambda cell: (
            (
                (missing if cell is None or cell != cell else cell) - center  # noqa: PLR0124 -- only NaN is not itself
            )
            / scale
        )
    computed = [(step.scalar, step.operand) for step in steps]

    def compute(cell: Any) -> float:
        value: float = missing if cell is None or cell != cell else cell  # noqa: PLR0124 -- only NaN is not itself
        for operation, operand in computed:
            value = operation(value, operand)
        return value

    return compute


def _defaults(table: Table) -> list[float]:
    return [feature.default if isinstance(feature, Code) else 0.0 for feature in table.features]
