"""The form of rows: how they were given decides how the answers come back.

An array gives an array, a DataFrame a Series with its index, a list a list, one dict one value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pandas as pd

from nbdeploy.exceptions import SignatureError

__all__ = ["RowsForm", "form_of", "plain_values"]

Classes = Sequence[Any] | None


@dataclass(frozen=True)
class RowsForm:
    """Rows on their way out, and the way back for their answers.

    Parameters
    ----------
    body
        The JSON body of the request, ``{"features": ...}``.
    restore
        Turns one item a row into the form of the rows, given the labels of the columns
        (or a call that fetches them).
    """

    body: bytes
    restore: Callable[[list[Any], Callable[[], Classes]], Any]


def form_of(rows: Any, *, is_text: Callable[[], bool] = lambda: False) -> RowsForm:
    """Look at rows and prepare both ways.

    Parameters
    ----------
    rows
        What a user gave.
    is_text
        Tells whether a row of the model is a single value, a text for example: only then is a
        Series many rows. Asked for a Series only.

    Raises
    ------
    SignatureError
        If the rows are none that can be sent.

    Examples
    --------
    >>> form = form_of(np.array([[1.0, 2.0]]))
    >>> form.body
    b'{"features":[[1.0,2.0]]}'
    >>> form.restore([0.5], lambda: None)
    array([0.5])
    """
    if isinstance(rows, pd.DataFrame):
        return RowsForm(_dump(_columns(rows)), lambda out, labels: _frame(out, rows.index, labels))
    if isinstance(rows, pd.Series):
        return _form_of_series(rows, is_text=is_text())
    if isinstance(rows, np.ndarray):
        return RowsForm(_dump(_array_values(rows)), _array)
    if isinstance(rows, dict):
        is_columns = any(
            isinstance(value, (list, np.ndarray, pd.Series)) for value in rows.values()
        )
        return RowsForm(_dump(rows), _list if is_columns else _single)
    if isinstance(rows, (list, tuple)):
        return RowsForm(_dump(list(rows)), _list)
    return form_of(_converted(rows), is_text=is_text)


def plain_values(values: Any) -> Any:
    """Give the values of an array, a Series or a list as JSON has them, missing ones as ``None``.

    Examples
    --------
    >>> plain_values(np.array([1.0, np.nan])), plain_values("Adelie")
    ([1.0, None], 'Adelie')
    """
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy()
    if isinstance(values, (pd.Series, pd.Index)):
        return _series_values(pd.Series(values))
    if isinstance(values, np.ndarray):
        values = _array_values(values)
    if isinstance(values, (list, tuple)):
        return [plain_values(value) for value in values]
    return None if _is_missing(values) else _plain(values)


def _converted(rows: Any) -> Any:
    for convert in ("to_pandas", "toarray"):
        if hasattr(rows, convert):
            return getattr(rows, convert)()
    message = (
        f"Rows of type {type(rows).__name__!r} cannot be sent. "
        "Expected a DataFrame, an array, a list of rows or a dict of one row."
    )
    raise SignatureError(message)


def _form_of_series(series: pd.Series[Any], *, is_text: bool) -> RowsForm:
    values = _series_values(series)
    if is_text:
        return RowsForm(_dump(values), lambda out, labels: _frame(out, series.index, labels))
    return RowsForm(_dump(dict(zip(map(str, series.index), values, strict=True))), _single)


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    names = [str(name) for name in frame.columns]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        message = f"The DataFrame has two columns named {doubled[0]!r}; rename one."
        raise SignatureError(message, column=doubled[0])
    return {name: _series_values(frame.iloc[:, place]) for place, name in enumerate(names)}


def _series_values(series: pd.Series[Any]) -> list[Any]:
    if series.dtype.kind in "biuf" and isinstance(series.dtype, np.dtype):
        return series.tolist()
    return [None if _is_missing(value) else _plain(value) for value in series.tolist()]


def _array_values(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind in "Mm":
        return array.astype(str).tolist()
    return array.tolist()


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value  # noqa: PLR0124 -- NaN


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, pd.Series):
        return _series_values(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (str, int, float, bool, list, tuple, dict, type(None))):
        return value
    message = f"A value of type {type(value).__name__!r} cannot be sent: {str(value)[:60]!r}."
    raise SignatureError(message, value=str(value)[:60])


def _dump(rows: Any) -> bytes:
    document = {"features": rows}
    if not _holds_infinity(rows):
        try:
            # default= is asked for every value that is no JSON: it refuses what cannot be sent.
            return orjson.dumps(document, default=_plain, option=orjson.OPT_NON_STR_KEYS)
        except orjson.JSONEncodeError as error:
            if isinstance(error.__cause__, SignatureError):
                raise error.__cause__ from None
    # orjson would write infinity as null, which is another value; the server must see it.
    return json.dumps(document, default=_plain).encode()


def _holds_infinity(rows: Any) -> bool:
    if isinstance(rows, dict):
        return any(map(_holds_infinity, rows.values()))
    if isinstance(rows, (list, tuple)):
        return any(map(_holds_infinity, rows))
    if isinstance(rows, (float, np.floating)):
        return math.isinf(rows)
    if isinstance(rows, np.ndarray):
        return rows.dtype.kind == "f" and bool(np.isinf(rows).any())
    return False


def _single(output: list[Any], _: object) -> Any:
    return output[0]


def _list(output: list[Any], _: object) -> list[Any]:
    return output


def _array(output: list[Any], _: object) -> Any:
    if _is_multi_output(output):
        return [_as_array(list(part)) for part in zip(*output, strict=True)]
    return _as_array(output)


def _frame(output: list[Any], index: pd.Index[Any], labels: Callable[[], Classes]) -> Any:
    if _is_multi_output(output):
        classes = labels() or [None] * len(output[0])
        return [
            _labelled(list(part), index, one)
            for part, one in zip(zip(*output, strict=True), classes, strict=True)
        ]
    if output and isinstance(output[0], list):
        return _labelled(output, index, labels())
    return pd.Series(_as_array(output), index=index)


def _labelled(output: list[Any], index: pd.Index[Any], classes: Classes) -> pd.DataFrame:
    values = _as_array(output)
    if classes is None or len(classes) != values.shape[1]:
        return pd.DataFrame(values, index=index)
    return pd.DataFrame(values, index=index, columns=list(classes))


def _is_multi_output(output: list[Any]) -> bool:
    """Tell whether a row's answer is a list of lists: one an output of the model."""
    first = output[0] if output else None
    return isinstance(first, list) and bool(first) and isinstance(first[0], list)


def _as_array(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.array(values)
    if array.dtype == object:
        try:
            # null among numbers is what JSON has for NaN.
            return array.astype(float)
        except (TypeError, ValueError):
            return array
    return array
