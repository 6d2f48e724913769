"""Whatever a frame holds: asked through any protocol, a model answers what it answers itself."""

from __future__ import annotations

import base64
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from nbdeploy import ModelService
from nbdeploy.serving.routing import route_from_model
from tests.models.test_signature_round_trip import frames, records

DTYPES = {
    "BOOL": "bool", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1",
    "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


def fingerprints(frame):
    """A model that tells every value it was given and the dtype of its column."""
    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    dtypes = [str(column.dtype) for column in columns]
    rows = zip(*(map(repr, column.tolist()) for column in columns), strict=True)
    return [json.dumps([*dtypes, *row]) for row in rows]


def columns_of(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def tensors(described, rows, *, is_binary=False):
    """Write a tensor for each column, and the bytes of those that are sent so."""
    columns = columns_of(rows)
    inputs, data = [], b""
    for spec in described:
        cells = columns[spec["name"]]
        tensor = {"name": spec["name"], "shape": [len(rows), 1], "datatype": spec["datatype"]}
        packed = pack(spec["datatype"], cells) if is_binary else None
        if packed is None:
            tensor["data"] = cells
        else:
            tensor["parameters"] = {"binary_data_size": len(packed)}
            data += packed
        inputs.append(tensor)
    return inputs, data


def pack(datatype, cells):
    """Write cells as bytes, where bytes can tell them."""
    if datatype == "BYTES":
        if not all(isinstance(cell, str) for cell in cells):
            return None
        encoded = [cell.encode() for cell in cells]
        return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    if None in cells and not datatype.startswith("FP"):
        return None
    return np.array(cells, dtype=DTYPES[datatype]).tobytes()


class Asked:
    """One model behind all protocols; each method gives what one protocol answers."""

    def __init__(self, client):
        self.client = client
        self.inputs = client.get("/v2/models/m").json()["inputs"]

    def post(self, path, document, **headers):
        content = document if isinstance(document, bytes) else json.dumps(document)
        answer = self.client.post(path, content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    def native_rows(self, rows):
        return self.post("/predict", {"features": rows}).json()["prediction"]

    def native_columns(self, rows):
        return self.post("/predict", {"features": columns_of(rows)}).json()["prediction"]

    def vetiver(self, rows):
        return self.post("/predict", rows).json()["predict"]

    def v1_records(self, rows):
        return self.post("/v1/models/m:predict", {"instances": rows}).json()["predictions"]

    def v1_lists(self, rows):
        lists = [list(row.values()) for row in rows]
        return self.post("/v1/models/m:predict", {"instances": lists}).json()["predictions"]

    def v1_columns(self, rows):
        return self.post("/v1/models/m:predict", {"inputs": columns_of(rows)}).json()["outputs"]

    def v1_column_tensors(self, rows):
        columns = {name: [[cell] for cell in cells] for name, cells in columns_of(rows).items()}
        return self.post("/v1/models/m:predict", {"inputs": columns}).json()["outputs"]

    def mlflow_split(self, rows):
        # The columns may come in any order.
        columns = list(rows[0])[::-1]
        data = [[row[name] for name in columns] for row in rows]
        split = {"columns": columns, "index": list(range(len(rows))), "data": data}
        return self.invoked({"dataframe_split": split})

    def mlflow_records(self, rows):
        return self.invoked({"dataframe_records": rows})

    def mlflow_instances(self, rows):
        return self.invoked({"instances": rows})

    def mlflow_inputs(self, rows):
        return self.invoked({"inputs": columns_of(rows), "params": {"unknown": 1}})

    def invoked(self, document):
        headers = {"Content-Type": "application/json"}
        return self.post("/invocations", document, **headers).json()["predictions"]

    def open_inference_json(self, rows):
        inputs, _ = tensors(self.inputs, rows)
        answer = self.post("/v2/models/m/infer", {"inputs": inputs}).json()
        assert answer["outputs"][0]["shape"] == [len(rows)]
        return answer["outputs"][0]["data"]

    def open_inference_frame(self, rows):
        inputs, _ = tensors(self.inputs, rows)
        for tensor in inputs:
            tensor["shape"] = [len(rows)]
            if tensor["datatype"] == "BYTES":
                tensor["parameters"] = {"content_type": "str"}
        document = {"parameters": {"content_type": "pd"}, "inputs": inputs[::-1]}
        return self.post("/v2/models/m/infer", document).json()["outputs"][0]["data"]

    def open_inference_binary(self, rows):
        inputs, data = tensors(self.inputs, rows, is_binary=True)
        written = json.dumps({"id": "7", "inputs": inputs}).encode()
        answer = self.post(
            "/v2/models/m/infer",
            written + data,
            **{
                "Inference-Header-Content-Length": str(len(written)),
                "Content-Type": "application/octet-stream",
            },
        ).json()
        assert answer["id"] == "7"
        return answer["outputs"][0]["data"]


PROTOCOLS = sorted(name for name in vars(Asked) if not name.startswith("_"))
PROTOCOLS = [name for name in PROTOCOLS if name not in {"post", "invoked"}]


TABLES = {
    "application/vnd.apache.parquet": lambda frame: frame.to_parquet(index=False),
    "application/vnd.apache.arrow.stream": lambda frame: arrow(frame, pa.ipc.new_stream),
    "application/vnd.apache.arrow.file": lambda frame: arrow(frame, pa.ipc.new_file),
}


def arrow(frame, writer):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with writer(sink, table.schema) as file:
        file.write_table(table)
    return sink.getvalue().to_pybytes()


def asked(model, example):
    service = ModelService(route_from_model(model, example=example), name="m", token=None)
    return Asked(TestClient(service.app))


@settings(deadline=None, max_examples=50)
@given(frames(), st.data())
def test_any_frame_through_any_protocol_gives_the_models_own_prediction(frame, data):
    protocol = data.draw(st.sampled_from(PROTOCOLS))

    answers = getattr(asked(fingerprints, frame), protocol)(records(frame))

    assert answers == fingerprints(frame)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(deadline=None, max_examples=8)
@given(frame=frames())
def test_every_protocol_gives_the_models_own_prediction(protocol, frame):
    answers = getattr(asked(fingerprints, frame), protocol)(records(frame))

    assert answers == fingerprints(frame)


def assert_table_gives_the_models_own_prediction(kind, path, frame):
    frame.columns = list(map(str, frame.columns))
    try:
        body = TABLES[kind](frame)
    except (pa.ArrowException, TypeError):
        # Numbers beside texts in one column are no column of Arrow.
        reject()
    service = asked(fingerprints, frame)

    answer = service.post(path, body, **{"Content-Type": kind}).json()

    assert next(iter(answer.values())) == fingerprints(frame)


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("kind", TABLES)
@settings(deadline=None, max_examples=8)
@given(frame=frames())
def test_tables_give_the_models_own_prediction(kind, path, frame):
    assert_table_gives_the_models_own_prediction(kind, path, frame)


@pytest.mark.acceptance
@pytest.mark.parametrize("kind", TABLES)
@settings(deadline=None, max_examples=300)
@given(frame=frames())
def test_tables_give_the_models_own_prediction_many_times(kind, frame):
    assert_table_gives_the_models_own_prediction(kind, "/invocations", frame)


@pytest.mark.acceptance
@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(deadline=None, max_examples=300)
@given(frame=frames())
def test_every_protocol_gives_the_models_own_prediction_many_times(protocol, frame):
    answers = getattr(asked(fingerprints, frame), protocol)(records(frame))

    assert answers == fingerprints(frame)


def fingerprints_of_array(array):
    return [json.dumps([str(array.dtype), *map(repr, row)]) for row in array.tolist()]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["float64", "float32", "int64", "int16", "uint8", "bool"]),
    st.integers(1, 80),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_any_array_through_any_protocol_gives_the_models_own_prediction(dtype, rows, width, seed):
    array = np.random.default_rng(seed).integers(0, 100, size=(rows, width)).astype(dtype)
    if array.dtype.kind == "f":
        array /= 7
    service = asked(fingerprints_of_array, array)
    expected = fingerprints_of_array(array)
    lists = array.tolist()
    (spec,) = service.inputs
    tensor = {"name": "input", "shape": [rows, width], "datatype": spec["datatype"]}
    columns = {f"any {place}": array[:, place].tolist() for place in range(width)}
    by_column = [
        {"name": name, "shape": [rows, 1], "datatype": spec["datatype"], "data": cells}
        for name, cells in columns.items()
    ]

    assert service.inputs == [{**tensor, "shape": [-1, width]}]
    for data in (lists, array.ravel().tolist()):
        answer = service.post("/v2/models/m/infer", {"inputs": [{**tensor, "data": data}]}).json()
        assert answer["outputs"][0]["data"] == expected
    answer = service.post("/v2/models/m/infer", {"inputs": by_column}).json()
    assert answer["outputs"][0]["data"] == expected
    assert service.invoked({"inputs": lists}) == expected
    assert service.invoked({"inputs": columns}) == expected
    split = {"columns": list(columns), "data": lists}
    assert service.invoked({"dataframe_split": split}) == expected
    records = [dict(zip(columns, row, strict=True)) for row in lists]
    assert service.invoked({"dataframe_records": records}) == expected
    answer = service.post("/v1/models/m:predict", {"instances": lists}).json()
    assert answer["predictions"] == expected
    raw = {"Inference-Header-Content-Length": "0"}
    answer = service.post("/v2/models/m/infer", array.tobytes(), **raw)
    length = int(answer.headers["Inference-Header-Content-Length"])
    assert json.loads(answer.content[:length])["outputs"][0]["shape"] == [rows]
    assert answer.content[length + 4 :].startswith(expected[0].encode())


def test_texts_through_every_protocol():
    texts = ["a b", "", "ünïcode 企鵝", "line\nbreak"]
    service = asked(lambda batch: [f"<{text}>" for text in batch], texts)
    expected = [f"<{text}>" for text in texts]
    tensor = {"name": "input", "shape": [4, 1], "datatype": "BYTES", "data": texts}

    assert service.inputs == [{"name": "input", "shape": [-1, 1], "datatype": "BYTES"}]
    for shape in ([4], [4, 1]):
        infer = {"inputs": [{**tensor, "shape": shape}]}
        answer = service.post("/v2/models/m/infer", infer).json()
        assert answer["outputs"][0]["data"] == expected
    encoded = [base64.b64encode(text.encode()).decode() for text in texts]
    infer = {"inputs": [{**tensor, "data": encoded, "parameters": {"content_type": "base64"}}]}
    assert service.post("/v2/models/m/infer", infer).json()["outputs"][0]["data"] == expected
    v1 = "/v1/models/m:predict"
    assert service.post(v1, {"instances": texts}).json() == {"predictions": expected}
    wrapped = {"instances": [{"b64": text} for text in encoded]}
    assert service.post(v1, wrapped).json() == {"predictions": expected}
    assert service.post(v1, {"inputs": texts}).json() == {"outputs": expected}
    assert service.invoked({"instances": texts}) == expected
    assert service.invoked({"dataframe_records": [{"x": text} for text in texts]}) == expected
    split = {"columns": ["x"], "data": [[text] for text in texts]}
    assert service.invoked({"dataframe_split": split}) == expected
