"""What "equal" means for predictions: one meaning, for every test and comparison.

Labels are identical: text is the same text, a whole number the same number whatever its width.
Floats of the same batch are bit-equal. Otherwise they differ by at most ``rtol=1e-9`` or
``atol=1e-12``, because scikit-learn itself answers a row alone and the same row in a batch with a
difference of some 1e-14. NaN equals NaN and ``None``, which is how JSON has to write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.models.coercion import is_missing, plain_scalar
from nbdeploy.models.columns import shorten

__all__ = [
    "ABSOLUTE_TOLERANCE",
    "RELATIVE_TOLERANCE",
    "assert_equal",
    "explain_difference",
    "is_equal",
]

RELATIVE_TOLERANCE = 1e-9
ABSOLUTE_TOLERANCE = 1e-12

_NUMERIC = "iuf"


def explain_difference(actual: Any, expected: Any, *, same_batch: bool = False) -> str | None:
    """Return in words where two predictions differ, or ``None`` if they are equal.

    Parameters
    ----------
    actual, expected
        Arrays, lists (nested, or of arrays as a multi-output ``predict_proba`` gives them),
        DataFrames, Series, scalars, dicts of these. The container does not matter, the shape does,
        and so do the column names of two DataFrames; an index does not.
    same_batch
        Both come from the same batch of rows: floats must be bit-equal.

    Examples
    --------
    >>> explain_difference([1.0, 2.0], np.array([1.0, 2.0 + 1e-14]))
    >>> explain_difference(["cat", "dog"], ["cat", "cow"])
    "at [1]: 'dog' is not 'cow'"
    """
    return _compare(actual, expected, "", same_batch)


def is_equal(actual: Any, expected: Any, *, same_batch: bool = False) -> bool:
    """Tell whether two predictions are equal; see ``explain_difference``."""
    return explain_difference(actual, expected, same_batch=same_batch) is None


def assert_equal(actual: Any, expected: Any, *, same_batch: bool = False) -> None:
    """Raise ``AssertionError`` with the first difference of two predictions, if there is one."""
    difference = explain_difference(actual, expected, same_batch=same_batch)
    if difference is not None:
        raise AssertionError(difference)


def _compare(actual: Any, expected: Any, path: str, same_batch: bool) -> str | None:
    if isinstance(actual, pd.DataFrame) and isinstance(expected, pd.DataFrame):
        difference = _compare(list(actual.columns), list(expected.columns), "columns", same_batch)
        if difference is not None:
            return difference
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        return _compare_mappings(actual, expected, path, same_batch)
    actual, expected = _as_array(actual), _as_array(expected)
    if _are_numbers(actual) and _are_numbers(expected):
        return _compare_numbers(actual, expected, path, same_batch)
    if _is_sequence(actual) and _is_sequence(expected):
        return _compare_items(actual, expected, path, same_batch)
    if _is_sequence(actual) or _is_sequence(expected):
        return _differ(path, actual, expected)
    same = _is_same_value(actual, expected, same_batch)
    return None if same else _differ(path, actual, expected)


def _compare_mappings(
    actual: Mapping[Any, Any], expected: Mapping[Any, Any], path: str, same_batch: bool
) -> str | None:
    if actual.keys() != expected.keys():
        return _differ(path, sorted(map(str, actual)), sorted(map(str, expected)))
    for key, value in expected.items():
        difference = _compare(actual[key], value, f"{path}[{shorten(key)}]", same_batch)
        if difference is not None:
            return difference
    return None


def _compare_items(actual: Any, expected: Any, path: str, same_batch: bool) -> str | None:
    if len(actual) != len(expected):
        return f"{_where(path)}{len(actual)} items are not {len(expected)} items"
    for place, (one, other) in enumerate(zip(actual, expected, strict=True)):
        difference = _compare(one, other, f"{path}[{place}]", same_batch)
        if difference is not None:
            return difference
    return None


def _compare_numbers(
    actual: npt.NDArray[Any], expected: npt.NDArray[Any], path: str, same_batch: bool
) -> str | None:
    if actual.shape != expected.shape:
        return f"{_where(path)}shape {actual.shape} is not {expected.shape}"
    differ = ~_are_same(actual, expected, same_batch)
    if not differ.any():
        return None
    first = tuple(int(place) for place in np.argwhere(differ)[0])
    path += "".join(f"[{place}]" for place in first)
    count = int(differ.sum())
    more = f" ({count} of {differ.size} differ)" if count > 1 else ""
    return _differ(path, actual[first].item(), expected[first].item()) + more


def _are_same(
    actual: npt.NDArray[Any], expected: npt.NDArray[Any], same_batch: bool
) -> npt.NDArray[np.bool_]:
    if expected.dtype.kind != "f":
        return np.asarray(actual == expected)
    with np.errstate(over="ignore"):
        # What a float32 says in JSON is read as a float64 that is near it.
        actual = actual.astype(expected.dtype)
    if same_batch:
        same = (actual == expected) & (np.signbit(actual) == np.signbit(expected))
        return np.asarray(same | (np.isnan(actual) & np.isnan(expected)))
    close = np.isclose(
        actual, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True
    )
    return np.asarray(close)


def _is_same_value(actual: Any, expected: Any, same_batch: bool) -> bool:
    if is_missing(actual) or is_missing(expected):
        return is_missing(actual) and is_missing(expected)
    if _is_number(actual) and _is_number(expected):
        return bool(_are_same(np.asarray(actual), np.asarray(expected), same_batch))
    actual, expected = plain_scalar(actual), plain_scalar(expected)
    if isinstance(actual, bool) != isinstance(expected, bool):
        return False
    if isinstance(actual, str) and isinstance(expected, str):
        return str(actual) == str(expected)
    return bool(actual == expected)


def _as_array(value: Any) -> Any:
    """Return what holds many values as an array, or as the list it is."""
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        return value.to_numpy()
    if hasattr(value, "toarray"):
        return value.toarray()
    if isinstance(value, list) and set(map(type, value)) in ({float}, {int}):
        return _flat(value)
    if hasattr(value, "__array__") and not isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _flat(numbers: list[Any]) -> Any:
    array = np.asarray(numbers)
    return array if array.dtype.kind in _NUMERIC else numbers


def _are_numbers(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in _NUMERIC


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _differ(path: str, actual: Any, expected: Any) -> str:
    one, other = shorten(plain_scalar(actual)), shorten(plain_scalar(expected))
    return f"{_where(path)}{one} is not {other}"


def _where(path: str) -> str:
    return f"at {path}: " if path else ""
