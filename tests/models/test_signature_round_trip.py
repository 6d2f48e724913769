"""Whatever a frame holds, its rows go through JSON and come back as the model was fitted on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy.models.signature import Signature

relaxed = settings(deadline=None, max_examples=60)
FEW = {"max_size": 6, "min_size": 1}
TEXT = st.text(max_size=8)
DATES = st.datetimes(min_value=pd.Timestamp(1800, 1, 1), max_value=pd.Timestamp(2200, 1, 1))


def _floats(dtype, width):
    return st.floats(allow_nan=False, allow_infinity=False, width=width).map(np.dtype(dtype).type)


def _gaps(values, missing):
    return st.one_of(values, st.just(missing))


def _integers(dtype):
    bounds = np.iinfo(dtype.lower())
    return st.integers(int(bounds.min), int(bounds.max))


def _plain_cells():
    """Return pairs of a dtype and what its cells may be, in a column without missing values."""
    return [
        *((dtype, _integers(dtype)) for dtype in ("int8", "int32", "int64", "uint8", "uint64")),
        ("bool", st.booleans()),
        ("str", TEXT),
        ("object", TEXT),
    ]


def _nullable_cells():
    return [
        ("float64", _gaps(_floats("float64", 64), np.nan)),
        ("float32", _gaps(_floats("float32", 32), np.nan)),
        ("float16", _gaps(_floats("float16", 16), np.nan)),
        ("Int64", _gaps(_integers("int64"), pd.NA)),
        ("UInt8", _gaps(_integers("uint8"), pd.NA)),
        ("Float64", _gaps(_floats("float64", 64), pd.NA)),
        ("Float32", _gaps(_floats("float32", 32), pd.NA)),
        ("boolean", _gaps(st.booleans(), pd.NA)),
        ("str", _gaps(TEXT, np.nan)),
        ("string", _gaps(TEXT, pd.NA)),
        ("object", _gaps(TEXT, None)),
        ("object", _gaps(TEXT, np.nan)),
        ("object", _gaps(TEXT, pd.NA)),
        ("object", _gaps(st.booleans(), None)),
        ("object", _gaps(_integers("int64"), np.nan)),
        ("object", _gaps(_floats("float64", 64).map(float), None)),
        ("object", _gaps(st.one_of(TEXT, st.booleans(), _integers("int64")), None)),
    ]


@st.composite
def _series(draw, size):
    kind = draw(st.sampled_from(["plain", "nullable", "category", "date"]))
    if kind == "category":
        return _category(draw, size)
    if kind == "date":
        return _dates(draw, size)
    dtype, cells = draw(st.sampled_from(_plain_cells() if kind == "plain" else _nullable_cells()))
    values = draw(st.lists(cells, min_size=size, max_size=size))
    return pd.Series(values, dtype=dtype)


def _category(draw, size):
    elements = draw(st.sampled_from([TEXT, _integers("int64"), _floats("float64", 64).map(float)]))
    categories = draw(st.lists(elements, unique=True, **FEW))
    codes = draw(st.lists(st.integers(-1, len(categories) - 1), min_size=size, max_size=size))
    dtype = pd.CategoricalDtype(categories, ordered=draw(st.booleans()))
    return pd.Series(pd.Categorical.from_codes(codes, dtype=dtype))


def _dates(draw, size):
    unit = draw(st.sampled_from(["s", "ms", "us", "ns"]))
    values = draw(st.lists(_gaps(DATES, None), min_size=size, max_size=size))
    series = pd.Series(pd.to_datetime(pd.Series(values, dtype="datetime64[us]"))).dt.as_unit(unit)
    zone = draw(st.sampled_from([None, "UTC", "Asia/Taipei", "America/New_York"]))
    if zone is None:
        return series
    # Offsets had seconds before there were time zones; ISO text has none.
    since = series.where(series.dt.year >= 1970)
    return since.dt.tz_localize("UTC").dt.tz_convert(zone)


@st.composite
def frames(draw):
    """Return a frame of up to five columns of any dtype, under any name."""
    size = draw(st.integers(1, 20))
    labels = draw(
        st.lists(st.one_of(st.text(max_size=6), st.integers(0, 99)), unique_by=str, max_size=5)
    )
    if not labels:
        labels = ["only"]
    return pd.DataFrame({label: draw(_series(size)) for label in labels})


def records(frame):
    """Write rows as a client does, through JSON text."""
    written = [
        {str(label): _json_value(value) for label, value in zip(frame.columns, row, strict=True)}
        for row in zip(*(frame[label].tolist() for label in frame.columns), strict=True)
    ]
    return json.loads(json.dumps(written, allow_nan=False))


def _json_value(value):
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


@relaxed
@given(frames())
def test_rows_that_went_through_json_equal_the_frame_they_were_written_from(frame):
    signature = Signature.learn(example=frame)
    pd.testing.assert_frame_equal(signature.validate(records(frame)), frame, check_freq=False)


@relaxed
@given(frames())
def test_a_frame_that_fits_comes_back_equal(frame):
    signature = Signature.learn(example=frame)
    pd.testing.assert_frame_equal(signature.validate(frame), frame, check_freq=False)


@relaxed
@given(frames(), st.randoms(use_true_random=False))
def test_the_order_of_columns_in_a_request_does_not_matter(frame, random):
    signature = Signature.learn(example=frame)
    labels = list(frame.columns)
    random.shuffle(labels)
    pd.testing.assert_frame_equal(signature.validate(frame[labels]), frame, check_freq=False)
    shuffled = [{str(label): row[str(label)] for label in labels} for row in records(frame)]
    pd.testing.assert_frame_equal(signature.validate(shuffled), frame, check_freq=False)


@relaxed
@given(frames())
def test_a_signature_is_the_same_after_json(frame):
    signature = Signature.learn(example=frame)
    written = json.loads(json.dumps(signature.to_dict(), allow_nan=False))
    again = Signature.from_dict(written)
    assert again == signature
    pd.testing.assert_frame_equal(again.validate(frame), frame, check_freq=False)


@relaxed
@given(frames())
def test_the_example_row_fits_and_fits_the_schema(frame):
    jsonschema = pytest.importorskip("jsonschema")
    signature = Signature.learn(example=frame)
    row = json.loads(json.dumps(signature.example_row(), allow_nan=False))
    assert len(signature.validate(row)) == 1
    validator = jsonschema.Draft202012Validator(signature.row_schema())
    validator.validate(row)
    for record in records(frame):
        validator.validate(record)


@relaxed
@given(frames())
def test_every_request_form_gives_the_same_frame(frame):
    signature = Signature.learn(example=frame)
    rows = records(frame)
    columns = {name: [row[name] for row in rows] for name in signature.names}
    lists = [list(row.values()) for row in rows]
    for form in (columns, lists, [tuple(row) for row in lists]):
        pd.testing.assert_frame_equal(signature.validate(form), frame, check_freq=False)
    first = frame.iloc[[0]].reset_index(drop=True)
    for form in (rows[0], [rows[0]], [lists[0]]):
        validated = signature.validate(form)
        pd.testing.assert_frame_equal(validated, first, check_freq=False)


@relaxed
@given(
    st.sampled_from(["float64", "float32", "int64", "int16", "uint8", "bool"]),
    st.integers(1, 5),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_an_array_comes_back_equal_and_of_the_same_dtype(dtype, rows, width, random):
    generator = np.random.default_rng(random.getrandbits(32))
    array = generator.integers(0, 100, size=(rows, width)).astype(dtype)
    if array.dtype.kind == "f":
        array /= 7
    signature = Signature.learn(example=array)
    for sent in (array, array.tolist(), json.loads(json.dumps(array.tolist()))):
        validated = signature.validate(sent)
        assert validated.dtype == array.dtype
        np.testing.assert_array_equal(validated, array)
    assert Signature.from_dict(json.loads(json.dumps(signature.to_dict()))) == signature
