"""MLflow's scoring protocol and SageMaker's: ``POST /invocations``.

JSON with one of ``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs``, or a
table: CSV with or without a header, Parquet, and what else the service reads. The answer is
``{"predictions": [...]}``, or CSV for a client that accepts that.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from nbdeploy.exceptions import RequestError
from nbdeploy.models.columns import shorten
from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import Prediction
from nbdeploy.serving.protocols.named_rows import (
    checked_instances,
    rows_of_columns,
    rows_of_records,
    rows_of_table,
)
from nbdeploy.serving.protocols.native import check_content_type, dump_json, parse_json
from nbdeploy.serving.protocols.tables import is_table, read_table, write_table

__all__ = ["decode", "encode"]

_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_CSV = frozenset({"text/csv", "application/csv"})


def decode(content_type: str | None, body: bytes, *, signature: Signature) -> Any:
    """Read the rows of a request.

    Parameters
    ----------
    content_type
        The header of that name; a body without it is JSON.
    body
        The body.
    signature
        What the model takes.

    Raises
    ------
    RequestError
        415 for a type that is not read, 400 if the body is malformed.
    """
    if content_type is not None:
        kind = content_type.partition(";")[0].strip().lower()
        if is_table(kind):
            return read_table(kind, body, signature)
        check_content_type(content_type.encode("latin-1"))
    document = parse_json(body)
    keys = [key for key in _KEYS if isinstance(document, dict) and key in document]
    if len(keys) != 1:
        message = (
            f"The body has {' and '.join(keys) if keys else 'none of the keys'}. Expected an "
            f"object with exactly one of {', '.join(_KEYS)}."
        )
        raise RequestError(message)
    params = document.get("params")
    if params is not None and not isinstance(params, dict):
        message = f"params is {shorten(params)}; expected an object."
        raise RequestError(message)
    return _READERS[keys[0]](document[keys[0]], signature)


def _split(split: Any, signature: Signature) -> Any:
    data = split.get("data") if isinstance(split, dict) else None
    if not isinstance(data, list):
        message = (
            f"dataframe_split is {shorten(split)}; expected an object with columns and data, a "
            "list of rows."
        )
        raise RequestError(message)
    columns = split.get("columns")
    if columns is None:
        return data
    if not isinstance(columns, list):
        message = f"dataframe_split: columns is {shorten(columns)}; expected a list of names."
        raise RequestError(message)
    return rows_of_table(list(map(str, columns)), data, signature)


def _records(records: Any, signature: Signature) -> Any:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        message = f"dataframe_records is {shorten(records)}; expected a list of objects."
        raise RequestError(message)
    return rows_of_records(records, signature)


def _inputs(inputs: Any, signature: Signature) -> Any:
    return rows_of_columns(inputs, signature) if isinstance(inputs, dict) else inputs


_READERS: dict[str, Callable[[Any, Signature], Any]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": checked_instances,
    "inputs": _inputs,
}


def encode(prediction: Prediction, kind: str | None) -> bytes:
    """Write an answer.

    Parameters
    ----------
    prediction
        What the model answered.
    kind
        The media type of a table, JSON otherwise. CSV has no header: SageMaker's clients expect
        none.
    """
    if kind is None:
        return dump_json({"predictions": prediction.output})
    if kind in _CSV:
        return _as_csv(prediction.output)
    return write_table(kind, "predictions", prediction.output)


def _as_csv(output: list[Any]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(item if isinstance(item, list) else [item] for item in output)
    return text.getvalue().encode(errors="backslashreplace")
