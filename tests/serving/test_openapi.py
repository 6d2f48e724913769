"""The OpenAPI document is complete: every route, with examples that are answered."""

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

from nbdeploy import ModelService
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.security import OPEN_PATHS

PAGES = {
    "/dashboard",
    "/dashboard/panel",
    "/dashboard/refresh.js",
    "/",
    "/docs",
    "/docs/assets/{name}",
    "/openapi.json",
    "/{method}",
}
X, Y = load_iris(return_X_y=True)
FRAME = pd.DataFrame(
    {
        "size": [1.5, 2.5, None, 4.0] * 5,
        "n": [1, 2, 3, 4] * 5,
        "old": [True, False] * 10,
        "half": np.array([0.5, 1.5] * 10, dtype="float16"),
        "kind": pd.Categorical(["a", "b"] * 10),
    }
)


def answers(frame):
    return ["yes"] * len(frame)


ROUTES = {
    "array": lambda: route_from_model(LogisticRegression(max_iter=500).fit(X, Y), example=X),
    "frame": lambda: route_from_model(answers, example=FRAME),
    "texts": lambda: route_from_model(answers, example=["a b", "c d"]),
    "one column": lambda: route_from_model(answers, example=FRAME[["n"]]),
    "unknown names": lambda: route_from_model(
        LogisticRegression().fit(FRAME[["n"]].to_numpy(), FRAME["old"])
    ),
}


@pytest.fixture(params=ROUTES)
def client(request):
    service = ModelService(ROUTES[request.param](), name="m", token=None)
    return TestClient(service.app)


def operations(document):
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def test_every_route_is_described(client):
    document = client.get("/openapi.json").json()

    routes = {route.path for route in client.app.routes} - PAGES
    assert routes <= document["paths"].keys()
    identifiers = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(identifiers)) == len(identifiers)
    for path, _, operation in operations(document):
        assert operation["summary"]
        assert len(operation["tags"]) == 1
        for status, answer in operation["responses"].items():
            assert answer["description"]
            assert answer["content"], (path, status)


def test_every_example_is_answered(client):
    document = client.get("/openapi.json").json()
    asked = 0
    for path, verb, operation in operations(document):
        url = path
        for parameter in operation.get("parameters", []):
            if parameter["in"] != "path":
                continue
            (value,) = parameter["schema"]["enum"]
            url = url.replace(f"{{{parameter['name']}}}", value)
        content = operation.get("requestBody", {}).get("content", {})
        json = content.get("application/json", {})
        bodies = [each["value"] for each in json.get("examples", {}).values()] or [None]
        if path == "/feedback":
            # What is judged must have been answered before.
            row = document["components"]["schemas"]["Row"]["examples"][0]
            judged = client.post("/predict?with_id=true", json={"features": row})
            truth = judged.json()["prediction"]
            bodies = [{"prediction_id": judged.headers["X-Prediction-ID"], "truth": truth}]
        for body in bodies:
            if body is not None:
                resolver = {"$ref": "#/schema", "schema": json["schema"], **document}
                jsonschema.Draft202012Validator(resolver).validate(body)
            answer = client.request(verb, url, json=body)
            assert str(answer.status_code) in operation["responses"]
            assert answer.is_success, (path, body, answer.text)
            asked += 1
    assert asked >= 35


def test_every_error_has_the_shape_of_its_protocol(client):
    document = client.get("/openapi.json").json()

    def schemas(path, verb="post"):
        responses = document["paths"][path][verb]["responses"]
        errors = {status: each for status, each in responses.items() if status > "4"}
        return {
            status: each["content"]["application/json"]["schema"].get("$ref", "").rpartition("/")[2]
            for status, each in errors.items()
        }

    native, v2 = schemas("/predict"), schemas("/v2/models/{name}/infer")
    assert set(native.values()) == {"Error"}
    assert native.keys() - v2.keys() == {"422"}
    assert set(v2.values()) == set(schemas("/v1/models/{name}:predict").values())
    assert set(v2.values()) == {"InferenceError"}
    assert set(schemas("/invocations").values()) == {"MlflowError"}
    assert v2.keys() >= {
        "400",
        "401",
        "403",
        "404",
        "405",
        "413",
        "415",
        "421",
        "500",
        "503",
        "504",
    }
    assert "503" in schemas("/v2/models/{name}/ready", "get")


@pytest.mark.parametrize("token", [None, "s3cret"])
def test_only_the_paths_of_health_are_open(token):
    service = ModelService(ROUTES["array"](), name="m", token=token)
    headers = {"X-API-Key": token or ""}
    document = TestClient(service.app).get("/openapi.json", headers=headers).json()

    open_paths = {path for path, _, each in operations(document) if each.get("security") == []}
    assert open_paths == (OPEN_PATHS if token else set())
    assert ("security" in document) is (token is not None)
    for path, _, operation in operations(document):
        assert ("401" in operation["responses"]) is not (path in open_paths)
