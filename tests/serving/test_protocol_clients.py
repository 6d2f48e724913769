"""Real clients, or their exact requests, against a real port."""

from __future__ import annotations

import json
import uuid

import httpx2
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from nbdeploy import deploy, stop_all

X, Y = load_iris(return_X_y=True)
IRIS = LogisticRegression(max_iter=500).fit(X, Y)
FLOWERS = pd.DataFrame(
    {
        "petal": [1.4, 5.2, 4.5, 1.3] * 5,
        "colour": ["white", "violet", "blue", "blue"] * 5,
        "count": [3, 5, 4, 3] * 5,
    }
)
KINDS = np.array(["setosa", "virginica", "versicolor", "setosa"] * 5)
FLOWER_MODEL = make_pipeline(
    make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough"),
    LogisticRegression(max_iter=500),
).fit(FLOWERS, KINDS)
TOKEN = "only-for-these-tests"


@pytest.fixture(scope="module")
def iris():
    yield deploy(IRIS, name="iris", example=X)
    stop_all()


@pytest.fixture(scope="module")
def flowers():
    yield deploy(FLOWER_MODEL, name="flowers", example=FLOWERS)
    stop_all()


@pytest.fixture
def client(iris):
    with triton.InferenceServerClient(iris.url.removeprefix("http://")) as client:
        yield client


def tensor(name, array, *, binary):
    tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def test_triton_asks_what_there_is(client, iris):
    version = iris.service.route.version

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", version)
    assert not client.is_model_ready("iris", "another")
    assert not client.is_model_ready("another")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("iris", version)
    assert metadata["versions"] == [version]
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
    assert metadata["outputs"][:2] == [
        {"name": "predict", "datatype": "INT64", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
    ]
    (listed,) = client.get_model_repository_index()
    assert listed == {"name": "iris", "version": version, "state": "READY", "reason": ""}


def test_triton_sends_and_gets_bytes_by_default(client, iris):
    result = client.infer("iris", [tensor("input", X, binary=True)], request_id="42")

    assert result.get_response()["id"] == "42"
    assert result.get_response()["model_version"] == iris.service.route.version
    assert "data" not in result.get_output("predict")
    assert result.as_numpy("predict").dtype == np.int64
    assert np.array_equal(result.as_numpy("predict"), IRIS.predict(X))


@pytest.mark.parametrize("sent_binary", [True, False])
@pytest.mark.parametrize("got_binary", [True, False])
def test_triton_chooses_outputs_in_json_and_in_bytes(client, sent_binary, got_binary):
    outputs = [
        triton.InferRequestedOutput("predict_proba", binary_data=got_binary),
        triton.InferRequestedOutput("predict", binary_data=not got_binary),
    ]

    result = client.infer("iris", [tensor("input", X, binary=sent_binary)], outputs=outputs)

    assert [output["name"] for output in result.get_response()["outputs"]] == [
        "predict_proba", "predict",
    ]  # fmt: skip
    assert np.array_equal(result.as_numpy("predict_proba"), IRIS.predict_proba(X))
    assert np.array_equal(result.as_numpy("predict"), IRIS.predict(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.uint8])
def test_triton_sends_other_datatypes(client, dtype):
    cells = X.astype(dtype)

    result = client.infer("iris", [tensor("input", cells, binary=True)])

    assert np.array_equal(result.as_numpy("predict"), IRIS.predict(cells.astype(float)))


@pytest.mark.parametrize("binary", [True, False])
def test_triton_sends_columns_with_texts_and_gets_texts(flowers, binary):
    inputs = [
        tensor("petal", FLOWERS[["petal"]].to_numpy(), binary=binary),
        tensor("colour", FLOWERS[["colour"]].to_numpy(dtype=object), binary=binary),
        tensor("count", FLOWERS[["count"]].to_numpy(), binary=binary),
    ]
    outputs = [triton.InferRequestedOutput("predict", binary_data=binary)]

    with triton.InferenceServerClient(flowers.url.removeprefix("http://")) as client:
        result = client.infer("flowers", inputs, outputs=outputs)

    answers = [each.decode() if binary else each for each in result.as_numpy("predict")]
    assert answers == FLOWER_MODEL.predict(FLOWERS).tolist()


def test_triton_sends_many_rows_at_once(client):
    many = np.tile(X, (200, 1))

    result = client.infer("iris", [tensor("input", many, binary=True)])

    assert np.array_equal(result.as_numpy("predict"), IRIS.predict(many))


def test_triton_infers_in_the_background(client):
    waiting = [client.async_infer("iris", [tensor("input", X[:5], binary=True)]) for _ in range(5)]

    for each in waiting:
        answered = each.get_result().as_numpy("predict")
        assert np.array_equal(answered, IRIS.predict(X[:5]))


def test_triton_is_told_what_is_wrong(client):
    for name, cells, status, words in (
        ("another", X, "404", "There is no model 'another'"),
        ("iriss", X, "404", "Did you mean 'iris'?"),
        ("iris", X[:, :3].copy(), "400", "expected 4"),
        ("iris", np.full((1, 4), np.nan), "400", "missing"),
    ):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(name, [tensor("input", cells, binary=True)])
        assert caught.value.status() == status
        assert words in caught.value.message()
    with pytest.raises(InferenceServerException, match="no output 'nope'"):
        client.infer(
            "iris",
            [tensor("input", X, binary=True)],
            outputs=[triton.InferRequestedOutput("nope")],
        )
    with pytest.raises(InferenceServerException) as caught:
        client.infer(
            "iris",
            [tensor("input", X, binary=True)],
            request_compression_algorithm="gzip",
        )
    assert caught.value.status() == "415"


def test_triton_with_and_without_the_token(iris):
    guarded = deploy(IRIS, name="guarded", example=X, token=TOKEN)
    with triton.InferenceServerClient(guarded.url.removeprefix("http://")) as client:
        assert client.is_server_live()
        with pytest.raises(InferenceServerException, match="Send the token") as caught:
            client.get_model_metadata("guarded")
        assert caught.value.status() == "401"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        result = client.infer("guarded", [tensor("input", X, binary=True)], headers=headers)
        assert np.array_equal(result.as_numpy("predict"), IRIS.predict(X))
    guarded.stop()


def post(service, path, **request):
    return httpx2.post(service.url + path, **request)


def test_kserves_client_of_v2_sends_this(iris):
    # InferRequest.to_rest(): the body names the model too, and there is no Content-Type.
    version = iris.service.route.version
    request = {
        "id": str(uuid.uuid4()),
        "model_name": "iris",
        "inputs": [
            {"name": "input-0", "shape": [2, 4], "datatype": "FP64", "data": X[[0, 149]].tolist()}
        ],
    }

    answer = post(iris, "/v2/models/iris/infer", content=json.dumps(request)).json()

    assert answer == {
        "id": request["id"],
        "model_name": "iris",
        "model_version": version,
        "outputs": [
            {
                "name": "predict",
                "shape": [2],
                "datatype": "INT64",
                "parameters": {"content_type": "np"},
                "data": [0, 2],
            }
        ],
    }


def test_kserves_client_of_v2_sends_bytes(iris):
    cells = X[[0, 149]]
    head = json.dumps(
        {
            "id": "42",
            "model_name": "iris",
            "parameters": {"binary_data_output": True},
            "inputs": [
                {
                    "name": "input-0",
                    "shape": [2, 4],
                    "datatype": "FP64",
                    "parameters": {"binary_data_size": cells.nbytes},
                }
            ],
        }
    ).encode()

    answer = post(
        iris,
        "/v2/models/iris/infer",
        content=head + cells.tobytes(),
        headers={
            "Inference-Header-Content-Length": str(len(head)),
            "content-type": "application/octet-stream",
        },
    )

    length = int(answer.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert output["parameters"]["binary_data_size"] == 16
    assert np.frombuffer(answer.content[length:], "<i8").tolist() == [0, 2]


def test_kserves_client_of_v1_sends_this(iris):
    body = json.dumps({"instances": X[[0, 149]].tolist()})

    answer = post(iris, "/v1/models/iris:predict", content=body)

    assert answer.json() == {"predictions": [0, 2]}
    assert httpx2.get(f"{iris.url}/").json()["status"].lower() == "alive"
    assert httpx2.get(f"{iris.url}/v1/models/iris").json()["ready"] is True
    assert httpx2.get(f"{iris.url}/v1/models").json() == {"models": ["iris"]}
    assert httpx2.get(f"{iris.url}/v2/models").json() == {"models": ["iris"]}
    assert httpx2.get(f"{iris.url}/v2/health/live").json()["live"] is True
    assert httpx2.get(f"{iris.url}/v2/health/ready").json()["ready"] is True
    assert httpx2.get(f"{iris.url}/v2/models/iris/ready").json() == {"name": "iris", "ready": True}


def test_mlservers_client_sends_a_frame(flowers):
    request = {
        "parameters": {"content_type": "pd"},
        "inputs": [
            {"name": "petal", "shape": [2, 1], "datatype": "FP64", "data": [1.4, 5.2]},
            {"name": "count", "shape": [2, 1], "datatype": "INT64", "data": [3, 5]},
            {
                "name": "colour",
                "shape": [2, 1],
                "datatype": "BYTES",
                "parameters": {"content_type": "str"},
                "data": ["white", "violet"],
            },
        ],
        "outputs": [{"name": "predict_proba"}, {"name": "predict"}],
    }

    answer = post(flowers, "/v2/models/flowers/infer", json=request).json()

    probabilities, labels = answer["outputs"]
    assert probabilities["shape"] == [2, 3]
    assert probabilities["data"] == FLOWER_MODEL.predict_proba(FLOWERS[:2]).ravel().tolist()
    assert labels == {
        "name": "predict",
        "shape": [2],
        "datatype": "BYTES",
        "parameters": {"content_type": "str"},
        "data": ["setosa", "virginica"],
    }
    assert uuid.UUID(answer["id"])


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        ({"instances": X[[0, 149]].tolist()}, {"predictions": [0, 2]}),
        (
            {"signature_name": "serving_default", "instances": X[:1].tolist()},
            {"predictions": [0]},
        ),
        ({"inputs": X[[0, 149]].tolist()}, {"outputs": [0, 2]}),
        ({"instances": X[:1].tolist(), "parameters": {"vertex": True}}, {"predictions": [0]}),
    ],
)
def test_tensorflow_servings_and_vertexs_clients_send_this(iris, request_body, answer):
    version = iris.service.route.version

    for path in ("/v1/models/iris", f"/v1/models/iris/versions/{version}"):
        assert post(iris, f"{path}:predict", json=request_body).json() == answer
        status = httpx2.get(iris.url + path).json()["model_version_status"]
        assert status[0]["state"] == "AVAILABLE"
        assert status[0]["version"] == version


def test_tensorflow_serving_names_a_method(iris):
    body = {"signature_name": "predict_proba", "instances": X[:3].tolist()}

    answer = post(iris, "/v1/models/iris:predict", json=body).json()

    assert np.array_equal(answer["predictions"], IRIS.predict_proba(X[:3]))


def test_mlflows_client_sends_this(flowers):
    # ScoringServerClient.ping, get_version and invoke; a frame goes as to_dict(orient="split").
    headers = {"Content-Type": "application/json"}
    split = json.dumps({"dataframe_split": FLOWERS.to_dict(orient="split")})

    answer = post(flowers, "/invocations", content=split, headers=headers)

    assert httpx2.get(f"{flowers.url}/ping").status_code == 200
    assert httpx2.get(f"{flowers.url}/version").text == "0.1.0"
    assert answer.json() == {"predictions": FLOWER_MODEL.predict(FLOWERS).tolist()}


def test_mlflow_is_told_what_is_wrong(flowers):
    for body, words in (
        ({"dataframe_records": [{"petal": 1.0}]}, "no column 'colour' or 'count'"),
        ({"instances": [], "inputs": []}, "exactly one of"),
        ([[1.0, "white", 3]], "none of the keys"),
    ):
        answer = post(flowers, "/invocations", json=body)
        assert answer.status_code == 400
        assert answer.json().keys() == {"error_code", "message"}
        assert words in answer.json()["message"]
    answer = post(flowers, "/invocations", data={"a": "form"})
    assert answer.status_code == 415
    assert answer.json()["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    "header",
    ["petal,colour,count\n", "count,colour,petal\n", ""],
    ids=["as learned", "in another order", "none"],
)
def test_sagemakers_client_sends_csv_with_or_without_a_header(flowers, header):
    columns = header.strip().split(",") if header else list(FLOWERS)
    text = header + FLOWERS[columns].to_csv(index=False, header=False)

    answers = [
        post(flowers, "/invocations", content=text, headers={"Content-Type": "text/csv", **more})
        for more in ({}, {"Accept": "text/csv"})
    ]

    expected = FLOWER_MODEL.predict(FLOWERS).tolist()
    assert answers[0].json() == {"predictions": expected}
    assert answers[1].text.splitlines() == expected
    assert answers[1].headers["Content-Type"] == "text/csv"


def test_vetivers_client_sends_this(flowers):
    # vetiver.predict: records as text, without a Content-Type; the answer becomes a frame.
    answer = post(flowers, "/predict", content=FLOWERS.to_json(orient="records"))

    frame = pd.DataFrame.from_dict(answer.json())
    assert frame["predict"].tolist() == FLOWER_MODEL.predict(FLOWERS).tolist()
    assert httpx2.get(f"{flowers.url}/ping").json() == {"ping": "pong"}
    prototype = httpx2.get(f"{flowers.url}/prototype").json()
    assert prototype["required"] == ["petal", "colour", "count"]
    assert prototype["properties"]["count"]["type"] == "integer"
    example = {name: column["example"] for name, column in prototype["properties"].items()}
    assert post(flowers, "/predict", json=[example]).status_code == 200
    metadata = httpx2.get(f"{flowers.url}/metadata").json()
    assert metadata["required_pkgs"] == ["scikit-learn"]
    assert metadata["version"] == flowers.service.route.version
