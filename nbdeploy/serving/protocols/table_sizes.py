"""What a binary table will take in memory: read from its head, before anything is unpacked.

Compressed columns stand for far more than their bytes, and heads may promise what does not come.
"""

from __future__ import annotations

import io
import math
import struct
from typing import TYPE_CHECKING

import numpy as np

from nbdeploy.exceptions import RequestError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["MAX_TABLE_BYTES", "arrow_stream", "check_arrow", "check_npy", "check_parquet"]

MAX_TABLE_BYTES = 256 * 1024 * 1024
"""The most memory that the columns of a table may take, unpacked."""

_ARROW_FILE = b"ARROW1\0\0"
# The tables of Arrow's messages, by the order of their fields in its published schema.
_HEADER_TYPE, _HEADER = 1, 2
_DICTIONARY, _RECORDS = 2, 3
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3
_DICTIONARY_DATA = 1


def check_npy(body: bytes) -> None:
    """Refuse an array of NumPy whose head promises more than the body has.

    Raises
    ------
    RequestError
        400, with both sizes.
    ValueError
        If the head is none.
    """
    stream = io.BytesIO(body)
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        message = f"Version {version[0]}.{version[1]} of npy is not read here. Expected 1.0 or 2.0."
        raise RequestError(message)
    shape, _, dtype = read(stream)
    promised, there = math.prod(shape) * dtype.itemsize, len(body) - stream.tell()
    if not 0 < promised <= there:
        message = (
            f"The array of shape {shape} and type {dtype} takes {promised} bytes; "
            f"the body has {there}."
        )
        raise RequestError(message)


def arrow_stream(body: bytes) -> memoryview:
    """Give the stream in a body of Arrow IPC: a file is one, with a mark before it.

    What a file tells in its end about its parts is not followed: it could lead past the check.
    """
    view = memoryview(body)
    return view[len(_ARROW_FILE) :] if body.startswith(_ARROW_FILE) else view


def check_arrow(stream: memoryview) -> int:
    """Refuse a stream of Arrow whose compressed columns are too large; count its rows.

    Raises
    ------
    RequestError
        413, with the size.
    """
    import pyarrow as pa  # noqa: PLC0415 -- optional, and heavy
    import pyarrow.ipc  # noqa: PLC0415 -- as above

    rows = size = 0
    for message in pyarrow.ipc.MessageReader.open_stream(pa.BufferReader(stream)):
        batch = _Table.of_batch(message)
        if batch is not None:
            rows += batch.number(_LENGTH) if message.type == "record batch" else 0
            size += batch.unpacked(message.body)
            _check_bytes(size)
    return rows


def check_parquet(file: pq.ParquetFile) -> list[str]:
    """Refuse a file of Parquet whose columns are too large; see `check_arrow`.

    Returns
    -------
    texts
        The columns that must be read as dictionaries: a text that stands there once may be meant a
        million times, and no number in the file tells what that takes.
    """
    told = file.metadata
    groups = [told.row_group(number) for number in range(told.num_row_groups)]
    _check_bytes(sum(group.total_byte_size for group in groups))
    columns = [told.schema.column(number) for number in range(told.num_columns)]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _check_bytes(size: int) -> None:
    if size > MAX_TABLE_BYTES:
        message = (
            f"Unpacked, the table takes {size // 2**20} MiB; expected {MAX_TABLE_BYTES // 2**20} "
            "at most. Send it in parts."
        )
        raise RequestError(message, status=413)


class _Table:
    """A table of a flat buffer: fields by number, found through its list of places.

    Parameters
    ----------
    data
        The buffer.
    place
        Where the table begins.
    """

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place

    @classmethod
    def of_batch(cls, message: pa.Message) -> _Table | None:
        """Give the record batch of a message, also of one that holds a dictionary."""
        data = message.metadata.to_pybytes()
        root = cls(data, cls._read("<I", data, 0))
        kind = root.field(_HEADER_TYPE)
        if kind is None or data[kind] not in {_DICTIONARY, _RECORDS}:
            return None
        header = root.table(_HEADER)
        if header is not None and data[kind] == _DICTIONARY:
            return header.table(_DICTIONARY_DATA)
        return header

    def number(self, field: int) -> int:
        """Give a number of eight bytes; 0 when it is not written."""
        place = self.field(field)
        return 0 if place is None else self._read("<q", self._data, place)

    def unpacked(self, body: pa.Buffer) -> int:
        """Add up what the compressed buffers of a batch take: each begins with that number."""
        place = self.field(_BUFFERS)
        if place is None or self.field(_COMPRESSION) is None:
            return 0
        first = place + self._read("<I", self._data, place) + 4
        count = self._read("<I", self._data, first - 4)
        packed = memoryview(body)
        sizes = 0
        for number in range(count):
            start = self._read("<q", self._data, first + 16 * number)
            length = self._read("<q", self._data, first + 16 * number + 8)
            if length > 0:
                # -1 says that a buffer is as it is.
                sizes += max(0, self._read("<q", packed, start))
        return sizes

    def field(self, field: int) -> int | None:
        """Tell where a field is; ``None`` when it is not written."""
        places = self._place - self._read("<i", self._data, self._place)
        offset = 4 + 2 * field
        if offset >= self._read("<H", self._data, places):
            return None
        found = self._read("<H", self._data, places + offset)
        return self._place + found if found else None

    def table(self, field: int) -> _Table | None:
        """Give the table that a field leads to."""
        place = self.field(field)
        return (
            None
            if place is None
            else _Table(self._data, place + self._read("<I", self._data, place))
        )

    @staticmethod
    def _read(kind: str, data: bytes | memoryview, place: int) -> int:
        (number,) = struct.unpack_from(kind, data, place)
        return int(number)
