"""Tables of few bytes that stand for many, and heads that promise what does not come."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import RequestError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols import table_sizes
from nbdeploy.serving.protocols.tables import read_table

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NPY = "application/x-npy"
STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
NUMBERS = Signature.learn(example=np.ones((3, 4)))
MIXED = pd.DataFrame({"n": [1.0, 2.0, 3.0], "kind": ["a", "b", "a"]})
FRAME = Signature.learn(example=MIXED)


def npy(shape, kind="<f8", data=b""):
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def ipc(table, *, compression=None, as_file=False):
    written = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_file if as_file else pa.ipc.new_stream
    with new(written, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=1000)
    return written.getvalue()


def parquet(table, **options):
    written = io.BytesIO()
    pq.write_table(table, written, **options)
    return written.getvalue()


def status_of(kind, body, signature=NUMBERS):
    with pytest.raises(RequestError) as caught:
        read_table(kind, body, signature)
    return caught.value.status or 400


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ("(1000000000, 4)", "<f8"), ("(10000000000000, 4)", "<f8"), ("(-1, 4)", "<f8"),
        ("(99999999999999999999999, 4)", "<f8"), ("(1000000000000, 0)", "<f8"),
        ("(1000000000000,)", "|S0"), ("(1, 4)", "|V1000000000"), ("(4,)", "|O"),
    ],
)  # fmt: skip
def test_an_array_that_promises_more_than_comes_is_refused(shape, kind):
    assert status_of(NPY, npy(shape, kind, bytes(64))) == 400


def test_an_array_that_keeps_its_promise_is_read():
    written = io.BytesIO()
    np.save(written, np.arange(8.0).reshape(2, 4))

    assert read_table(NPY, written.getvalue(), NUMBERS).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_arrow_is_read_compressed_or_not_as_a_stream_or_a_file(compression, as_file):
    many = pd.concat([MIXED] * 1000, ignore_index=True)
    body = ipc(pa.Table.from_pandas(many), compression=compression, as_file=as_file)

    pd.testing.assert_frame_equal(
        FRAME.validate(read_table(FILE if as_file else STREAM, body, FRAME)), FRAME.validate(many)
    )


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_what_compressed_columns_take_is_known_before_they_are_unpacked(compression, as_file):
    table = pa.table({name: np.zeros(10_000) for name in "abcd"})
    body = ipc(table, compression=compression, as_file=as_file)
    limit = table_sizes.MAX_TABLE_BYTES
    try:
        table_sizes.MAX_TABLE_BYTES = 4 * 80_000 - 1
        assert status_of(FILE if as_file else STREAM, body) == 413
        table_sizes.MAX_TABLE_BYTES = 4 * 80_000
        assert read_table(FILE if as_file else STREAM, body, NUMBERS).shape == (10_000, 4)
    finally:
        table_sizes.MAX_TABLE_BYTES = limit
    assert len(body) < 100_000


def test_a_compressed_dictionary_counts_too():
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * 10, pa.int8()), pa.array(["x" * 10**6]))
    body = ipc(pa.table({"kind": codes}), compression="zstd")
    limit = table_sizes.MAX_TABLE_BYTES
    try:
        table_sizes.MAX_TABLE_BYTES = 10**6 - 1
        assert status_of(STREAM, body, FRAME) == 413
    finally:
        table_sizes.MAX_TABLE_BYTES = limit


def test_rows_without_bytes_are_counted_before_they_are_made():
    table = pa.table({name: pa.nulls(30_000_000) for name in "ab"})
    written = io.BytesIO()
    with pa.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table)

    assert len(written.getvalue()) < 10_000
    assert status_of(STREAM, written.getvalue()) == 413


def test_columns_of_parquet_that_take_too_much_are_refused():
    body = parquet(
        pa.table({name: np.zeros(10_000_000) for name in "abcd"}),
        compression="zstd", use_dictionary=False,
    )  # fmt: skip

    assert len(body) < 1_000_000
    assert status_of(PARQUET, body) == 413


def test_a_text_that_is_meant_a_million_times_is_kept_once():
    text = "x" * 100_000
    table = pa.table({"n": np.zeros(100_000), "kind": pa.array([text] * 1000 + ["a"] * 99_000)})
    frame = read_table(PARQUET, parquet(table, compression="zstd"), FRAME)

    assert frame["kind"].dtype == object
    assert len({id(value) for value in frame["kind"]}) == 2


def test_parquet_is_read_with_its_missing_values():
    holed = MIXED.assign(kind=["a", None, "b"], n=[1.0, None, 3.0])
    frame = read_table(PARQUET, parquet(pa.Table.from_pandas(holed)), FRAME)

    assert frame["kind"].isna().tolist() == [False, True, False]
    assert frame["n"].isna().tolist() == [False, True, False]


def test_text_that_points_outside_of_the_body_is_refused():
    # Arrow itself does not look: it would show what lies behind in memory, or crash.
    body = ipc(pa.table({"n": [1.0, 2.0], "kind": ["hello", "world"]}))
    offsets = struct.pack("<3i", 0, 5, 10)
    assert body.count(offsets) == 1
    body = body.replace(offsets, struct.pack("<3i", 0, 5, 2_000_000))

    assert status_of(STREAM, body, FRAME) == 400


BODIES = [
    (STREAM, ipc(pa.Table.from_pandas(MIXED), compression="zstd")),
    (FILE, ipc(pa.Table.from_pandas(MIXED), compression="lz4", as_file=True)),
    (NPY, npy("(2, 4)", "<f8", bytes(64))),
]


@given(
    st.sampled_from(BODIES),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=8)), max_size=5),
    st.integers(0, 5000),
)
def test_whatever_is_changed_in_a_table_it_is_read_or_refused(body, changes, cut):
    kind, data = body
    changed = bytearray(data)
    for place, put in changes:
        start = place % len(changed)
        changed[start : start + len(put)] = put

    with suppress(RequestError):
        read_table(kind, bytes(changed[: cut or None]), FRAME)
