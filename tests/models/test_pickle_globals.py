"""The list of what a pickle would import: complete, or none; and never executed."""

from __future__ import annotations

import bz2
import collections
import datetime as dt
import decimal
import functools
import io
import lzma
import pickle
import struct
import time
import zlib

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from joblib.numpy_pickle import NumpyUnpickler
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from nbdeploy.models.pickle_globals import pickle_globals

RNG = np.random.default_rng(0)


def dumped(value, **options):
    buffer = io.BytesIO()
    joblib.dump(value, buffer, **options)
    return buffer.getvalue()


def imports_while_loading(data, *, is_joblib):
    """The names that a real unpickler asks for."""
    names = set()

    class Watch:
        def find_class(self, module, name):
            names.add(f"{module}.{name}")
            return super().find_class(module, name)

    class WatchedJoblib(Watch, NumpyUnpickler):
        pass

    class WatchedPickle(Watch, pickle.Unpickler):
        pass

    file = io.BytesIO(data)
    loader = WatchedJoblib("", file, ensure_native_byte_order=True) if is_joblib else None
    (loader or WatchedPickle(file)).load()
    return names


def frame():
    return pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0] * 6, "city": ["a", "b", "c", "b"] * 6})


def fitted_models():
    X, y = RNG.normal(size=(60, 4)), np.arange(60) % 3
    table, target = frame(), np.arange(24) % 2
    encode = make_column_transformer(
        (OneHotEncoder(), ["city"]), (StandardScaler(), ["size"]), remainder="drop"
    )
    yield from (
        model.fit(X, y)
        for model in (
            LogisticRegression(),
            DecisionTreeClassifier(),
            RandomForestClassifier(n_estimators=3, random_state=np.random.RandomState(0)),
            GradientBoostingClassifier(n_estimators=2),
            HistGradientBoostingClassifier(max_iter=2),
            SGDClassifier(),
            KNeighborsClassifier(algorithm="kd_tree"),
            KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
            SVC(),
            MLPClassifier(hidden_layer_sizes=(2,), max_iter=300, tol=1.0),
        )
    )
    yield make_pipeline(encode, LogisticRegression()).fit(table, target)
    yield GridSearchCV(
        make_pipeline(encode, FunctionTransformer(np.abs), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        cv=2,
    ).fit(table, target)
    yield make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["a bb", "bb cc"], [0, 1])


ARRAYS = [
    np.arange(7),
    np.asfortranarray(RNG.normal(size=(3, 4))),
    np.array(3.5),
    np.zeros((0, 3)),
    np.array(["é", "bcd"]),
    np.array([b"x", b"yz"]),
    np.array(["2026-01-01"], dtype="datetime64[D]"),
    np.array([1 + 2j]),
    np.array([True, False]),
    np.arange(3, dtype=">i4"),
    np.array([(1, 2.0, "a")], dtype=[("n", "i4"), ("x", "f8"), ("s", "U3")]),
    np.array([(1, (2.0, 3.0))], dtype=[("n", "i4"), ("v", "f8", (2,))]),
    np.array(["text", None, 3], dtype=object),
    np.array([(1, "a")], dtype=[("n", "i4"), ("o", "O")]),
    np.array([collections.OrderedDict(a=np.arange(3)), decimal.Decimal(1)], dtype=object),
    np.arange(3, dtype=np.float16),
    np.arange(3, dtype=np.longdouble),
]
VALUES = [
    *ARRAYS,
    [ARRAYS, ARRAYS[0], ARRAYS[0]],
    {"a": np.float64(1.5), "b": ARRAYS[4]},
    sparse.random(4, 4, density=0.5, format="csr", random_state=0),
    frame(),
    pd.Series(pd.Categorical(["a", "b"])),
    functools.partial(np.add, 1),
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    np.random.default_rng(0),
    (1, -5, 2**70, 1.5, "é", b"x", bytearray(b"y"), None, True, frozenset({1}), {2}, 3j),
]


@pytest.fixture(scope="module")
def models():
    return [*fitted_models(), *VALUES]


def test_the_list_is_what_joblib_imports_when_it_really_loads(models):
    for model in models:
        data = dumped(model)
        assert set(pickle_globals(data)) == imports_while_loading(data, is_joblib=True), model


@pytest.mark.parametrize("protocol", range(6))
def test_the_list_is_what_pickle_imports_when_it_really_loads(models, protocol):
    for model in models:
        # fix_imports=False: otherwise the watched names are those of Python 2.
        data = pickle.dumps(model, protocol=protocol, fix_imports=False)
        names = set(pickle_globals(data, is_joblib=False))
        assert names == imports_while_loading(data, is_joblib=False), model


@pytest.mark.parametrize("compress", ["zlib", "gzip", "bz2", "lzma", "xz"])
def test_compressed_files_are_read_too(compress):
    data = dumped({"a": np.arange(1000), "b": decimal.Decimal(1)}, compress=(compress, 3))
    assert pickle_globals(data) == (
        "decimal.Decimal",
        "joblib.numpy_pickle.NumpyArrayWrapper",
        "numpy.dtype",
        "numpy.ndarray",
    )


def test_code_of_a_notebook_shows_as_cloudpickle():
    names = pickle_globals(cloudpickle.dumps(lambda row: row + 1))
    assert "cloudpickle.cloudpickle._make_function" in names
    assert set(names) == imports_while_loading(
        cloudpickle.dumps(lambda row: row + 1), is_joblib=False
    )


def test_names_of_python_2_are_listed_as_what_they_import_today():
    assert pickle_globals(b"c__builtin__\neval\n.", is_joblib=False) == ("builtins.eval",)


def test_a_name_that_was_only_memoized_is_found():
    popped_and_fetched = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x9400h\x00h\x01\x93."
    assert pickle_globals(popped_and_fetched, is_joblib=False) == ("os.system",)


def test_an_old_style_instance_is_found():
    assert pickle_globals(b"(ios\nsystem\n.", is_joblib=False) == ("os.system",)
    assert pickle_globals(b"(cos\nsystem\nI1\no.", is_joblib=False) == ("os.system",)


OUTSIDE = [b"\x82\x01.", b"\x83\x01\x00.", b"Pname\n.", b"NQ.", b"\x97."]


@pytest.mark.parametrize("data", [b"", b"N", b"not a pickle", *OUTSIDE])
def test_what_comes_from_outside_of_the_stream_is_unknown(data):
    assert pickle_globals(data) is None
    assert pickle_globals(data, is_joblib=False) is None


def wrapped_array(state=b"", shape=b"K\x01\x85", payload=None):
    """A joblib stream with one array of float64, written by hand."""
    wrapper = b"\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81"
    dtype = (
        b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02f8\x89\x88\x87R"
        b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    fields = (
        b"}(\x8c\x08subclass\x8c\x05numpy\x8c\x07ndarray\x93\x8c\x05shape" + shape
        + b"\x8c\x05order\x8c\x01C\x8c\x05dtype" + dtype + b"\x8c\x0aallow_mmap\x89"
        b"\x8c\x1bnumpy_array_alignment_bytesN" + state + b"u"
    )  # fmt: skip
    return (
        b"\x80\x04"
        + wrapper
        + fields
        + b"b"
        + (struct.pack("d", 2.5) if payload is None else payload)
    )


HIDDEN = b"cos\nsystem\n0"


def test_the_bytes_of_an_array_are_skipped():
    plain = wrapped_array() + b"."
    assert joblib.load(io.BytesIO(plain)).tolist() == [2.5]
    assert "os.system" not in pickle_globals(plain)
    assert "os.system" in pickle_globals(wrapped_array() + b"0" + HIDDEN + b"N.")
    # The same letters inside of the array are data.
    data = wrapped_array(shape=b"K\x02\x85", payload=(HIDDEN + bytes(16))[:16]) + b"."
    assert "os.system" not in pickle_globals(data)
    joblib.load(io.BytesIO(data))


TRICKS = {
    "a method is replaced by an attribute": wrapped_array(
        state=b"\x8c\x04read\x8c\x08operator\x8c\x02eq\x93", payload=HIDDEN[:8]
    ),
    "an attribute whose name is made at load time": wrapped_array(
        state=b"\x8c\x08builtins\x8c\x03str\x93\x8c\x04read\x85R\x8c\x08operator\x8c\x02eq\x93"
    ),
    "more items than there are": wrapped_array(shape=b"M\xff\xff\x85"),
    "a size that overflows": wrapped_array(
        shape=b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01\x85"
    ),
    "a negative size": wrapped_array(shape=b"J\xff\xff\xff\xff\x85"),
    "a shape that is made at load time": wrapped_array(
        shape=b"\x8c\x08builtins\x8c\x03int\x93\x8c\x01\x31\x85R\x85"
    ),
    "a wrapper as data": wrapped_array()[:-8].removesuffix(b"b") + b"0\x85",
    "a frame around the wrapper and what follows": b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00"
    + wrapped_array()[2:],
    "another wrapper": wrapped_array().replace(b"\x11NumpyArrayWrapper", b"\x0eNDArrayWrapper"),
    "the same wrapper by another path": wrapped_array().replace(
        b"\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper",
        b"\x0djoblib.memory\x8c\x1enumpy_pickle.NumpyArrayWrapper",
    ),
    "what a call returned is called": b"\x80\x04cbuiltins\ngetattr\ncos\nsystem\n\x85R)R",
    "the inside of a type": b"\x80\x04cnumpy\ndtype.__setstate__\n",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_stream_that_could_be_read_in_two_ways_is_unknown(trick):
    assert pickle_globals(TRICKS[trick] + HIDDEN + b"N.") is None


@pytest.mark.parametrize("data", [b"ZF0x10", b"\x04\x22\x4d\x18 of lz4", b"\x1f\x8b", b"BZh9"])
def test_what_cannot_be_decompressed_is_unknown(data):
    assert pickle_globals(data) is None


def test_a_nested_pickle_of_objects_is_read():
    class Loud:
        def __reduce__(self):
            return print, ("never",)

    assert "builtins.print" in pickle_globals(dumped(np.array([Loud(), 1], dtype=object)))


@pytest.mark.parametrize("compress", [zlib.compress, bz2.compress, lzma.compress])
def test_a_bomb_ends_early(compress, monkeypatch):
    monkeypatch.setattr("nbdeploy.models.pickle_globals.UNPACKED_LIMIT", 2**20)
    started = time.monotonic()
    assert pickle_globals(compress(b"N0" * 2**21)) is None
    assert time.monotonic() - started < 5


def test_a_truncated_file_is_unknown(forest):
    data = dumped(forest)
    for length in range(0, len(data), 997):
        assert pickle_globals(data[:length]) is None


def test_sharing_that_grows_without_end_does_not_hang():
    # Each step doubles the tuple; hashing or comparing it would take for ever.
    doubling = b"\x80\x04N" + b"q\x00h\x00\x86" * 200
    as_key = b"}" + doubling[2:] + b"Ns."
    started = time.monotonic()
    assert pickle_globals(b"\x80\x04" + as_key) == ()
    assert time.monotonic() - started < 1


@given(st.binary(max_size=300))
@example(b"\x80\x04\x95")
@example(b"x\x9c")
@example(b"\x1f\x8b")
@settings(max_examples=300, deadline=2000)
def test_any_bytes_give_a_list_or_nothing(data):
    for is_joblib in (True, False):
        assert_names_or_nothing(pickle_globals(data, is_joblib=is_joblib))


def assert_names_or_nothing(names):
    assert names is None or all(isinstance(name, str) for name in names)


@given(st.data())
@settings(max_examples=200, deadline=2000)
def test_a_changed_file_gives_a_list_or_nothing(data):
    stream = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    for is_joblib in (True, False):
        assert_names_or_nothing(pickle_globals(bytes(stream), is_joblib=is_joblib))


SMALL = dumped([np.arange(3), np.array(["a", None], dtype=object), decimal.Decimal(1)])

opcodes = st.sampled_from(
    [bytes([code]) for code in b"N)]}\x8f(.0\x85\x86\x87tdlsuaeb\x81R\x93\x94"]
    + [b"h\x00", b"K\x01", b"\x8c\x02os", b"cnumpy\ndtype\n", b"q\x00", b"X\x01\x00\x00\x00a"]
)


@given(st.lists(opcodes, max_size=60))
@settings(max_examples=300, deadline=2000)
def test_any_order_of_opcodes_gives_a_list_or_nothing(codes):
    assert_names_or_nothing(pickle_globals(b"\x80\x04" + b"".join(codes) + b"."))
