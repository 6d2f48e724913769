"""Rows as a table in the body: CSV, NumPy's npy, Arrow IPC and Parquet, both ways.

A table says itself what its columns are, or, as CSV and npy may, leaves it to their order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbdeploy.exceptions import RequestError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.collector import uncollected
from nbdeploy.serving.protocols.number_lines import read_number_lines
from nbdeploy.serving.protocols.sizes import check_csv_size
from nbdeploy.serving.protocols.table_sizes import (
    arrow_stream,
    check_arrow,
    check_npy,
    check_parquet,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLES", "is_table", "read_table", "write_table"]

MAX_CELLS = 50_000_000
"""Compressed columns can stand for far more cells than bytes; more than this is refused."""

_NUMBER_KINDS = frozenset({"float", "int"})
_TEXT_KINDS = frozenset({"string", "category", "datetime"})
# What common writers of CSV put for a missing number; in a column of text, only nothing is missing.
_NO_NUMBER = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_TWO_DIMENSIONS = 2


def is_table(kind: str) -> bool:
    """Tell whether a media type, without its parameters, is that of a table."""
    return kind in _READERS


def read_table(kind: str, body: bytes, signature: Signature) -> Any:
    """Read the rows of a body.

    Parameters
    ----------
    kind
        A media type in lower case, without parameters: one of `TABLES`.
    body
        The body.
    signature
        Names the columns: of CSV, a first line with any of these names is a header, and without
        one the cells are in the order of the columns.

    Returns
    -------
    rows
        A DataFrame or an array, as `Signature.validate` takes them.

    Raises
    ------
    RequestError
        400 if the body is no such table, 413 if it stands for too many cells, 415 if the library
        that reads it is not installed.
    """
    if not body:
        message = f"The body is empty. Expected a table as {kind}."
        raise RequestError(message)
    try:
        return _READERS[kind](body, signature)
    except RequestError:
        raise
    except (RecursionError, MemoryError):
        raise
    except Exception as error:
        # The libraries raise errors of many kinds, and none of them is the fault of the service.
        said = str(error).partition("\n")[0][:200]
        message = f"The body is no table as {kind}: {said or type(error).__name__}."
        raise RequestError(message) from error


def write_table(kind: str, name: str, output: list[Any]) -> bytes:
    """Write predictions, one line or row each.

    Parameters
    ----------
    kind
        One of `TABLES`.
    name
        Names the column; several values a row become columns ``name_0``, ``name_1`` ...
    output
        One plain item a row.
    """
    return _WRITERS[kind](name, output)


def _read_csv(body: bytes, signature: Signature) -> Any:
    check_csv_size(body)
    first = body[:65536].partition(b"\n")[0].decode("utf-8-sig", "replace")
    fields = [field.strip() for field in next(csv.reader([first]), [])]
    names = signature.names
    has_header = signature.kind != "values" and _is_header(fields, signature)
    rows = _read_numbers(body, fields, signature, has_header=has_header)
    if rows is not None:
        return rows
    text = {column.name for column in signature.columns if column.kind in _TEXT_KINDS}
    columns = fields if has_header else [*names, *map(str, range(len(names), len(fields)))]
    frame = pd.read_csv(
        io.BytesIO(body),
        header=0 if has_header else None,
        names=columns if len(set(columns)) == len(columns) else None,
        index_col=False,
        dtype=dict.fromkeys(text.intersection(columns), object),
        na_values={name: [""] if name in text else _NO_NUMBER for name in columns},
        keep_default_na=False,
        skipinitialspace=True,
        encoding="utf-8-sig",
    )
    if signature.kind == "values":
        return frame.iloc[:, 0].tolist()
    if not has_header and len(fields) != len(names):
        message = (
            f"The first line has {len(fields)} values; the model has {len(names)} columns. "
            f"Expected {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"  # noqa: PLR2004 -- a few
        )
        raise RequestError(message, status=422)
    is_plain = signature.kind == "array" and not has_header
    return frame.to_numpy() if is_plain else frame


def _read_numbers(body: bytes, fields: list[str], signature: Signature, *, has_header: bool) -> Any:
    """Read CSV of a model that takes numbers alone, if it holds nothing else."""
    is_in_order = not has_header or tuple(fields) == signature.names
    if not is_in_order or not _NUMBER_KINDS.issuperset(column.kind for column in signature.columns):
        return None
    lines = body.partition(b"\n")[2] if has_header else body
    return uncollected(lambda: _packed_numbers(lines, signature))


def _packed_numbers(lines: bytes, signature: Signature) -> Any:
    rows = read_number_lines(lines, signature.width)
    return None if rows is None else signature.packed(rows)


def _is_header(fields: list[str], signature: Signature) -> bool:
    if signature.kind == "frame":
        return not set(signature.names).isdisjoint(fields)
    # The columns of an array are called 0, 1, ...: a line of numbers is a row.
    return any(field and not _is_number(field) and field not in _NO_NUMBER for field in fields)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_npy(body: bytes, signature: Signature) -> Any:
    del signature
    check_npy(body)
    array = np.load(io.BytesIO(body), allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.names or array.ndim > _TWO_DIMENSIONS:
        message = "The array must have one or two dimensions, and no named fields."
        raise RequestError(message)
    return array


def _read_arrow(body: bytes, signature: Signature) -> Any:
    del signature
    arrow = _arrow()
    stream = arrow_stream(body)
    rows = check_arrow(stream)
    with arrow.ipc.open_stream(arrow.BufferReader(stream)) as reader:
        _refuse_too_many(rows, len(reader.schema))
        table = reader.read_all()
    # What a stranger's buffers point to may lie outside of them.
    table.validate(full=True)
    return _frame(table)


def _read_parquet(body: bytes, signature: Signature) -> Any:
    del signature
    arrow = _arrow()
    import pyarrow.parquet  # noqa: PLC0415 -- optional, and heavy

    with pyarrow.parquet.ParquetFile(arrow.BufferReader(body)) as file:
        _refuse_too_many(file.metadata.num_rows, file.metadata.num_columns)
        texts = check_parquet(file)
    with pyarrow.parquet.ParquetFile(arrow.BufferReader(body), read_dictionary=texts) as file:
        frame = _frame(file.read())
    return frame.astype({name: object for name in texts if name in frame.columns})


def _frame(table: pa.Table) -> pd.DataFrame:
    # Whole numbers beside a null would become floats, which do not hold all of them.
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    return frame


def _refuse_too_many(rows: int, columns: int) -> None:
    if rows * max(1, columns) > MAX_CELLS:
        message = (
            f"The table has {rows} rows of {columns} columns, more than {MAX_CELLS} cells. "
            "Send it in parts."
        )
        raise RequestError(message, status=413)


def _arrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 -- optional, and heavy
        import pyarrow.ipc  # noqa: PLC0415 -- as above
    except ImportError:
        message = (
            "This service reads and writes no Arrow or Parquet: pyarrow is not installed there. "
            "Send JSON or CSV, or install nbdeploy[arrow]."
        )
        raise RequestError(message, status=415) from None
    return pa


def _write_csv(name: str, output: list[Any]) -> bytes:
    return _as_frame(name, output).to_csv(index=False, lineterminator="\n").encode()


def _write_npy(name: str, output: list[Any]) -> bytes:
    del name
    array = np.array(output)
    if array.dtype == object:
        array = array.astype(str)
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _write_arrow(new_file: Callable[[Any], Any]) -> Callable[[str, list[Any]], bytes]:
    def write(name: str, output: list[Any]) -> bytes:
        arrow = _arrow()
        table = _as_arrow(arrow, name, output)
        sink = arrow.BufferOutputStream()
        with new_file(arrow)(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())

    return write


def _write_parquet(name: str, output: list[Any]) -> bytes:
    arrow = _arrow()
    import pyarrow.parquet  # noqa: PLC0415 -- optional, and heavy

    table = _as_arrow(arrow, name, output)
    sink = arrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return bytes(sink.getvalue())


def _as_arrow(arrow: Any, name: str, output: list[Any]) -> pa.Table:
    frame = _as_frame(name, output)
    try:
        return arrow.Table.from_pandas(frame, preserve_index=False)
    except (arrow.ArrowException, OverflowError):
        # Labels of several kinds, or of an own class, in one column: as their text, as in CSV.
        texts = frame.map(lambda cell: cell if cell is None else str(cell))
        return arrow.Table.from_pandas(texts, preserve_index=False)


def _as_frame(name: str, output: list[Any]) -> pd.DataFrame:
    if output and isinstance(output[0], list):
        columns: Iterable[str] = (f"{name}_{place}" for place in range(len(output[0])))
        return pd.DataFrame(output, columns=list(columns))
    return pd.DataFrame({name: output})


_READERS: dict[str, Callable[[bytes, Signature], Any]] = {
    "text/csv": _read_csv,
    "application/csv": _read_csv,
    "application/x-npy": _read_npy,
    "application/vnd.apache.arrow.stream": _read_arrow,
    "application/vnd.apache.arrow.file": _read_arrow,
    "application/vnd.apache.parquet": _read_parquet,
    "application/x-parquet": _read_parquet,
}

_WRITERS: dict[str, Callable[[str, list[Any]], bytes]] = {
    "text/csv": _write_csv,
    "application/csv": _write_csv,
    "application/x-npy": _write_npy,
    "application/vnd.apache.arrow.stream": _write_arrow(lambda arrow: arrow.ipc.new_stream),
    "application/vnd.apache.arrow.file": _write_arrow(lambda arrow: arrow.ipc.new_file),
    "application/vnd.apache.parquet": _write_parquet,
    "application/x-parquet": _write_parquet,
}

TABLES = tuple(_READERS)
"""The media types of tables that are read and written."""
