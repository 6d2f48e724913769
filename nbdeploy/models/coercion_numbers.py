"""Coercion of numbers: whole numbers become floats, and back where nothing is lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from nbdeploy.models.coercion import Cells, Coercion, plain_scalar
from nbdeploy.models.columns import Column, shorten
from nbdeploy.models.matrices import packed
from nbdeploy.models.misfit import Misfit

__all__ = ["FloatCoercion", "IntCoercion", "as_number"]

_LONGEST_NUMBER = 100
_LEAST_INT64 = -(2.0**63)


class FloatCoercion(Coercion):
    """Numbers; whole numbers become floats."""

    plain = frozenset({float, int, np.float64, np.float32, np.int64})
    codes = "fiu"

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.numpy_dtype = _numpy_dtype(self.dtype, "float64")

    def _pack(self, values: Any) -> Cells | None:
        array = packed(values, np.dtype(np.float64)) if type(values) is list else None
        if array is None:
            try:
                array = np.array(values, dtype=np.float64)
            except OverflowError:
                return None
        absent = None
        if not np.isfinite(array).all():
            absent = np.isnan(array)
            if not self.column.nullable or not np.isfinite(array[~absent]).all():
                return None
        if self.dtype == np.float64:
            return array
        if self.dtype == object:
            return self._objects(_with_none(array, absent))
        return self._narrow(array, absent)

    def _narrow(self, array: npt.NDArray[Any], absent: npt.NDArray[Any] | None) -> Cells | None:
        with np.errstate(over="ignore"):
            narrow = array.astype(self.numpy_dtype)
        if np.isinf(narrow).any():
            return None
        return _masked(narrow, absent, self.dtype)

    def _check(self, array: ExtensionArray) -> Cells | None:
        return self._pack(array.to_numpy(dtype=np.float64, na_value=np.nan))

    def _cell(self, value: Any) -> float:
        number = as_number(value, self)
        try:
            result = float(number)
        except OverflowError:
            message = f"{shorten(value)} is too large for a number"
            raise Misfit(message, kind="range") from None
        with np.errstate(over="ignore"):
            fits = math.isfinite(np.float64(result).astype(self.numpy_dtype))
        if not fits:
            message = f"{shorten(value)} is beyond the range of {self.column.dtype}"
            raise Misfit(message, kind="range")
        return result


class IntCoercion(Coercion):
    """Whole numbers within the range of the dtype; 5.0 is one."""

    plain = frozenset({int})
    codes = "iuf"

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.numpy_dtype = _numpy_dtype(self.dtype, "int64")
        bounds = np.iinfo(self.numpy_dtype)
        self.low, self.high = int(bounds.min), int(bounds.max)

    def _pack(self, values: Any) -> Cells | None:
        if isinstance(values, np.ndarray):
            return self._pack_array(values)
        absent = None
        if self.column.nullable and None in values:
            absent = np.array([value is None for value in values])
            values = [0 if value is None else value for value in values]
        if min(values) < self.low or max(values) > self.high:
            return None
        return self._finish(np.array(values, dtype=self.numpy_dtype), absent)

    def _pack_array(self, array: npt.NDArray[Any]) -> Cells | None:
        absent = None
        if array.dtype.kind == "f":
            absent = np.isnan(array)
            if absent.any() and not self.column.nullable:
                return None
            array = np.where(absent, 0, array)
            if not np.isfinite(array).all() or (array != np.floor(array)).any():
                return None
        # As Python integers: float(2**63 - 1) would be 2**63, which does not fit.
        if int(array.min()) < self.low or int(array.max()) > self.high:
            return None
        return self._finish(array.astype(self.numpy_dtype), absent)

    def _finish(self, array: npt.NDArray[Any], absent: npt.NDArray[Any] | None) -> Cells:
        if self.dtype == object:
            return self._objects(_with_none(array, absent))
        if absent is not None and isinstance(self.dtype, np.dtype) and absent.any():
            # What pandas itself makes of a gap among integers.
            return np.where(absent, np.nan, array.astype(np.float64))
        return _masked(array, absent, self.dtype)

    def _cell(self, value: Any) -> int:
        number = as_number(value, self)
        if isinstance(number, float) and not number.is_integer():
            message = f"{shorten(value)} is not a whole number; expected {self.column.words}"
            raise Misfit(message)
        whole = int(number)
        # A whole number below 64 bits reaches us as a float, rounded up to their limit.
        is_rounded = isinstance(number, float) and number <= _LEAST_INT64
        if is_rounded or not self.low <= whole <= self.high:
            message = (
                f"{shorten(value)} is beyond the range of {self.numpy_dtype.name}, "
                f"{self.low} to {self.high}"
            )
            raise Misfit(message, kind="range")
        return whole


def _masked(
    array: npt.NDArray[Any], absent: npt.NDArray[Any] | None, dtype: Any
) -> npt.NDArray[Any] | ExtensionArray:
    """Return numbers as they are, or as a nullable array with its mask."""
    if isinstance(dtype, np.dtype):
        return array
    mask = np.zeros(len(array), dtype=bool) if absent is None else absent
    nullable = pd.arrays.IntegerArray if array.dtype.kind in "iu" else pd.arrays.FloatingArray
    cells: ExtensionArray = nullable(array, mask)
    return cells if cells.dtype == dtype else pd.array(cells, dtype=dtype)


def _with_none(array: npt.NDArray[Any], absent: npt.NDArray[Any] | None) -> list[Any]:
    values: list[Any] = array.tolist()
    if absent is None:
        return values
    return [None if gone else value for value, gone in zip(values, absent, strict=True)]


def _numpy_dtype(dtype: Any, fallback: str) -> np.dtype[Any]:
    found: np.dtype[Any] = getattr(dtype, "numpy_dtype", dtype)
    return np.dtype(fallback) if found.kind == "O" else found


def as_number(value: Any, coercion: Coercion) -> int | float:
    """Return a finite number, or raise ``Misfit`` with the reason."""
    value = plain_scalar(value)
    if isinstance(value, bool):
        meant = str(int(value))
        message = f"expected {coercion.column.words}, got {value}; send {meant} if you mean that"
        raise Misfit(message, suggestion=meant)
    if isinstance(value, str):
        raise _quoted_number(value, coercion)
    if isinstance(value, int):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise coercion.wrong(value) from None
    if not math.isfinite(number):
        message = f"expected {coercion.column.words}, got {number}; infinity is never taken"
        raise Misfit(message, kind="range")
    return number


def _quoted_number(value: str, coercion: Coercion) -> Misfit:
    text = value.strip()
    try:
        is_number = len(text) <= _LONGEST_NUMBER and math.isfinite(float(text))
    except ValueError:
        is_number = False
    if not is_number:
        return coercion.wrong(value)
    message = f"{shorten(value)} is text; send the number {text} without quotes"
    return Misfit(message, suggestion=text)
