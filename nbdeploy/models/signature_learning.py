"""What a signature learns from an example and from a fitted model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.column_learning import learn_column
from nbdeploy.models.columns import PLACEHOLDER, Column, list_values, shorten
from nbdeploy.models.example import ArrayExample, FrameExample, read_example
from nbdeploy.models.fitted_input import (
    fate_of_missing,
    names_of,
    takes_text_cells,
    takes_texts,
    wants_array,
    width_of,
)
from nbdeploy.models.matrices import Order, order_of
from nbdeploy.models.synthetic_row import unlike_any_row

__all__ = ["learn"]


def learn(model: Any, example: Any) -> dict[str, Any]:
    """Return the fields of a signature.

    Raises
    ------
    SignatureError
        Neither the example nor the model tells anything, or they disagree.
    """
    if example is None:
        return _from_model(model)
    names = names_of(model)
    read = read_example(example, names=names)
    if isinstance(read, FrameExample):
        if names is None and wants_array(model) and _are_texts(read.frame.columns):
            return _from_array(read.frame.to_numpy(), model, names=tuple(read.frame.columns))
        return _from_frame(read.frame, model)
    if isinstance(read, ArrayExample):
        if names is not None:
            _check_width(read.array.shape[1], model)
            return _from_frame(pd.DataFrame(read.array, columns=list(names)).infer_objects(), model)
        return _from_array(read.array, model)
    if (width_of(model) or 1) > 1:
        _check_width(1, model)
    column = learn_column(read.cells)
    return {"kind": "values", "columns": (column,), "container": read.container}


def _are_texts(labels: Any) -> bool:
    return all(isinstance(label, str) for label in labels)


def _from_model(model: Any) -> dict[str, Any]:
    names = names_of(model)
    if names is not None:
        return {
            "kind": "frame",
            "columns": tuple(_unseen(name, model, place) for place, name in enumerate(names)),
            # As frames lie that were read from a file or made from columns.
            "order": "F",
        }
    if takes_texts(model):
        column = Column(name="text", kind="string", dtype="object", typical=PLACEHOLDER)
        return {"kind": "values", "columns": (column,), "container": "list"}
    width = width_of(model)
    if width is not None:
        columns = tuple(_unseen(str(place), model, place, array=True) for place in range(width))
        numeric = all(column.kind == "float" for column in columns)
        return {"kind": "array", "columns": columns, "dtype": "float64" if numeric else "object"}
    what = "nothing" if model is None else f"a {type(model).__name__}"
    message = (
        f"What a row looks like cannot be learned from {what}; pass example= with a few rows, for "
        "example example=X_train."
    )
    raise SignatureError(message)


def _unseen(name: str, model: Any, place: int, *, array: bool = False) -> Column:
    """Return a column of which only the name is known."""
    nullable = fate_of_missing(model, place) != "refused"
    if takes_text_cells(model, place):
        return Column(name=name, kind="any", nullable=nullable, typical=0.0)
    if array:
        return Column(name=name, kind="float", dtype="float64", nullable=nullable, typical=0.0)
    return Column(name=name, kind="any", dtype="number", nullable=nullable, typical=0.0)


def _from_frame(frame: pd.DataFrame, model: Any) -> dict[str, Any]:
    frame = _in_order(_dense(frame), model)
    if not frame.shape[1]:
        message = "The example has no columns; pass example= with the columns of the model."
        raise SignatureError(message)
    cells = [frame.iloc[:, place] for place in range(frame.shape[1])]
    columns = [
        learn_column(series, nullable=_takes_missing(model, place))
        for place, series in enumerate(cells)
    ]
    _check_distinct(columns)
    return {
        "kind": "frame",
        "columns": unlike_any_row(columns, cells),
        "order": _frame_order(frame),
    }


def _check_distinct(columns: Sequence[Column]) -> None:
    # 1 and 1.0 are one label to pandas, 1 and "1" are one name in JSON.
    for labels in ([column.name for column in columns], [column.key for column in columns]):
        label, count = Counter(labels).most_common(1)[0]
        if count > 1:
            message = (
                f"The example has more than one column named {shorten(label)}; rename them, "
                "because a row in JSON has each name once."
            )
            raise SignatureError(message, column=str(label))


def _frame_order(frame: pd.DataFrame) -> Order:
    # Of mixed dtypes pandas itself makes each column apart.
    is_numeric = all(dtype == np.float64 for dtype in frame.dtypes)
    return order_of(frame.to_numpy()) if is_numeric else "F"


def _dense(frame: pd.DataFrame) -> pd.DataFrame:
    sparse = [isinstance(dtype, pd.SparseDtype) for dtype in frame.dtypes]
    if not any(sparse):
        return frame
    return frame.astype(
        {
            label: dtype.subtype
            for label, dtype in frame.dtypes.items()
            if isinstance(dtype, pd.SparseDtype)
        }
    )


def _in_order(frame: pd.DataFrame, model: Any) -> pd.DataFrame:
    """Return the example in the order of the model's own columns."""
    names = names_of(model)
    if names is None:
        _check_width(frame.shape[1], model)
        return frame
    labels = [str(label) for label in frame.columns]
    # LightGBM remembers names without their spaces, and takes both.
    called = {label.replace(" ", "_"): label for label in labels} | {
        label: label for label in labels
    }
    wanted = list(dict.fromkeys(called[name] for name in names if name in called))
    extra = tuple(label for label in labels if label not in wanted)
    missing = tuple(name for name in names if name not in called)
    if missing:
        message = (
            f"The example has no column {list_values(missing, last=' and ')}, which the model "
            "was fitted on; pass example= with the columns of the training data."
        )
        raise SignatureError(message, column=missing[0])
    if extra:
        listed = list_values(extra, last=", ")
        message = (
            f"The example has columns that the model was not fitted on: {listed}; leave them "
            f"out, for example example=X.drop(columns=[{listed}])."
        )
        raise SignatureError(message, column=extra[0])
    return frame if labels == wanted else frame.loc[:, wanted]


def _check_width(found: int, model: Any) -> None:
    width = width_of(model)
    if width is not None and width != found:
        message = (
            f"The example has {found} columns, the model was fitted on {width}; pass example= "
            "with the columns of the training data."
        )
        raise SignatureError(message, expected=f"{width} columns")


def _from_array(
    array: npt.NDArray[Any], model: Any, *, names: tuple[str, ...] | None = None
) -> dict[str, Any]:
    if not array.shape[1]:
        message = "The example has no features; pass example= with the features of the model."
        raise SignatureError(message)
    _check_width(array.shape[1], model)
    dtype = _array_dtype(array)
    labels = names or tuple(str(place) for place in range(array.shape[1]))
    # Without a dtype pandas would guess one for each column of objects.
    kept = object if dtype == "object" else None
    features = [
        pd.Series(array[:, place], name=label, dtype=kept) for place, label in enumerate(labels)
    ]
    columns = [
        _of_array(learn_column(cells, nullable=_takes_missing(model, place)), dtype)
        for place, cells in enumerate(features)
    ]
    _check_distinct(columns)
    return {
        "kind": "array",
        "columns": unlike_any_row(columns, features),
        "dtype": dtype,
        "order": order_of(array),
    }


def _of_array(column: Column, dtype: str) -> Column:
    """Return a column whose cells become part of one array."""
    if dtype == "str":
        return replace(column, dtype="object", nullable=False)
    if column.kind == "int" and dtype != "object":
        # The whole array becomes float64 when one cell is no whole number.
        return replace(column, kind="float", dtype="float64")
    return column


def _takes_missing(model: Any, place: int) -> bool:
    return model is not None and fate_of_missing(model, place) != "refused"


def _array_dtype(array: npt.NDArray[Any]) -> str:
    if array.dtype.kind in "UT":
        return "str"
    if array.dtype.kind in "fiubO":
        return str(array.dtype)
    message = (
        f"The example is an array of {array.dtype}, which rows in JSON cannot carry; expected "
        "numbers, booleans or text."
    )
    raise SignatureError(message)
