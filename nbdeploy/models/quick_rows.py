"""Rows that need no coercion: looked at cell by cell, taken as they are.

Most requests hold a few rows of plain values that fit. For them a DataFrame is the costliest part
of an answer, and several requests can be joined as lists before one is made. Of many rows whole
columns are looked at. Whatever is not plainly right is left to `Signature.validate`, which coerces,
or says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, TypeAlias

import numpy as np

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.columns import Column
from nbdeploy.models.matrices import packed
from nbdeploy.models.rows import QUICK_ROWS, RawTable
from nbdeploy.models.signature import Signature

__all__ = ["QUICK_ROWS", "QuickRows"]

_EXACT = 2**53
_FLOATS = frozenset({float, int})
_ROWS = frozenset({list, dict})
_CONTAINERS = frozenset({list, tuple})
_Rules: TypeAlias = dict[type, Callable[[Any], bool]]
_Look: TypeAlias = Callable[[Sequence[Any]], Any]


class QuickRows:
    """The cells that a signature takes without coercion.

    Parameters
    ----------
    signature
        What the rows must look like.
    most_rows
        How many rows are taken; more than `QUICK_ROWS` only of columns that differ in their type:
        of numbers alone `Signature.validate` makes one array, which is faster.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": [1.5, 2.5], "kind": ["a", "b"]})
    >>> quick = QuickRows(Signature.learn(example=frame))
    >>> quick.take({"kind": "c", "size": 3.5})
    [(3.5, 'c')]
    >>> quick.take({"kind": 5, "size": 3.5})
    """

    def __init__(self, signature: Signature, *, most_rows: int = QUICK_ROWS) -> None:
        self._arrange = signature.arrange
        rules = [_rules(column) for column in signature.columns]
        self._rules = rules if signature.kind == "frame" and all(rules) else None
        is_mixed = len({column.dtype for column in signature.columns}) > 1
        self._takes_columns = self._rules is not None and is_mixed
        self._most_rows = most_rows if self._takes_columns else QUICK_ROWS
        self._looks = list(map(_look_at_many, signature.columns, rules))
        self._width = signature.width
        self._is_of_floats = signature.kind == "array" and signature.dtype == "float64"

    def take(self, rows: Any) -> list[Sequence[Any]] | CellColumns | None:
        """Give the rows as cells in the order of the columns, ``None`` if one needs a closer look.

        Parameters
        ----------
        rows
            As `Signature.validate` takes them.

        Returns
        -------
        list or CellColumns or None
            A list of rows; columns of more than `QUICK_ROWS`, and of those that came as columns.
        """
        if self._is_of_floats and type(rows) is list and len(rows) == self._width:
            # One flat row, the commonest request of all.
            if self._are_floats(rows):
                return [rows]
        elif self._rules is None and not self._is_of_floats:
            return None
        if type(rows) is list and len(rows) > self._most_rows and type(rows[0]) in _ROWS:
            return None
        try:
            table = self._arrange(rows)
        except SignatureError:
            return None
        if table.count > QUICK_ROWS or (table.columns and self._takes_columns):
            return self._take_many(table)
        fits = self._are_floats if self._is_of_floats else self._are_cells
        return list(table.rows) if table.rows and all(map(fits, table.rows)) else None

    def _take_many(self, table: RawTable) -> CellColumns | None:
        if table.count > self._most_rows or not (table.rows or table.columns):
            return None
        columns = []
        for look, cells in zip(self._looks, table.by_column(), strict=True):
            # Of an array only itself: what a mask hides is not for this look to decide.
            plain = cells.tolist() if type(cells) is np.ndarray else cells
            taken = look(plain) if type(plain) in _CONTAINERS else None
            if taken is None:
                return None
            columns.append(taken)
        return CellColumns(columns)

    def _are_cells(self, row: Sequence[Any]) -> bool:
        assert self._rules is not None
        for rule, cell in zip(self._rules, row, strict=True):
            check = rule.get(type(cell))
            if check is None or not check(cell):
                return False
        return True

    @staticmethod
    def _are_floats(row: Sequence[Any]) -> bool:
        # NaN and infinity make the sum so; if it overflows, the closer look says that all is well.
        return _FLOATS.issuperset(map(type, row)) and isfinite(sum(row))


def _rules(column: Column) -> _Rules:
    """Tell by type what a cell must pass; nothing for kinds whose cells are always coerced."""
    rules: _Rules = {}
    if column.kind == "float" and column.dtype == "float64":
        rules = {float: isfinite, int: _is_exact}
    elif column.kind == "int" and column.dtype in _INTEGERS:
        rules = {int: _within(np.dtype(column.dtype))}
    elif column.kind == "bool" and column.dtype == "bool":
        rules = {bool: _always}
    elif column.kind == "string":
        rules = {str: _is_text}
    elif column.kind == "category":
        known = {value for value in column.categories if isinstance(value, str)}
        rules = {str: known.__contains__} if len(known) == len(column.categories) else {}
    if rules and column.nullable:
        rules[type(None)] = _always
    return rules


def _look_at_many(column: Column, rules: _Rules) -> _Look:
    """Give what looks at a whole column with few steps of Python for each cell.

    It returns the cells as `CellColumns` holds them, ``None`` if one needs a closer look.
    """
    take = _TAKEN_AT_ONCE.get(column.kind, _one_by_one)

    def look(cells: Sequence[Any]) -> Any:
        types = set(map(type, cells))
        return take(rules, cells, types) if rules.keys() >= types else None

    return look


def _finite_numbers(rules: _Rules, cells: Sequence[Any], types: set[type]) -> Any:
    if type(None) in types:
        cells = [math.nan if cell is None else cell for cell in cells]
    numbers = packed(cells, np.dtype(np.float64))
    if numbers is None:
        return None
    # Where a number may be missing, NaN says that it is.
    fits = ~np.isinf(numbers) if type(None) in rules else np.isfinite(numbers)
    if int in types:
        # From 2**53 on there are whole numbers that no float holds.
        fits &= ~(np.abs(numbers) >= _EXACT)
    return numbers if fits.all() else None


def _within_range(rules: _Rules, cells: Sequence[Any], types: set[type]) -> Any:
    present = _present(cells, types)
    check = rules[int]
    fits = not present or (check(min(present)) and check(max(present)))
    return list(cells) if fits else None


def _texts(rules: _Rules, cells: Sequence[Any], types: set[type]) -> Any:
    distinct = set(_present(cells, types))
    fits = all(map(str.isascii, distinct)) or all(map(rules[str], distinct))
    return list(cells) if fits else None


def _one_by_one(rules: _Rules, cells: Sequence[Any], _: set[type]) -> Any:
    return list(cells) if all(rules[type(cell)](cell) for cell in cells) else None


def _present(cells: Sequence[Any], types: set[type]) -> Sequence[Any]:
    return [cell for cell in cells if cell is not None] if type(None) in types else cells


_TAKEN_AT_ONCE: dict[str, Callable[[_Rules, Sequence[Any], set[type]], Any]] = {
    "float": _finite_numbers,
    "int": _within_range,
    "string": _texts,
}
_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def _within(dtype: np.dtype[Any]) -> Callable[[int], bool]:
    bounds = np.iinfo(dtype)
    low, high = int(bounds.min), int(bounds.max)
    return lambda value: low <= value <= high


def _is_exact(value: int) -> bool:
    return -_EXACT <= value <= _EXACT


def _is_text(value: str) -> bool:
    # Half a surrogate pair is no text that every dtype can hold.
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _always(_: object) -> bool:
    return True
