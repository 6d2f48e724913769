"""Coercion of categories, of dates, and of cells that only their values tell."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from nbdeploy.models.coercion import (
    BoolCoercion,
    Cells,
    Coercion,
    StringCoercion,
    checked_text,
    plain_scalar,
    resolve_dtype,
)
from nbdeploy.models.coercion_numbers import FloatCoercion, IntCoercion, as_number
from nbdeploy.models.columns import Column, Kind, shorten
from nbdeploy.models.misfit import Misfit, Problem

__all__ = ["AnyCoercion", "CategoryCoercion", "DatetimeCoercion", "coercion_for"]

_TIME = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_NAIVE = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}({_TIME})?", re.ASCII)
_AWARE = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}{_TIME}(Z|[+-]\d{{2}}:?\d{{2}})", re.ASCII)
_WORTH_PARSING_AT_ONCE = 16
_BEYOND_INT64 = 2**63


class CategoryCoercion(Coercion):
    """Categories of a fixed list."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        index = pd.Index(column.categories, dtype=resolve_dtype(column.category_dtype))
        self.dtype = pd.CategoricalDtype(index, ordered=column.ordered)
        self.places: dict[Any, int] = {
            (type(value), value): place for place, value in enumerate(column.categories)
        }
        self.texts = [value for value in column.categories if isinstance(value, str)]
        self.has_floats = any(type(value) is float for value in column.categories)
        self.plain |= {type(value) for value in column.categories}
        if column.nullable:
            self.places[type(None), None] = -1

    def _pack_series(self, series: pd.Series[Any]) -> Cells | None:
        # Unordered categories are equal in any order, but a model may look at their codes.
        same = series.dtype == self.dtype and series.cat.categories.equals(self.dtype.categories)
        return self._check(series.array) if same else None

    def _pack(self, values: Any) -> Cells | None:
        try:
            places = [self.places[type(value), value] for value in values]
        except KeyError:
            return None
        return pd.Categorical.from_codes(places, dtype=self.dtype)

    def _cell(self, value: Any) -> Any:
        value = plain_scalar(value)
        if isinstance(value, (str, int, float)):
            for meant in self._same(value):
                if (type(meant), meant) in self.places:
                    return meant
        message = f"{shorten(value)} is no known category; expected {self.column.words}"
        raise Misfit(message, candidates=self.texts, kind="category")

    def _same(self, value: str | float) -> list[Any]:
        """Return the value, and the same number as the other type of number."""
        if isinstance(value, (str, bool)):
            return [str(value) if isinstance(value, str) else value]
        if isinstance(value, float):
            return [float(value), *([int(value)] if value.is_integer() else [])]
        return [value, *([float(value)] if self.has_floats and abs(value) < _BEYOND_INT64 else [])]


class DatetimeCoercion(Coercion):
    """Dates and times as ISO text, at the precision and in the time zone of the example."""

    plain = frozenset({str})

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.zone = getattr(self.dtype, "tz", None)
        self.unit: Any = self.dtype.unit if self.zone else np.datetime_data(self.dtype)[0]

    def convert(self, values: Any) -> Cells | Problem:
        """Return the cells, or the first problem among them."""
        # tolist() of an array in nanoseconds would be integers.
        is_dates = isinstance(values, np.ndarray) and values.dtype.kind == "M"
        return super().convert(pd.Series(values) if is_dates else values)

    def _pack(self, values: Any) -> Cells | None:
        if any(isinstance(value, str) for value in values):
            return self._parse(values)
        stamps = ["NaT" if value is None else value.asm8 for value in values]
        return self._localized(pd.DatetimeIndex(np.array(stamps, dtype=f"M8[{self.unit}]")))

    def _localized(self, index: pd.DatetimeIndex) -> Cells:
        if self.zone is None:
            return index.to_numpy()
        return index.tz_localize("UTC").tz_convert(self.zone).array

    def _parse(self, values: Any) -> Cells | None:
        if len(values) < _WORTH_PARSING_AT_ONCE:
            return None
        pattern = _NAIVE if self.zone is None else _AWARE
        if not all(value is None or pattern.fullmatch(value) for value in values):
            return None
        try:
            parsed = pd.to_datetime(list(values), format="ISO8601", utc=self.zone is not None)
            index = parsed.tz_localize(None).as_unit(self.unit)
        except (ValueError, OverflowError):
            return None
        finer = index.as_unit(parsed.unit)
        lossless = (finer == parsed.tz_localize(None)) | parsed.isna()
        return self._localized(index) if lossless.all() else None

    def _cell(self, value: Any) -> pd.Timestamp:
        stamp = self._stamp(value)
        if (self.zone is None) != (stamp.tzinfo is None):
            have, need = (
                ("a", "times without one") if self.zone is None else ("no", "times with one")
            )
            message = f"{shorten(value)} has {have} time zone; the model was fitted on {need}"
            raise Misfit(message)
        if self.zone is not None:
            stamp = stamp.tz_convert("UTC").tz_localize(None)
        try:
            return stamp.as_unit(self.unit, round_ok=False)
        except pd.errors.OutOfBoundsDatetime:
            message = f"{shorten(value)} is beyond the range of {self.column.dtype}"
        except ValueError:
            message = f"{shorten(value)} is more precise than {self.column.dtype}"
        raise Misfit(message, kind="range")

    def _stamp(self, value: Any) -> pd.Timestamp:
        is_iso = isinstance(value, str) and (_NAIVE.fullmatch(value) or _AWARE.fullmatch(value))
        if not is_iso and not isinstance(value, (date, np.datetime64)):
            raise self.wrong(value)
        try:
            stamp = pd.Timestamp(value)
        except (ValueError, OverflowError):
            raise self.wrong(value) from None
        return stamp

    def wrong(self, value: Any) -> Misfit:
        """Return the error for a value that is no date."""
        sample = "2024-01-31T12:00:00" + ("" if self.zone is None else "Z")
        return Misfit(f"expected {self.column.words}, such as '{sample}', got {shorten(value)}")


class AnyCoercion(Coercion):
    """Numbers, text, true and false: what pandas makes of them."""

    codes = "biuf"

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.plain |= {bool, int, float} if column.dtype == "number" else {bool, int, float, str}
        inferred = pd.Series(["a"]).dtype
        self.text_dtype = inferred if isinstance(inferred, pd.StringDtype) else None

    def _pack(self, values: Any) -> Cells | None:
        if isinstance(values, np.ndarray):
            values = values.tolist()
        if any(type(value) is float and not math.isfinite(value) for value in values):
            return None
        if self.column.dtype == "object":
            return self._objects(values)
        types = set(map(type, values))
        try:
            return self._by_types(values, types)
        except (OverflowError, UnicodeEncodeError):
            return None

    def _by_types(self, values: Any, types: set[type]) -> Cells:
        if types == {bool}:
            return np.array(values, dtype=bool)
        if types == {int} and max(map(abs, values)) < _BEYOND_INT64:
            return np.array(values, dtype=np.int64)
        present = types - {type(None)}
        if self.column.dtype == "number" or (present and present <= {int, float}):
            return np.array(values, dtype=np.float64)
        if present == {str} and self.text_dtype is not None:
            texts: ExtensionArray = pd.array(list(values), dtype=self.text_dtype)
            return texts
        return self._objects(values)

    def _cell(self, value: Any) -> Any:
        value = plain_scalar(value)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and self.column.dtype != "number":
            return checked_text(value) if self.column.dtype != "object" else str(value)
        number = as_number(value, self)
        try:
            float(number)
        except OverflowError:
            message = f"{shorten(value)} is too large for a number"
            raise Misfit(message, kind="range") from None
        return number


_BY_KIND: dict[Kind, type[Coercion]] = {
    "float": FloatCoercion,
    "int": IntCoercion,
    "bool": BoolCoercion,
    "string": StringCoercion,
    "category": CategoryCoercion,
    "datetime": DatetimeCoercion,
    "any": AnyCoercion,
}


def coercion_for(column: Column) -> Coercion:
    """Return the coercion of a column."""
    return _BY_KIND[column.kind](column)
