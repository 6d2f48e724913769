"""Columns learned from the data of an example."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.columns import PLACEHOLDER, Column, Kind, Label, Missing, Scalar

__all__ = ["learn_column", "learn_label", "round_to_data"]

_MOST_VALUES = 50
_SAMPLE = 100_000
_PRECISION_SAMPLE = 30
_MOST_DECIMALS = 6
_SIGNIFICANT = 4
_FIRST_YEAR, _LAST_YEAR = 1700, 2200
_FEW_ROWS = 3  # of fewer rows, medians and ranges would be the rows themselves
_INFERRED: dict[str, Kind] = {
    "string": "string",
    "boolean": "bool",
    "integer": "int",
    "floating": "float",
    "mixed-integer-float": "any",
    "mixed-integer": "any",
    "mixed": "any",
    "empty": "any",
}
_MARKERS: dict[Missing, Any] = {"none": None, "NA": pd.NA, "NaT": pd.NaT}
_BY_CODE: dict[str, Kind] = {"f": "float", "i": "int", "u": "int", "b": "bool", "M": "datetime"}


def learn_label(label: Hashable) -> tuple[str, Label | None]:
    """Return the name of a column in JSON, and its label where that is no text.

    Raises
    ------
    SignatureError
        The label is neither text nor a number.
    """
    if isinstance(label, str):
        return str(label), None
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, (int, float)):
        return str(label), label
    message = (
        f"The column name {label!r} is a {type(label).__name__}; expected text or a number. "
        "Rename the columns, for example with frame.columns = [...]."
    )
    raise SignatureError(message)


def learn_column(series: pd.Series[Any], *, nullable: bool = False) -> Column:
    """Return the column that an example holds.

    Parameters
    ----------
    series
        The column of the example; its name is the label.
    nullable
        The model takes missing values there, whatever the example has.

    Raises
    ------
    SignatureError
        The dtype is none that JSON rows can carry.
    """
    name, label = learn_label(series.name if series.name is not None else "value")
    kind = _kind_of(series, name)
    absent = series.isna()
    column = Column(
        name=name,
        label=label,
        kind=kind,
        dtype=_dtype_name(series.dtype),
        nullable=bool(absent.any()) or (nullable and series.dtype != bool),
        missing=_marker_of(series, absent, kind),
    )
    return replace(column, **_content(series, kind, name))


def _content(series: pd.Series[Any], kind: Kind, name: str) -> dict[str, Any]:
    """Return range, categories and typical value."""
    if kind in {"float", "int"}:
        return _numbers(series, kind)
    if kind == "category":
        return _categories(series, name)
    if kind == "datetime":
        return _dates(series)
    if kind == "bool":
        present = series.dropna().astype(bool)
        return {} if present.empty else {"typical": bool(present.mean() > 1 / 2)}
    return _texts(series, kind)


def _kind_of(series: pd.Series[Any], name: str) -> Kind:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if isinstance(dtype, pd.StringDtype):
        return "string"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "datetime"
    what = str(dtype)
    kind = _BY_CODE.get(getattr(dtype, "kind", ""))
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        what = pd.api.types.infer_dtype(series, skipna=True)
        kind = _INFERRED.get(what)
        if kind == "any":
            kind, what = _kind_of_mixed(series)
    if kind is None:
        message = (
            f"Column {name!r} of the example holds {what}, which rows in JSON cannot carry. "
            "Convert it before fitting: to numbers, text, booleans or datetime64."
        )
        raise SignatureError(message, column=name)
    return kind


def _kind_of_mixed(series: pd.Series[Any]) -> tuple[Kind | None, str]:
    for value in series.dropna():
        if not isinstance(_plain(value), (str, int, float, bool)):
            return None, f"values of type {type(value).__name__}"
    return "any", "mixed"


def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, pd.StringDtype) and dtype.na_value is pd.NA:
        default = pd.StringDtype()
        return "string" if dtype == default else f"string[{dtype.storage}]"
    return "category" if isinstance(dtype, pd.CategoricalDtype) else str(dtype)


def _marker_of(series: pd.Series[Any], absent: pd.Series[bool], kind: Kind) -> Missing:
    if series.dtype == object:
        if not absent.any():
            return "nan"
        first = series[absent.to_numpy()].iloc[0]
        return next((name for name, marker in _MARKERS.items() if first is marker), "nan")
    if kind == "datetime":
        return "NaT"
    return "NA" if getattr(series.dtype, "na_value", None) is pd.NA else "nan"


def _numbers(series: pd.Series[Any], kind: Kind) -> dict[str, Any]:
    values = series.dropna().to_numpy()
    if values.dtype == object:
        values = np.array(values.tolist())
    if kind == "float":
        values = values[np.isfinite(values)]
    if not len(values):
        return {}
    # The lower median is a value that the data has: no 2.5 in a column of whole numbers.
    median = np.sort(values)[(len(values) - 1) // 2]
    convert: Callable[[Any], float] = int if kind == "int" else _plain_float
    if len(series) < _FEW_ROWS:
        return {"typical": convert(float(f"{median:.1g}"))}
    return {
        "minimum": convert(values.min()),
        "maximum": convert(values.max()),
        "typical": int(median) if kind == "int" else round_to_data(float(median), values),
    }


def _plain_float(value: Any) -> float:
    # str() of a float32 is its short form: 0.1 and not 0.10000000149011612.
    return float(str(value))


def round_to_data(value: float, data: Any) -> float:
    """Return a number with no more decimals than the data has, or with four digits.

    Examples
    --------
    >>> round_to_data(3.4500000001, [3.25, 3.5])
    3.45
    """
    texts = [str(number) for number in data[:_PRECISION_SAMPLE]]
    decimals = max(len(text.partition(".")[2].rstrip("0")) for text in texts)
    if decimals > _MOST_DECIMALS or any("e" in text for text in texts):
        return float(f"{value:.{_SIGNIFICANT}g}")
    return round(value, decimals)


def _categories(series: pd.Series[Any], name: str) -> dict[str, Any]:
    categories = series.cat.categories
    values = tuple(_plain(value) for value in categories.tolist())
    if not all(_is_scalar(value) for value in values):
        message = (
            f"The categories of column {name!r} are {categories.dtype}, which rows in JSON "
            "cannot carry. Convert them with .astype(str) before fitting."
        )
        raise SignatureError(message, column=name)
    counts = np.bincount(series.cat.codes[series.cat.codes >= 0], minlength=max(len(values), 1))
    return {
        "categories": values,
        "category_dtype": _dtype_name(categories.dtype),
        "ordered": bool(series.cat.ordered),
        "typical": values[int(counts.argmax())] if values else None,
    }


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _dates(series: pd.Series[Any]) -> dict[str, Any]:
    present = series.dropna()
    if present.empty:
        return {}
    median = present.sort_values().iloc[(len(present) - 1) // 2]
    typical = _first_of_the_year(median)
    if len(series) < _FEW_ROWS:
        return {"typical": typical}
    return {
        "minimum": present.min().isoformat(),
        "maximum": present.max().isoformat(),
        "typical": typical,
    }


def _first_of_the_year(stamp: pd.Timestamp) -> str:
    zone = "" if stamp.tzinfo is None else "Z"
    # Nanoseconds end in 1677 and in 2262.
    year = min(max(stamp.year, _FIRST_YEAR), _LAST_YEAR)
    return f"{year}-01-01T00:00:00{zone}"


def _texts(series: pd.Series[Any], kind: Kind) -> dict[str, Any]:
    present = series.dropna()
    if len(present) > _SAMPLE:
        present = present.iloc[:: len(present) // _SAMPLE]
    if present.empty:
        return {}
    if kind == "any":
        return {"typical": _most_common(present)}
    counts = present.value_counts()
    common = [str(value) for value in counts.index[counts > 1]]
    if len(counts) > min(_MOST_VALUES, len(present) / 2) or not common:
        return {"typical": PLACEHOLDER}
    return {"categories": tuple(sorted(common)), "typical": common[0]}


def _most_common(present: pd.Series[Any]) -> Scalar:
    counts = present.value_counts()
    if counts.iloc[0] > 1:
        value: Scalar = _plain(counts.index[0])
        return value
    return PLACEHOLDER if present.map(lambda value: isinstance(value, str)).any() else 0
