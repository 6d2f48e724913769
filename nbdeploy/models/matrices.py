"""Rows of numbers as one array: the quick way for inputs of a single numeric dtype."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Order", "as_learned", "number_matrix", "order_of", "packed", "stack"]

Order: TypeAlias = Literal["C", "F"]
"""How an array lies in memory: row by row, or column by column."""

_BEYOND_INT64 = 2.0**63
_SOME = 32
_FEW = 4


def number_matrix(
    rows: Sequence[Sequence[Any]] | npt.NDArray[Any] | None,
    *,
    order: Order = "C",
    of_json: bool = False,
) -> npt.NDArray[Any] | None:
    """Return rows of finite numbers as one array of whole numbers or of float64.

    Parameters
    ----------
    rows
        Rows of equal width, or an array of them.
    order
        How the array shall lie in memory.
    of_json
        All cells came out of JSON, so what `struct` takes for a number is one, or true or false.

    Returns
    -------
    ndarray or None
        A new array of shape (rows, features); ``None`` if any cell is no plain finite number.
    """
    if rows is None:
        return None
    if isinstance(rows, np.ndarray):
        if rows.dtype.kind not in "fiu":
            return None
        dtype: type | None = None if rows.dtype.kind in "iu" else np.float64
        # A copy, so that a model which writes into its input leaves the caller's array alone.
        matrix = np.array(rows, dtype=dtype, order=order)
    else:
        flat = _plain(list(chain.from_iterable(rows)), of_json=of_json)
        if flat is None:
            return None
        matrix = flat.reshape(len(rows), -1)
        if order == "F":
            matrix = np.asfortranarray(matrix)
    return matrix if matrix.dtype.kind in "iu" or np.isfinite(matrix).all() else None


def _plain(cells: list[Any], *, of_json: bool) -> npt.NDArray[Any] | None:
    if of_json and float in map(type, cells[:_SOME]):
        array = packed(cells, np.dtype(np.float64))
        return None if array is None or _hides_booleans(array, cells) else array
    types = list(map(type, cells))
    floats = types.count(float)
    if floats < len(cells) and floats + types.count(int) < len(cells):
        return None
    return packed(cells, np.dtype(np.float64 if floats or not cells else np.int64))


def _hides_booleans(array: npt.NDArray[Any], cells: list[Any]) -> bool:
    """Tell whether a 1 was true, or a 0 false: a look at those is shorter than one at all types."""
    places = np.flatnonzero((array == 0) | (array == 1)).tolist()
    suspects = cells if len(places) > len(cells) // _FEW else [cells[place] for place in places]
    return bool in map(type, suspects)


def packed(numbers: Sequence[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    """Return a sequence of numbers as an array, in half of the time that NumPy takes.

    Parameters
    ----------
    numbers
        Python numbers, or scalars that have their methods. True and False count as 1 and 0.
    dtype
        What the array shall hold: float64 or int64.

    Returns
    -------
    ndarray or None
        ``None`` if one is no number, or does not fit.

    Examples
    --------
    >>> packed([1, 2.5], np.dtype(np.float64))
    array([1. , 2.5])
    >>> packed([1, None], np.dtype(np.float64)), packed([2**63], np.dtype(np.int64))
    (None, None)
    """
    array = np.empty(len(numbers), dtype)
    try:
        struct.pack_into(f"{len(numbers)}{dtype.char}", array.data, 0, *numbers)
    except struct.error:
        return None
    return array


def as_learned(matrix: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any] | None:
    """Return an array as the dtype that was learned, or as a wider one that holds the numbers.

    Parameters
    ----------
    matrix
        Checked cells.
    dtype
        What the model was fitted on. Whole numbers stay whole if all of them are, otherwise the
        array becomes float64.

    Returns
    -------
    ndarray or None
        ``None`` if a number is beyond the range of a floating dtype.

    Examples
    --------
    >>> as_learned(np.array([[1.0, 2.0]]), "int64")
    array([[1, 2]])
    >>> as_learned(np.array([[1.5, 2.0]]), "int64")
    array([[1.5, 2. ]])
    """
    wanted = np.dtype(dtype)
    if matrix.dtype == wanted or wanted.kind not in "iuf":
        return matrix.astype(wanted, copy=False)
    if wanted.kind == "f":
        with np.errstate(over="ignore"):
            cast = matrix.astype(wanted)
        return cast if np.isinf(cast).sum() == np.isinf(matrix).sum() else None
    return _as_whole(matrix, wanted)


def _as_whole(matrix: npt.NDArray[Any], wanted: np.dtype[Any]) -> npt.NDArray[Any]:
    if matrix.dtype.kind == "f":
        whole = np.isfinite(matrix).all() and (matrix == np.floor(matrix)).all()
        if not whole or np.abs(matrix).max() >= _BEYOND_INT64:
            return matrix
    # As Python integers: comparisons of uint64 with int64 go through float64.
    low, high = int(matrix.min()), int(matrix.max())
    for dtype in (wanted, np.dtype(np.int64)):
        bounds = np.iinfo(dtype)
        if bounds.min <= low and high <= bounds.max:
            return matrix.astype(dtype)
    return matrix.astype(np.float64)


def order_of(array: npt.NDArray[Any]) -> Order:
    """Tell whether an array of two dimensions lies in memory row by row or column by column."""
    down, across = np.abs(array.strides)
    return "C" if down >= across else "F"


def stack(columns: Sequence[Any], dtype: str, *, order: Order = "C") -> npt.NDArray[Any]:
    """Return checked columns as one array of the dtype that was learned."""
    arrays = [np.asarray(column) for column in columns]
    common = object if dtype == "object" else np.result_type(*arrays)
    array = np.empty((len(arrays[0]), len(arrays)), dtype=common, order=order)
    for place, column in enumerate(arrays):
        array[:, place] = column
    learned = as_learned(array, dtype)
    assert learned is not None, "the columns are of the dtype that was learned already"
    return learned
