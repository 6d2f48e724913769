"""Rows that need no coercion: looked at cell by cell, taken as they are.

Most requests hold a few rows of plain values that fit. For them a DataFrame is the costliest part
of an answer, and several requests can be joined as lists before one is made. Of many rows whole
columns are looked at. Whatever is not plainly right is left to `Signature.validate`, which coerces,
or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, TypeAlias

import numpy as np

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.columns import Column
from nbdeploy.models.rows import RawTable
from nbdeploy.models.signature import Signature

__all__ = ["QUICK_ROWS", "QuickRows"]

QUICK_ROWS = 64
"""Above so many rows a look at whole columns is faster than one at every cell."""

_EXACT = 2**53
_FLOATS = frozenset({float, int})
_ROWS = frozenset({list, dict})
_CONTAINERS = frozenset({list, tuple})
_Rules: TypeAlias = dict[type, Callable[[Any], bool]]
_Check: TypeAlias = Callable[[Sequence[Any]], bool]


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
        self._most_rows = most_rows if self._rules is not None and is_mixed else QUICK_ROWS
        self._checks = list(map(_check_of_many, signature.columns, rules))
        self._width = signature.width
        self._is_of_floats = signature.kind == "array" and signature.dtype == "float64"

    def take(self, rows: Any) -> list[Sequence[Any]] | None:
        """Give the rows as cells in the order of the columns, ``None`` if one needs a closer look.

        Parameters
        ----------
        rows
            As `Signature.validate` takes them.
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
        if table.count > QUICK_ROWS:
            return self._take_many(table)
        fits = self._are_floats if self._is_of_floats else self._are_cells
        return list(table.rows) if table.rows and all(map(fits, table.rows)) else None

    def _take_many(self, table: RawTable) -> list[Sequence[Any]] | None:
        if table.count > self._most_rows or not (table.rows or table.columns):
            return None
        # Of an array only itself: what a mask hides is not for this look to decide.
        columns = [
            cells.tolist() if type(cells) is np.ndarray else cells for cells in table.by_column()
        ]
        if not _CONTAINERS.issuperset(map(type, columns)):
            return None
        if not all(check(cells) for check, cells in zip(self._checks, columns, strict=True)):
            return None
        return list(table.rows) or list(zip(*columns, strict=True))

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


def _check_of_many(column: Column, rules: _Rules) -> _Check:
    """Tell whether all cells of a column pass their rules, with few steps of Python for each."""
    bounds = _BOUNDS_OF_MANY.get(column.kind, _pass_one_by_one)

    def check(cells: Sequence[Any]) -> bool:
        types = set(map(type, cells))
        if not rules.keys() >= types:
            return False
        if type(None) in types:
            cells = [cell for cell in cells if cell is not None]
        return not cells or bounds(rules, cells)

    return check


def _pass_at_the_ends(rules: _Rules, cells: Sequence[Any]) -> bool:
    check = rules[int]
    return check(min(cells)) and check(max(cells))


def _are_finite(rules: _Rules, cells: Sequence[Any]) -> bool:
    # NaN and infinity make the sum so; beyond 2**53 there are whole numbers that no float holds.
    return _pass_at_the_ends(rules, cells) and isfinite(sum(cells))


def _are_texts(rules: _Rules, cells: Sequence[Any]) -> bool:
    return all(map(str.isascii, cells)) or all(map(rules[str], cells))


def _pass_one_by_one(rules: _Rules, cells: Sequence[Any]) -> bool:
    return all(rules[type(cell)](cell) for cell in cells)


_BOUNDS_OF_MANY: dict[str, Callable[[_Rules, Sequence[Any]], bool]] = {
    "float": _are_finite,
    "int": _pass_at_the_ends,
    "string": _are_texts,
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
