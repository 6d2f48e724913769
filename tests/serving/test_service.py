import gc
import json
import re
import threading
import time
import weakref

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from starlette.testclient import TestClient

from nbdeploy import ModelSerializer, ModelService, PredictionRequest
from nbdeploy.exceptions import ModelFileNotFoundError, SignatureError, UnfittedModelError
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.security import OPEN_PATHS

IRIS = load_iris(as_frame=True)


@pytest.fixture(scope="module")
def model():
    return LogisticRegression(max_iter=500).fit(IRIS.data.to_numpy(), IRIS.target)


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "iris.joblib"
    ModelSerializer.save_model(model, str(path))
    return path


@pytest.fixture
def client(path):
    return TestClient(ModelService(path).app)


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def caller(served, **options):
    return TestClient(ModelService(route_from_model(served), **options).app)


def test_the_chapters_calls_work_word_for_word(path):
    model_path = str(path)

    service = ModelService(model_path)

    request = PredictionRequest(features=[5.1, 3.5, 1.4, 0.2])
    client = TestClient(service.app)
    answer = client.post("/predict", json=request.model_dump()).json()
    info = client.get("/model/info").json()
    assert answer == {"prediction": [0]}
    assert answer["prediction"] == service.model.predict([request.features]).tolist()
    assert info["model_type"] == "LogisticRegression"
    assert info["feature_count"] == 4


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"features": [5.1, 3.5, 1.4, 0.2]}, {"prediction": [0]}),
        ({"features": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}, {"prediction": [0, 2]}),
        ({"instances": [[6.7, 3.0, 5.2, 2.3]]}, {"predictions": [2]}),
        ([[6.7, 3.0, 5.2, 2.3]], {"predict": [2]}),
    ],
)
def test_every_shape_of_request_has_its_answer(client, body, answer):
    response = client.post("/predict", json=body)

    assert response.json() == answer
    assert re.fullmatch("[0-9a-f]{12}", response.headers["X-Model-Version"])


def test_columns_may_be_named_in_any_order():
    served = DecisionTreeClassifier(random_state=0).fit(IRIS.data, IRIS.target)
    row = IRIS.data.iloc[100]
    shuffled = row.iloc[::-1].to_dict()

    answer = caller(served).post("/predict", json={"features": shuffled}).json()

    assert answer == {"prediction": served.predict(IRIS.data[100:101]).tolist()}


def test_every_method_of_the_model_is_an_endpoint(client, model):
    rows = IRIS.data.to_numpy()[::50]

    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        answer = client.post(f"/{method}", json={"instances": rows.tolist()}).json()
        assert np.array_equal(answer["predictions"], getattr(model, method)(rows))


@pytest.mark.parametrize("method", ["transform", "fit", "__class__", "get_params", "nope"])
def test_what_is_no_method_of_the_model_is_not_found(client, method):
    response = client.post(f"/{method}", json={"features": [1, 2, 3, 4]})

    assert response.status_code == 404
    assert "/predict_proba" in response.json()["detail"]


@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_prediction_is_asked_with_post(client, verb):
    response = client.request(verb, "/predict")

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("verb", "url", "allowed"),
    [
        ("PUT", "/stats", "GET"),
        ("HEAD", "/health", "GET"),
        ("GET", "/feedback", "POST"),
        ("DELETE", "/docs/assets/start.js", "GET"),
        ("POST", "/", "GET"),
    ],
)
def test_another_verb_is_told_which_one_is_right(client, verb, url, allowed):
    response = client.request(verb, url)

    assert (response.status_code, response.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("url", ["/nope", "/a/b", "/docs/assets/../secret", "/docs/assets/x.js"])
def test_an_unknown_path_is_not_found(client, url):
    assert client.get(url).status_code == 404


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([5.1, 3.5, 1.4], "4"),
        ([5.1, 3.5, 1.4, "wide"], "'wide'"),
        ([5.1, 3.5, 1.4, None], "missing"),
        ([], "row"),
        ([[5.1, 3.5, 1.4, 0.2], [5.1]], "Row 1"),
        ("text", "text"),
    ],
)
def test_rows_that_do_not_fit_are_told_with_422(client, features, said):
    response = client.post("/predict", json={"features": features})

    assert response.status_code == 422
    assert said in response.json()["detail"]
    assert response.json()["error"]["type"] == "SignatureError"


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_nan_and_infinity_are_no_numbers_of_a_model_that_takes_none(client, token):
    response = client.post("/predict", content=f'{{"features": [5.1, 3.5, 1.4, {token}]}}')

    assert response.status_code in {400, 422}


def test_nan_is_a_missing_value_where_the_model_takes_some():
    rows = IRIS.data.to_numpy().copy()
    rows[::3, 1] = np.nan
    served = DecisionTreeClassifier(random_state=0).fit(rows, IRIS.target)

    answers = [
        caller(served)
        .post("/predict", content=f'{{"features": [5.1, {missing}, 1.4, 0.2]}}')
        .json()
        for missing in ("NaN", "null")
    ]

    expected = served.predict([[5.1, np.nan, 1.4, 0.2]]).tolist()
    assert answers == [{"prediction": expected}] * 2


def test_nan_in_an_answer_is_null():
    class Strange:
        n_features_in_ = 1

        def predict(self, rows):
            return [float("nan"), float("inf"), 1.0][: len(rows)]

    answer = caller(Strange()).post("/predict", json={"features": [[1], [2], [3]]})

    assert answer.text == '{"prediction":[null,null,1.0]}'


class Refuses:
    n_features_in_ = 1

    def predict(self, rows):
        message = "the secret is 42 in /home/ada"
        raise RuntimeError(message)


def test_a_model_that_raises_is_a_500_that_tells_nothing_of_its_inside():
    service = ModelService(route_from_model(Refuses()))

    response = TestClient(service.app).post("/predict", json={"features": [1]})

    assert response.status_code == 500
    assert "raised RuntimeError" in response.json()["detail"]
    assert "secret" not in response.text
    assert "ada" not in response.text
    assert "the secret is 42" in service.monitor.errors()[-1].traceback


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client):
    def endless():
        yield b" " * (65 * 2**20)
        pytest.fail("the rest of the body was read")

    declared = client.post("/predict", content=b"x", headers={"Content-Length": str(10**9)})
    streamed = client.post("/predict", content=b" " * (65 * 2**20))

    assert declared.status_code == 413
    assert streamed.status_code == 413
    assert "64 MiB" in streamed.json()["detail"]


def test_the_monitor_counts_what_was_asked(path):
    service = ModelService(path)
    client = TestClient(service.app)

    client.post("/predict", json={"features": [[5.1, 3.5, 1.4, 0.2]] * 3})
    client.post("/predict_proba", json={"features": [5.1, 3.5, 1.4, 0.2]})
    client.post("/predict", json={"features": [5.1]})

    stats = client.get("/stats").json()
    assert stats.keys() == service.monitor.get_statistics().keys()
    assert stats["total_predictions"] == 3
    assert stats["error_rate"] == pytest.approx(1 / 3)
    assert stats["rows"] == 4
    assert stats["by_endpoint"]["predict"]["requests"] == 2


def test_a_service_that_is_loading_is_alive_and_not_ready(path, monkeypatch):
    arrived, go_on = threading.Event(), threading.Event()
    service = ModelService(path, load=False)
    load = service._load_route

    def slow_load():
        arrived.set()
        assert go_on.wait(10)
        return load()

    service._load_route = slow_load
    assert TestClient(service.app).get("/health/ready").status_code == 503
    with TestClient(service.app) as client:
        assert arrived.wait(10)
        during = {url: client.get(url).status_code for url in sorted(OPEN_PATHS)}
        early = client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
        go_on.set()
        until(lambda: client.get("/health/ready").status_code == 200)
        after = {url: client.get(url).status_code for url in sorted(OPEN_PATHS)}
        answer = client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).json()

    assert {url for url, status in during.items() if status == 200} == {
        "/health/live", "/healthz", "/livez", "/v2/health/live",
    }  # fmt: skip
    assert set(after.values()) == {200}
    assert early.status_code == 503
    assert early.headers["Retry-After"] == "1"
    assert answer == {"prediction": [0]}


def test_a_model_that_cannot_be_loaded_leaves_the_service_alive_and_not_ready(path):
    service = ModelService(path, load=False)
    path.write_bytes(b"not a model")

    with TestClient(service.app) as client:
        until(lambda: service.health.has_failed)
        ready = client.get("/health/ready")
        alive = client.get("/health/live")

    assert ready.status_code == 503
    assert ready.json() == {"ready": False, "status": "failed to load"}
    assert alive.status_code == 200


def test_a_health_check_that_raises_or_says_no_makes_it_not_ready(path):
    service = ModelService(path)
    client = TestClient(service.app)
    healthy = {"disk": True}

    def disk():
        if healthy["disk"] is None:
            raise OSError(2, "/secret/path is gone")
        return healthy["disk"]

    service.health.add_check("disk", disk)

    statuses = []
    for healthy["disk"] in (True, False, None):
        response = client.get("/health/ready")
        statuses.append(response.status_code)
    assert statuses == [200, 503, 503]
    assert response.json() == {"ready": False, "status": "health check 'disk' failed"}
    assert client.get("/health/live").status_code == 200


def test_a_missing_file_is_told_at_once(tmp_path):
    with pytest.raises(ModelFileNotFoundError, match=r"nowhere\.joblib"):
        ModelService(tmp_path / "nowhere.joblib")


def test_an_unfitted_model_is_told_at_once():
    with pytest.raises(UnfittedModelError):
        route_from_model(LogisticRegression())


def test_a_model_that_tells_nothing_of_its_rows_needs_an_example():
    def double(rows):
        return [2 * row[0] for row in rows]

    with pytest.raises(SignatureError, match="example="):
        route_from_model(double)
    assert route_from_model(double, example=[[1.0]]).answer("predict", [[4.0]]) == [8.0]


def test_an_example_that_the_model_cannot_predict_is_told_before_it_is_served():
    served = LinearRegression().fit(IRIS.data, IRIS.target)

    with pytest.raises(SignatureError):
        route_from_model(served, example=pd.DataFrame({"other": [1.0]}))


def test_openapi_describes_the_learned_row_with_a_made_up_example(path):
    document = TestClient(ModelService(path).app).get("/openapi.json").json()

    operation = document["paths"]["/predict"]["post"]
    assert set(operation["responses"]) >= {"200", "400", "401", "403", "404", "413", "415", "421",
                                           "422", "500", "503", "504"}  # fmt: skip
    assert document["components"]["schemas"]["Row"]["minItems"] == 4
    example = operation["requestBody"]["content"]["application/json"]["examples"]["one row"]
    client = TestClient(ModelService(path).app)
    assert client.post("/predict", json=example["value"]).status_code == 200
    assert document["servers"] == [{"url": "./"}]
    assert "security" not in document


def test_openapi_follows_a_swap_of_the_model(path):
    service = ModelService(path)
    client = TestClient(service.app)
    assert "/predict_proba" in client.get("/openapi.json").json()["paths"]

    service.swap(route_from_model(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])))

    document = client.get("/openapi.json").json()
    assert "/predict_proba" not in document["paths"]
    assert document["components"]["schemas"]["Row"]["minItems"] == 1


def test_the_docs_page_needs_nothing_from_elsewhere(client):
    page = client.get("/docs")

    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert assets
    assert all(not re.match("https?:|//|/", address) for address in assets)
    for address in assets:
        if not address.startswith("data:"):
            assert client.get(f"/{address}").status_code == 200
    policy = page.headers["Content-Security-Policy"]
    (nonce,) = re.findall(r"script-src 'nonce-([^']{16,})';", policy)
    scripts = re.findall("<script[^>]*>", page.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in script and "src=" in script for script in scripts)
    assert nonce not in client.get("/docs").headers["Content-Security-Policy"]


def test_a_service_that_is_forgotten_frees_its_model(path):
    service = ModelService(path)
    model = weakref.ref(service.model)
    client = TestClient(service.app)
    for url in ("/predict", "/stats", "/docs", "/openapi.json"):
        client.post(url, json={"features": [5.1, 3.5, 1.4, 0.2]})
        client.get(url)

    del service, client
    gc.collect()

    assert model() is None


def test_the_repr_names_the_model_and_no_address(path):
    assert repr(ModelService(path)) == "<ModelService 'iris': LogisticRegression>"


def test_a_one_time_link_opens_a_browser_session_once(path):
    service = ModelService(path, token="s3cret")
    code = service.codes.issue()

    with TestClient(service.app, base_url="https://hub.example") as client:
        assert client.get("/docs").status_code == 401
        entered = client.get(f"/login?code={code}", follow_redirects=False)
        assert client.get("/docs").status_code == 200
    with TestClient(service.app, base_url="https://hub.example") as other:
        assert other.get(f"/login?code={code}").status_code == 401
        assert other.get("/login?code=guess").status_code == 401

    cookie = entered.headers["Set-Cookie"]
    assert entered.status_code == 200
    assert 'content="0; url=docs"' in entered.text
    assert {"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} < set(cookie.split("; "))
    assert "s3cret" not in cookie


def test_a_token_in_the_environment_is_asked_for(path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_TOKEN", "from-the-environment")
    client = TestClient(ModelService(path).app)

    assert client.get("/stats").status_code == 401
    assert client.get("/stats", headers={"X-API-Key": "from-the-environment"}).status_code == 200


def test_a_websocket_is_turned_away(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/predict"):
        pass


def test_the_service_runs_under_any_asgi_server_without_its_lifespan(path):
    # TestClient without "with" sends no lifespan events.
    answer = TestClient(ModelService(path).app).post("/predict", json={"features": [5, 3, 1, 0]})

    assert json.loads(answer.content) == {"prediction": [0]}
