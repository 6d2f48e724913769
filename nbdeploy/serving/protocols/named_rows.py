"""Rows that come with the names of their columns, brought to a form that a signature takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import shorten
from nbdeploy.models.signature import Signature

__all__ = ["checked_instances", "rows_of_columns", "rows_of_records", "rows_of_table"]


def rows_of_table(columns: Sequence[str], rows: Sequence[Any], signature: Signature) -> Any:
    """Give a table of named columns as rows.

    A model that was fitted on an array knows its features by their place: the columns are then
    taken in the order in which they come, whatever they are called.

    Parameters
    ----------
    columns
        The names.
    rows
        The cells, row by row.
    signature
        What the model takes.

    Raises
    ------
    RequestError
        If a row has more or fewer cells than there are columns.

    Examples
    --------
    >>> import pandas as pd
    >>> signature = Signature.learn(example=pd.DataFrame({"a": [1.5], "b": [2.5]}))
    >>> rows_of_table(["a", "b"], [[1.0, 2.0]], signature)
    [[1.0, 2.0]]
    >>> rows_of_table(["b", "a"], [[1.0, 2.0]], signature)
    [{'b': 1.0, 'a': 2.0}]
    """
    names = tuple(columns)
    if len(set(names)) != len(names):
        ((twice, _),) = Counter(names).most_common(1)
        message = f"The column {shorten(twice)} comes more than once; expected each once."
        raise RequestError(message)
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            message = (
                f"Row {number} is {shorten(row)}; expected a list of {len(names)} cells, one for "
                "each column."
            )
            raise RequestError(message)
    if signature.kind == "values" and len(names) == 1:
        return [row[0] for row in rows]
    if not rows or names == signature.names or _is_positional(names, signature):
        return list(rows)
    return [dict(zip(names, row, strict=True)) for row in rows]


def rows_of_records(records: list[Any], signature: Signature) -> Any:
    """Give records as rows: by place for a model that was fitted on an array of other names."""
    if not records or not isinstance(records[0], dict) or signature.kind != "array":
        return records
    names = tuple(records[0])
    if _is_positional(names, signature) and all(
        isinstance(record, dict) and tuple(record) == names for record in records
    ):
        return [list(record.values()) for record in records]
    return records


def rows_of_columns(columns: dict[str, Any], signature: Signature) -> Any:
    """Give columns, a list of values each, as a signature takes them.

    A column may also come as a tensor of shape ``[n, 1]``, each value in a list of its own.
    """
    flat = {name: _unwrapped(values) for name, values in columns.items()}
    if signature.kind == "values" and len(flat) == 1:
        return next(iter(flat.values()))
    if _is_positional(tuple(flat), signature):
        return dict(zip(signature.names, flat.values(), strict=True))
    return flat


def checked_instances(instances: Any, signature: Signature, *, key: str = "instances") -> list[Any]:
    """Give the rows of a request that holds one item for each row, under a key of its own.

    Raises
    ------
    RequestError
        If the items are single values and the model takes several: it would be one row.
    """
    if not isinstance(instances, list):
        message = f"{key} is {shorten(instances)}; expected a list with an item for each row."
        raise RequestError(message)
    if signature.kind == "values" or not instances:
        return instances
    if any(isinstance(item, (list, dict)) for item in instances):
        return list(rows_of_records(instances, signature))
    if signature.width == 1:
        return [[item] for item in instances]
    message = (
        f"{key} holds {len(instances)} single values; expected a list of {signature.width} "
        f"values for each row, such as {shorten([instances])}."
    )
    raise RequestError(message)


def _is_positional(names: tuple[str, ...], signature: Signature) -> bool:
    is_array = signature.kind == "array" and len(names) == signature.width
    return is_array and set(names) != set(signature.names)


def _unwrapped(values: Any) -> Any:
    is_tensor = isinstance(values, list) and all(
        isinstance(value, list) and len(value) == 1 for value in values
    )
    return [value[0] for value in values] if is_tensor else values
