from __future__ import annotations

import io
import pickle
import sys

import httpx2
import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy
from nbdeploy.exceptions import RequestError, SignatureError
from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols import tables
from nbdeploy.serving.protocols.native import formats_of
from nbdeploy.serving.protocols.tables import TABLES, is_table, read_table, write_table

FRAME = pd.DataFrame(
    {
        "size": [1.5, None, -3.0],
        "kind": ["a", "b, c", None],
        "zip": ["007", "10115", "NA"],
        "count": [1, 2, 3],
        "is_new": [True, False, True],
    }
)
SIGNATURE = Signature.learn(example=FRAME)
ARRAY = Signature.learn(example=np.array([[1.0, 2.0], [3.0, 4.0]]))


def csv_of(frame, **options):
    return frame.to_csv(index=False, **options).encode()


def npy_of(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def arrow_of(frame, new=pa.ipc.new_stream):
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def parquet_of(frame):
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink)
    return bytes(sink.getvalue())


WRITERS = {
    "text/csv": csv_of,
    "application/vnd.apache.arrow.stream": arrow_of,
    "application/vnd.apache.arrow.file": lambda frame: arrow_of(frame, pa.ipc.new_file),
    "application/vnd.apache.parquet": parquet_of,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_dataframe_comes_through_any_table_as_it_is(kind):
    rows = read_table(kind, WRITERS[kind](FRAME), SIGNATURE)
    pd.testing.assert_frame_equal(SIGNATURE.validate(rows), SIGNATURE.validate(FRAME))


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
frames = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        st.one_of(st.none(), text.filter(lambda word: word == word.strip() and word)),
        text.filter(lambda word: word == word.strip() and word),
        st.integers(-(2**53), 2**53),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
).map(lambda rows: pd.DataFrame(rows, columns=list(FRAME.columns)).astype({"size": "float64"}))


@settings(deadline=None, max_examples=60)
@given(frame=frames, kind=st.sampled_from(list(WRITERS)))
def test_any_frame_of_the_signature_comes_through_any_table(frame, kind):
    rows = read_table(kind, WRITERS[kind](frame), SIGNATURE)
    pd.testing.assert_frame_equal(SIGNATURE.validate(rows), SIGNATURE.validate(frame))


def test_csv_without_a_header_is_in_the_order_of_the_columns():
    body = csv_of(FRAME, header=False)
    rows = SIGNATURE.validate(read_table("text/csv", body, SIGNATURE))
    pd.testing.assert_frame_equal(rows, SIGNATURE.validate(FRAME))


def test_csv_with_a_header_may_have_its_own_order():
    body = csv_of(FRAME[["zip", "count", "kind", "is_new", "size"]])
    rows = SIGNATURE.validate(read_table("text/csv", body, SIGNATURE))
    pd.testing.assert_frame_equal(rows, SIGNATURE.validate(FRAME))


def test_a_misspelled_header_gets_its_near_miss():
    body = csv_of(FRAME.rename(columns={"size": "sise"}))
    with pytest.raises(SignatureError, match="did you mean 'size'"):
        SIGNATURE.validate(read_table("text/csv", body, SIGNATURE))


@pytest.mark.parametrize(
    "body", [b"1.5,2\n3,4\n", b"a,b\n1.5,2\n3,4\n", b"\xef\xbb\xbf1.5,2\r\n3,4"]
)
def test_csv_for_a_model_of_an_array_may_have_a_header(body):
    rows = ARRAY.validate(np.asarray(read_table("text/csv", body, ARRAY)))
    assert rows.tolist() == [[1.5, 2.0], [3.0, 4.0]]


def test_csv_of_single_texts_is_one_text_a_line():
    signature = Signature.learn(example=["good film", "bad film"])
    assert read_table("text/csv", b'"so, so"\nfine\n', signature) == ["so, so", "fine"]


@pytest.mark.parametrize(
    ("kind", "body", "status", "said"),
    [
        ("text/csv", b"", 400, "empty"),
        ("text/csv", b"1,2,3\n", 422, "3 values; the model has 2"),
        ("text/csv", b"1,2\n3,4,5\n", 400, "no table"),
        ("text/csv", b"\xff\xfe\x00\n", 400, "no table"),
        ("application/x-npy", b"no array", 400, "no table"),
        ("application/x-npy", npy_of(np.zeros((1, 2, 3))), 400, "one or two dimensions"),
        ("application/x-npy", npy_of(np.zeros(2, dtype=[("a", float)])), 400, "named fields"),
        ("application/vnd.apache.arrow.stream", b"no arrow", 400, "no table"),
        ("application/vnd.apache.arrow.file", b"no arrow", 400, "no table"),
        ("application/vnd.apache.parquet", b"PAR1 no parquet PAR1", 400, "no table"),
    ],
)
def test_a_body_that_is_no_such_table_is_told(kind, body, status, said):
    with pytest.raises(RequestError, match=said) as caught:
        read_table(kind, body, ARRAY)
    assert (caught.value.status or 400) == status


def test_no_object_of_an_array_is_unpickled(tmp_path):
    marker = tmp_path / "marker"

    class Trap:
        def __reduce__(self):
            return (marker.write_text, ("opened",))

    for body in (npy_of(np.array([[Trap()]], dtype=object)), pickle.dumps(Trap())):
        with pytest.raises(RequestError):
            read_table("application/x-npy", body, ARRAY)
    assert not marker.exists()


def test_columns_that_stand_for_more_cells_than_fit_are_refused(monkeypatch):
    monkeypatch.setattr(tables, "MAX_CELLS", 1000)
    frame = pd.DataFrame({"a": np.zeros(600), "b": np.zeros(600)})
    for kind in list(WRITERS)[1:]:
        with pytest.raises(RequestError, match="600 rows of 2 columns") as caught:
            read_table(kind, WRITERS[kind](frame), ARRAY)
        assert caught.value.status == 413


@pytest.mark.parametrize("kind", list(WRITERS)[1:])
def test_without_pyarrow_the_answer_says_what_to_do(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RequestError, match=r"nbdeploy\[arrow\]") as caught:
        read_table(kind, b"anything", ARRAY)
    assert caught.value.status == 415


READERS = {
    "text/csv": lambda body: pd.read_csv(io.BytesIO(body)),
    "application/vnd.apache.arrow.stream": lambda body: pa.ipc.open_stream(body).read_pandas(),
    "application/vnd.apache.arrow.file": lambda body: pa.ipc.open_file(body).read_pandas(),
    "application/vnd.apache.parquet": lambda body: pd.read_parquet(io.BytesIO(body)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_answers_come_back_through_any_table(kind):
    read = READERS[kind]
    assert read(write_table(kind, "prediction", ["a", "b"]))["prediction"].tolist() == ["a", "b"]
    frame = read(write_table(kind, "prediction", [[0.25, 0.75], [1.0, 0.0]]))
    assert list(frame.columns) == ["prediction_0", "prediction_1"]
    assert frame.to_numpy().tolist() == [[0.25, 0.75], [1.0, 0.0]]


class Colour:
    def __str__(self):
        return "red"


@pytest.mark.parametrize("labels", [[1, "a", None], [2**70, 1], [Colour(), "x"]])
@pytest.mark.parametrize("kind", list(WRITERS)[1:])
def test_labels_of_several_kinds_are_written_as_their_text(kind, labels):
    frame = READERS[kind](write_table(kind, "prediction", labels))

    read = [None if pd.isna(label) else label for label in frame["prediction"]]
    assert read == [None if label is None else str(label) for label in labels]


def test_answers_come_back_as_an_array():
    body = write_table("application/x-npy", "prediction", [[0.25, 0.75]])
    assert np.load(io.BytesIO(body)).tolist() == [[0.25, 0.75]]
    body = write_table("application/x-npy", "prediction", ["a", None])
    assert np.load(io.BytesIO(body)).tolist() == ["a", "None"]


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (b"*/*", None),
        (b"application/json", None),
        (b"text/csv", "text/csv"),
        (b"text/html, text/csv;q=0.5", "text/csv"),
        (b"text/csv;q=0.5, application/json", None),
        (b"text/csv;q=0.5, application/x-npy", "application/x-npy"),
        (b"text/csv;q=0", None),
        (b"text/csv;q=much", None),
        (b"image/png", None),
        (b"\xff\xfe;;,", None),
    ],
)
def test_accept_chooses_the_form_of_the_answer(accept, answer):
    assert formats_of([(b"host", b"x"), (b"accept", accept)]).answer == answer


def test_a_service_reads_and_writes_every_kind_of_table():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    expected = model.predict(X).tolist()
    with deploy(model, name="tables", example=X) as service, httpx2.Client() as client:
        bodies = {kind: write(X) for kind, write in WRITERS.items()}
        bodies["application/x-npy"] = npy_of(X.to_numpy())
        assert set(bodies) <= set(TABLES)
        for kind, body in bodies.items():
            assert is_table(kind)
            for accept in ("application/json", kind):
                response = client.post(
                    f"{service.url}/predict",
                    content=body,
                    headers={"content-type": kind, "accept": accept},
                )
                assert response.status_code == 200, response.text
                assert response.headers["content-type"] == accept
                if accept == "application/json":
                    assert response.json() == {"prediction": expected}
        columns = {name: values.tolist() for name, values in X.items()}
        response = client.post(
            f"{service.url}/predict", content=orjson.dumps({"features": columns})
        )
        assert response.json() == {"prediction": expected}
