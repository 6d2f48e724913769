"""Paths, verbs and errors of the protocols, through the whole application."""

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from starlette.testclient import TestClient

from nbdeploy import ModelSerializer, ModelService
from nbdeploy.serving.protocol_lane import RouteTable
from nbdeploy.serving.protocol_routes import ENDPOINTS, endpoints
from nbdeploy.serving.routing import route_from_model

X, Y = load_iris(return_X_y=True)
ROWS = X[[0, 149]].tolist()
TENSOR = {"name": "input", "shape": [2, 4], "datatype": "FP64", "data": ROWS}
PREDICTIONS = {
    "/v2/models/m/infer": {"inputs": [TENSOR]},
    "/v1/models/m:predict": {"instances": ROWS},
    "/invocations": {"instances": ROWS},
}
each_protocol = pytest.mark.parametrize("path", PREDICTIONS)


@pytest.fixture(scope="module")
def model():
    return LogisticRegression(max_iter=500).fit(X, Y)


@pytest.fixture
def service(model):
    return ModelService(route_from_model(model), name="m", token=None)


@pytest.fixture
def client(service):
    return TestClient(service.app)


def sentence(path, answer):
    """Take what an error says out of the shape of its protocol."""
    body = answer.json()
    if path == "/invocations":
        assert body.keys() == {"error_code", "message"}
        return body["message"]
    assert body.keys() == {"error"}
    return body["error"]


def test_every_template_is_found_with_its_names():
    table = RouteTable(ENDPOINTS)
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{name}", "a b").replace("{version}", "1.0")
        found = table.find(path)
        assert found.endpoints[endpoint.verb] is endpoint
        wanted = {"name": "a b", "version": "1.0"}
        assert found.names == {key: wanted[key] for key in wanted if f"{{{key}}}" in endpoint.path}


@given(st.text(alphabet="/v12:{}.models-predict", max_size=40))
def test_any_other_path_is_none(path):
    found = RouteTable(ENDPOINTS).find(path)

    assert found is None or all(found.names.values())


@pytest.mark.parametrize(
    "path",
    ["/v2/", "/v2//models", "/v2/models/", "/v2/models//infer", "/v2/models/m/infer/", "/v2/{}",
     "/v1/models/m:explain", "/v1/models/m:", "/v1/models/:predict", "/v2/models/m/versions/1/x",
     "/v2/repository/models/m/load", "/v2/repository/models/m/unload", "/v2/models/m/generate"],
)  # fmt: skip
def test_what_is_not_there_is_not_found_in_the_protocols_shape(client, path):
    for verb in ("GET", "POST"):
        answer = client.request(verb, path)
        assert answer.status_code == 404
        assert sentence(path, answer)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.verb} {each.path}")
def test_another_verb_is_told_which_one_is_right(client, endpoint):
    path = endpoint.path.replace("{name}", "m").replace("{version}", "1")
    for verb in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"} - {endpoint.verb}:
        answer = client.request(verb, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, endpoint.verb)


@each_protocol
def test_an_answer_carries_the_version_and_is_counted(client, service, path):
    answer = client.post(path, json=PREDICTIONS[path])

    assert answer.status_code == 200
    assert answer.headers["X-Model-Version"] == "1"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert service.monitor.get_statistics()["rows"] == 2


@each_protocol
@pytest.mark.parametrize("cell", [None, "wide", True, "NaN", "Infinity"])
def test_rows_that_do_not_fit_are_400(client, path, cell):
    text = json.dumps(PREDICTIONS[path]).replace("5.1", json.dumps(cell))
    text = text.replace('"NaN"', "NaN").replace('"Infinity"', "Infinity")

    answer = client.post(path, content=text)

    assert answer.status_code == 400
    assert sentence(path, answer)


@each_protocol
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"{}", b"\xff", b"\0"])
def test_what_is_no_request_is_400(client, path, body):
    answer = client.post(path, content=body)

    assert answer.status_code == 400
    assert sentence(path, answer)


@each_protocol
def test_very_deep_json_is_400(client, path):
    answer = client.post(path, content=b'{"inputs": ' + b"[" * 100_000)

    assert answer.status_code == 400
    assert "nested too deeply" in sentence(path, answer)


@each_protocol
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=["text", "multipart", "form", "compressed"],
)
def test_other_types_are_415(client, path, headers):
    answer = client.post(path, content=json.dumps(PREDICTIONS[path]), headers=headers)

    assert answer.status_code == 415
    assert sentence(path, answer)


@each_protocol
def test_a_body_that_is_too_large_is_413(client, path):
    declared = client.post(path, content=b"x", headers={"Content-Length": str(10**9)})
    streamed = client.post(path, content=iter([b" " * 2**20] * 65))

    for answer, limit in ((declared, "64 MiB"), (streamed, "8 MiB")):
        assert answer.status_code == 413
        assert limit in sentence(path, answer)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/other", 404),
        ("/v2/models/other/ready", 404),
        ("/v2/models/m/versions/2", 404),
        ("/v2/models/m/versions/1", 200),
        ("/v2/models/m/versions/1/ready", 200),
        ("/v1/models/other", 404),
        ("/v1/models/m/versions/2", 404),
        ("/v1/models/m/versions/1", 200),
    ],
)
def test_other_models_and_versions_are_404(client, path, status):
    answer = client.get(path)

    assert answer.status_code == status
    assert ("error" in answer.json()) is (status == 404)


class Refuses:
    n_features_in_ = 4

    def predict(self, rows):
        message = "the secret is 42 in /home/ada"
        raise RuntimeError(message)


@each_protocol
def test_a_model_that_raises_is_a_500_that_tells_nothing_of_its_inside(path):
    service = ModelService(route_from_model(Refuses()), name="m", token=None)

    answer = TestClient(service.app).post(path, json=PREDICTIONS[path])

    assert answer.status_code == 500
    assert "raised RuntimeError" in sentence(path, answer)
    assert "secret" not in answer.text
    assert service.monitor.find_error(answer.headers["X-Error-ID"]) is not None


class Waits:
    """A model that answers when it is told to."""

    n_features_in_ = 4

    def __init__(self):
        self.asked, self.go_on = threading.Event(), threading.Event()

    def predict(self, rows):
        self.asked.set()
        assert self.go_on.wait(10)
        return np.zeros(len(rows))


@each_protocol
def test_a_full_queue_is_503_and_a_late_answer_504(path):
    waits = Waits()
    waits.go_on.set()
    route = route_from_model(waits)
    waits.asked.clear()
    waits.go_on.clear()
    service = ModelService(route, name="m", token=None, max_queue=1, timeout=0.5)
    answers = []

    with TestClient(service.app) as client:

        def ask():
            answers.append(client.post(path, json=PREDICTIONS[path]))

        running = [threading.Thread(target=ask)]
        running[0].start()
        assert waits.asked.wait(10)
        running += [threading.Thread(target=ask) for _ in range(3)]
        for thread in running[1:]:
            thread.start()
        for thread in running:
            thread.join(10)
        waits.go_on.set()

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [503, 503, 504, 504]
    for answer in answers:
        assert sentence(path, answer)
        assert ("Retry-After" in answer.headers) is (answer.status_code == 503)


@each_protocol
def test_strangers_are_told_so_in_the_protocols_shape(model, path):
    guarded = ModelService(route_from_model(model), name="m", token="s3cret")
    local = ModelService(route_from_model(model), name="m", token="auto")

    with TestClient(guarded.app, base_url="http://any.example") as client:
        without = client.post(path, json=PREDICTIONS[path])
        key = {"X-API-Key": "s3cret"}
        foreign = client.post(
            path, json=PREDICTIONS[path], headers={**key, "Origin": "http://evil.example"}
        )
        right = client.post(path, json=PREDICTIONS[path], headers=key)
    with TestClient(local.app, base_url="http://evil.example") as client:
        rebound = client.post(path, json=PREDICTIONS[path])

    assert [each.status_code for each in (without, foreign, rebound, right)] == [401, 403, 421, 200]
    for answer in (without, foreign, rebound):
        assert sentence(path, answer)
    assert without.headers["WWW-Authenticate"] == "Bearer"


def test_a_service_that_is_loading_says_so_in_every_protocol(model, tmp_path):
    path = tmp_path / "m.joblib"
    ModelSerializer.save_model(model, str(path))
    client = TestClient(ModelService(path, load=False, token=None).app)

    asked = {path: client.post(path, json=body) for path, body in PREDICTIONS.items()}
    for path in ("/v2/models/m", "/v2/models/m/versions/1", "/v2/models/m/versions/1/ready"):
        asked[path] = client.get(path)
    for path, answer in asked.items():
        assert answer.status_code == 503
        assert "loading" in sentence(path, answer)
        assert answer.headers["Retry-After"] == "1"
    for path in ("/v2/models/m/ready", "/v1/models/m"):
        answer = client.get(path)
        assert answer.json() == {"name": "m", "ready": False}
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    for path in ("/metadata", "/prototype"):
        assert client.get(path).status_code == 503
    assert client.get("/v2").status_code == 200
    assert client.get("/v2/models").json() == {"models": ["m"]}
    (listed,) = client.post("/v2/repository/index").json()
    assert listed == {"name": "m", "version": "", "state": "UNAVAILABLE", "reason": "loading"}


def test_several_outputs_are_of_one_model_though_it_is_exchanged(service, client):
    other = route_from_model(DecisionTreeClassifier(random_state=0).fit(X, Y))
    first = service.inference.predict
    asked = []

    async def predict(request, **more):
        asked.append(request.method)
        prediction = await first(request, **more)
        service.swap(other)
        return prediction

    service.inference.predict = predict
    body = {"inputs": [TENSOR], "outputs": [{"name": "predict_proba"}, {"name": "predict"}]}
    expected = service.model.predict_proba(np.array(ROWS)).ravel().tolist()

    outputs = client.post("/v2/models/m/infer", json={**body}).json()["outputs"]

    assert asked == ["predict_proba", "predict"]
    assert outputs[0]["data"] == expected
    assert service.route is other


def test_vertex_names_the_path_in_the_environment(model, monkeypatch):
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/v1/endpoints/1/deployedModels/2:predict")
    client = TestClient(ModelService(route_from_model(model), name="m", token=None).app)

    answer = client.post("/v1/endpoints/1/deployedModels/2:predict", json={"instances": ROWS})

    assert answer.json() == {"predictions": [0, 2]}
    assert "/v1/endpoints/1/deployedModels/2:predict" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("path", ["", "predict", "/invocations"])
def test_a_path_in_the_environment_takes_none_that_is_known(path):
    assert endpoints({"AIP_PREDICT_ROUTE": path}) == ENDPOINTS


def test_middleware_of_the_user_sees_the_protocols_too(service):
    seen = []

    class Watch:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            seen.append(scope["path"])
            await self.app(scope, receive, send)

    service.app.add_middleware(Watch)
    client = TestClient(service.app)

    for path, body in PREDICTIONS.items():
        assert client.post(path, json=body).status_code == 200
    assert seen == list(PREDICTIONS)


def test_a_request_for_metadata_asks_the_model_once(service, client):
    first = client.get("/v2/models/m").json()

    service.inference.batcher.submit = None

    assert client.get("/v2/models/m").json() == first
    assert service.monitor.get_statistics()["total_predictions"] == 0


def test_a_model_that_cannot_take_the_made_up_row_has_metadata_all_the_same():
    service = ModelService(route_from_model(Refuses()), name="m", token=None)

    described = TestClient(service.app).get("/v2/models/m").json()

    assert described["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]


def test_the_platform_is_the_library_of_the_model(client):
    function = ModelService(route_from_model(lambda rows: rows[:, 0], example=X), name="m")

    assert client.get("/v2/models/m").json()["platform"] == "sklearn_python"
    assert TestClient(function.app).get("/v2/models/m").json()["platform"] == "python"
