"""Coercion of the cells of a column: only what is safe, and fast where nothing is wrong.

Each kind of column has a class with two methods. ``_pack`` takes values that are known to be plain
and makes the array at once; it gives up (``None``) when any value is out of bounds. ``_cell`` looks
at one value, makes it plain, or says what is wrong with it. The second one runs only when the first
gave up, so a good request never pays for the words of an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from nbdeploy.models.columns import Column, shorten
from nbdeploy.models.misfit import Misfit, Problem

__all__ = [
    "BoolCoercion",
    "Cells",
    "Coercion",
    "StringCoercion",
    "checked_text",
    "is_missing",
    "plain_scalar",
    "resolve_dtype",
]

Cells: TypeAlias = "npt.NDArray[Any] | ExtensionArray | pd.Index[Any]"
"""The cells of one column, as a DataFrame takes them."""

_MARKERS: dict[str, Any] = {"nan": np.nan, "none": None, "NA": pd.NA, "NaT": pd.NaT}


class Coercion:
    """Make the cells of one column what the model was fitted on.

    Parameters
    ----------
    column
        What the cells must look like.
    """

    plain: frozenset[type] = frozenset()
    """Types that ``_pack`` takes as they are."""
    codes: str = ""
    """Kinds of NumPy dtype that ``_pack`` takes as they are."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.marker = _MARKERS[column.missing]
        self.dtype: Any = resolve_dtype(column.dtype)
        if column.nullable:
            self.plain |= {type(None)}

    def convert(self, values: Any) -> Cells | Problem:
        """Return the cells, or the first problem among them.

        Parameters
        ----------
        values
            A sequence of Python values, a 1-D array or a Series.
        """
        packed = None
        if isinstance(values, pd.Series):
            packed = self._pack_series(values)
        elif (
            isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in self.codes
        ):
            packed = self._pack(values)
        if packed is not None:
            return packed
        if isinstance(values, (pd.Series, np.ndarray)):
            values = values.tolist()
        if set(map(type, values)) <= self.plain:
            packed = self._pack(values)
        return self._one_by_one(values) if packed is None else packed

    def _pack_series(self, series: pd.Series[Any]) -> Cells | None:
        """Return the cells of a Series if its dtype tells that they fit."""
        if series.dtype == self.dtype and self.dtype != object:
            return self._check(series.array)
        if isinstance(series.dtype, np.dtype) and series.dtype.kind in self.codes:
            return self._pack(series.to_numpy())
        return None

    def _check(self, array: ExtensionArray) -> Cells | None:
        """Return a copy of an array of the right dtype if its values fit too."""
        return array.copy() if self.column.nullable or not array.isna().any() else None

    def _pack(self, values: Any) -> Cells | None:
        """Return plain values as cells, or ``None`` if one of them is out of bounds."""
        raise NotImplementedError

    def _cell(self, value: Any) -> Any:
        """Return one value made plain, or raise ``Misfit``."""
        raise NotImplementedError

    def wrong(self, value: Any) -> Misfit:
        """Return the error for a value of another kind."""
        return Misfit(f"expected {self.column.words}, got {shorten(value)}")

    def _objects(self, values: Iterable[Any]) -> Cells:
        """Return values as an object array, with the column's own mark for missing ones."""
        cells = list(values)
        array = np.empty(len(cells), dtype=object)
        array[:] = [self.marker if value is None else value for value in cells]
        # Of a bare object array of texts a DataFrame would make its own text dtype.
        return pd.Index(array, dtype=object)

    def _one_by_one(self, values: Sequence[Any]) -> Cells | Problem:
        cells: list[Any] = []
        first: tuple[int, Any, Misfit] | None = None
        count = 0
        for row, value in enumerate(values):
            try:
                cells.append(self._take(value))
            except Misfit as misfit:
                count += 1
                first = first or (row, value, misfit)
        if first is not None:
            return Problem(*first, count)
        packed = self._pack(cells)
        assert packed is not None, f"{type(self).__name__} refuses what it made plain itself"
        return packed

    def _take(self, value: Any) -> Any:
        if not is_missing(value):
            return self._cell(value)
        if self.column.nullable:
            return None
        written = "null" if value is None else shorten(value)
        message = (
            f"the value is missing ({written}), expected {self.column.words}; fill it in, or "
            "deploy with an example= that has missing values there, if the model takes them"
        )
        raise Misfit(message, kind="missing")


class BoolCoercion(Coercion):
    """True and false; 1 and 0 mean the same."""

    plain = frozenset({bool})
    codes = "b"

    def _pack(self, values: Any) -> Cells | None:
        if self.dtype == bool:
            return np.array(values, dtype=bool)
        if isinstance(values, np.ndarray):
            values = values.tolist()
        if self.dtype == object:
            return self._objects(values)
        cells: ExtensionArray = pd.array(list(values), dtype=self.dtype)
        return cells

    def _cell(self, value: Any) -> bool:
        value = plain_scalar(value)
        if isinstance(value, bool) or (isinstance(value, int) and value in {0, 1}):
            return bool(value)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            plain = value.lower()
            message = f"{value!r} is text; send {plain} without quotes"
            raise Misfit(message, suggestion=plain)
        raise self.wrong(value)


class StringCoercion(Coercion):
    """Text; whether the model knows the word is the model's business."""

    plain = frozenset({str})

    def _pack(self, values: Any) -> Cells | None:
        if self.dtype == object:
            return self._objects(values)
        try:
            cells: ExtensionArray = pd.array(list(values), dtype=self.dtype)
        except UnicodeEncodeError:
            # The strings are held as UTF-8, and one of them has no such form.
            return None
        return cells

    def _cell(self, value: Any) -> str:
        value = plain_scalar(value)
        if isinstance(value, str):
            return str(value) if self.dtype == object else checked_text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            quoted = f"'{shorten(value)}'"
            message = f"expected text, got the number {shorten(value)}; send it in quotes: {quoted}"
            raise Misfit(message, suggestion=quoted)
        raise self.wrong(value)


def checked_text(text: str) -> str:
    """Return a text if it has a UTF-8 form: half a surrogate pair has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"{shorten(text)} is no valid Unicode text"
        raise Misfit(message) from None
    return str(text)


def plain_scalar(value: Any) -> Any:
    """Return a NumPy scalar as the Python value it holds."""
    return value.item() if isinstance(value, np.generic) else value


def is_missing(value: Any) -> bool:
    """Tell whether a value is one of the ways to say that there is none."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def resolve_dtype(name: str) -> Any:
    """Return the dtype that pandas writes as ``name``; object where there is none to restore."""
    if name in {"", "number", "object", "category"}:
        return np.dtype(object)
    if name == "str" and not isinstance(pd.Series(["a"]).dtype, pd.StringDtype):
        # Learned under pandas 3, used under pandas 2.
        return np.dtype(object)
    return pd.api.types.pandas_dtype(name)
