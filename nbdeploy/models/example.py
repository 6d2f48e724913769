"""What ``example=`` may be: anything that looks like rows, brought to one of three forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.exceptions import SignatureError

__all__ = ["ArrayExample", "Container", "FrameExample", "ValuesExample", "as_frame", "read_example"]

Container = Literal["list", "series", "array"]

_ADVICE = "Pass example= as a DataFrame, a 2-D array, a list of rows or a list of texts."
_ENOUGH_ROWS = 10_000


@dataclass(frozen=True)
class FrameExample:
    """Rows with column names."""

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class ArrayExample:
    """Rows without column names."""

    array: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.array)


@dataclass(frozen=True)
class ValuesExample:
    """One value a row, and the container that the model takes them in."""

    cells: pd.Series[Any]
    container: Container

    def __len__(self) -> int:
        return len(self.cells)


Example = FrameExample | ArrayExample | ValuesExample


def read_example(example: Any, *, names: tuple[str, ...] | None = None) -> Example:
    """Return an example in one of three forms.

    Parameters
    ----------
    example
        A DataFrame, Series, array, sparse matrix, list of rows, list of dicts, dict of columns,
        list of texts, or another library's frame.
    names
        The column names that the model was fitted on; they tell one row from many texts.

    Raises
    ------
    SignatureError
        The example is empty, or is no rows at all.
    """
    frame = as_frame(example)
    if frame is not None:
        read: Example = FrameExample(frame)
    elif isinstance(example, pd.Series):
        read = _read_series(example, names)
    elif isinstance(example, Mapping):
        read = FrameExample(_read_mapping(example))
    elif isinstance(example, (list, tuple)):
        read = _read_list(list(example))
    else:
        read = _read_array(_as_array(example))
    if len(read) == 0:
        message = f"The example has no rows. {_ADVICE}"
        raise SignatureError(message)
    return read


def _as_array(example: Any) -> npt.NDArray[Any]:
    if hasattr(example, "toarray"):
        # A sparse matrix: a dense one of all rows may not fit into memory.
        return np.asarray(example[:_ENOUGH_ROWS].toarray())
    if hasattr(example, "__array__"):
        return np.asarray(example)
    message = f"An example of type {type(example).__name__} is no rows. {_ADVICE}"
    raise SignatureError(message)


def as_frame(rows: Any) -> pd.DataFrame | None:
    """Return a DataFrame, pandas' own or another library's, as pandas' own; else ``None``."""
    if isinstance(rows, pd.DataFrame):
        return rows
    if not hasattr(rows, "columns") or isinstance(rows, pd.Series):
        return None
    if hasattr(rows, "to_pandas"):
        try:
            frame = rows.to_pandas()
        except ImportError:
            # polars needs pyarrow for it, plain lists do not.
            frame = pd.DataFrame(rows.to_dict(as_series=False))
        return frame if isinstance(frame, pd.DataFrame) else None
    return None


def _read_series(series: pd.Series[Any], names: tuple[str, ...] | None) -> Example:
    labels = tuple(str(label) for label in series.index)
    texts = all(isinstance(value, str) or pd.isna(value) for value in series.head(_ENOUGH_ROWS))
    if names is not None and set(labels) == set(names):
        return FrameExample(series.to_frame().T.infer_objects())
    if texts:
        return ValuesExample(series, "series")
    if all(isinstance(label, str) for label in series.index):
        return FrameExample(series.to_frame().T.infer_objects())
    return ArrayExample(series.to_numpy().reshape(1, -1))


def _read_array(array: npt.NDArray[Any]) -> Example:
    if array.ndim == 1:
        if array.dtype.kind in "UT" or _are_texts(array.tolist()):
            return ValuesExample(pd.Series(array, dtype=object), "array")
        return ArrayExample(array.reshape(1, -1))
    if array.ndim != 2:  # noqa: PLR2004 -- rows and features
        message = f"The example has {array.ndim} dimensions; expected 2 (rows and features)."
        raise SignatureError(message)
    return ArrayExample(array)


def _read_mapping(example: Mapping[Any, Any]) -> pd.DataFrame:
    columns = [
        isinstance(value, (list, tuple, np.ndarray, pd.Series)) for value in example.values()
    ]
    if columns and all(columns):
        return pd.DataFrame(dict(example))
    return pd.DataFrame([dict(example)])


def _read_list(example: list[Any]) -> Example:
    if not example:
        return ArrayExample(np.empty((0, 0)))
    if all(isinstance(row, Mapping) for row in example):
        return FrameExample(pd.DataFrame([dict(row) for row in example]))
    if all(isinstance(row, (list, tuple, np.ndarray)) for row in example):
        return ArrayExample(_stack([list(row) for row in example]))
    if _are_texts(example):
        return ValuesExample(pd.Series(example, dtype=object), "list")
    if any(isinstance(value, (list, tuple, np.ndarray, Mapping)) for value in example):
        message = f"The example mixes rows and single values. {_ADVICE}"
        raise SignatureError(message)
    return ArrayExample(_stack([example]))


def _are_texts(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _stack(rows: list[list[Any]]) -> npt.NDArray[Any]:
    """Return rows as one array; of objects where text and numbers would become text."""
    width = len(rows[0])
    for number, row in enumerate(rows):
        if len(row) != width:
            message = f"Row {number} of the example has {len(row)} values, row 0 has {width}."
            raise SignatureError(message, row=number)
    types = {bool if isinstance(v, (bool, np.bool_)) else _family(v) for row in rows for v in row}
    if len(types) == 1 or types <= {float, type(None)}:
        plain = np.asarray(rows, dtype=float if type(None) in types else None)
        if plain.dtype.kind in "fiub":
            return plain
    array = np.empty((len(rows), width), dtype=object)
    for number, row in enumerate(rows):
        array[number, :] = row
    return array


def _family(value: Any) -> type:
    return float if isinstance(value, (int, float, np.number)) else type(value)
