"""What the monitor of a running service tells of the path of its requests."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy

X, Y = load_iris(return_X_y=True, as_frame=True)
ROW = X.iloc[0].tolist()


@pytest.fixture(scope="module")
def model():
    return LogisticRegression(max_iter=500).fit(X, Y)


def ask(client, path, **body):
    return client.post(path, **body).status_code


@pytest.mark.parametrize("where", ["kernel", "process"])
def test_stages_batches_and_predictions_are_told_wherever_it_runs(model, where):
    with deploy(model, name="iris", example=X, where=where, token=None) as service:
        with httpx.Client(base_url=service.url) as client:
            for _ in range(20):
                assert ask(client, "/predict", json={"features": ROW}) == 200
            assert ask(client, "/v1/models/iris:predict", json={"instances": [ROW, ROW]}) == 200
            csv = X.to_csv(index=False)
            assert ask(client, "/predict", content=csv, headers={"content-type": "text/csv"}) == 200
        statistics, monitor = service.stats(), service.monitor
        moments = monitor.timeline()

    assert list(statistics["stages"]) == ["parse", "queue", "predict", "encode"]
    assert {each["requests"] for each in statistics["stages"].values()} == {22}
    assert 0 < statistics["stages"]["predict"]["p50_latency"] < 1
    assert statistics["batch_sizes"]["rows"] == {"1": 20, "2 to 3": 1, "128 to 255": 1}
    assert statistics["batch_sizes"]["mean"] == 172 / 22
    (told,) = statistics["predictions"].values()
    assert told["rows"] == 172
    assert sum(told["shares"].values()) == pytest.approx(1)
    assert sum(moment.predictions.rows for moment in moments) == 172
    assert monitor.to_frame()["requests"].tolist() == [22]


def test_latency_holds_parsing_waiting_and_predicting(model):
    with deploy(model, name="iris", example=X, token=None) as service:
        with httpx.Client(base_url=service.url) as client:
            rows = X.to_numpy().tolist() * 50
            ask(client, "/predict", json={"features": rows})
            service.monitor.reset()
            for _ in range(5):
                ask(client, "/predict", json={"features": rows})
        statistics = service.stats()
    stages = statistics["stages"]
    parts = sum(stages[name]["avg_latency"] for name in ("parse", "queue", "predict"))
    assert parts == pytest.approx(statistics["avg_latency"], rel=0.01)


def test_every_request_that_is_refused_is_counted_with_its_reason(model):
    with deploy(model, name="iris", example=X, token="s3cret") as service:
        with httpx.Client(base_url=service.url) as client:
            assert ask(client, "/predict", json={"features": ROW}) == 401
            client.headers["X-API-Key"] = "s3cret"
            json_type = {"content-type": "application/json"}
            assert ask(client, "/predict", content=b"{", headers=json_type) == 400
            assert ask(client, "/v2/models/iris/infer", content=b"{", headers=json_type) == 400
            assert ask(client, "/v2/models/other/infer", json={"inputs": []}) == 404
            assert ask(client, "/nothing", json={}) == 404
            assert client.get("/predict").status_code == 405
            assert ask(client, "/predict", content=b"", headers={"content-type": "x/y"}) == 415
            assert ask(client, "/predict", json={"features": ["a", *ROW[1:]]}) == 422
            assert ask(client, "/predict", json={"features": {"petal length (cm)": 1}}) == 422
        statistics = service.stats()

    assert statistics["rejected"] == {
        "invalid_rows": 2,
        "malformed": 2,
        "media_type": 1,
        "unauthorized": 1,
        "unknown": 2,
        "wrong_verb": 1,
    }
    assert statistics["validation_errors"] == [
        {"column": "sepal length (cm)", "kind": "missing_column", "requests": 1},
        {"column": "sepal length (cm)", "kind": "type", "requests": 1},
    ]
    # A request that failed before it found a model is one too.
    assert statistics["by_status"] == {"400": 2, "415": 1, "422": 2}
    assert statistics["errors"] == 5
    json.dumps(statistics, allow_nan=False)


def test_what_is_malformed_has_an_id_that_the_kernel_finds(model):
    with deploy(model, name="iris", example=X, token=None) as service:
        answer = httpx.post(f"{service.url}/predict", content=b"[1,")
        recorded = service.monitor.find_error(answer.headers["x-error-id"])
    assert recorded.status == 400
    assert recorded.message == answer.json()["detail"]


def test_a_group_counts_what_finds_none_of_its_models(model):
    with (
        deploy({"one": model, "two": model}, name="both", example=X, token=None) as group,
        httpx.Client(base_url=group.url) as client,
    ):
        assert ask(client, "/v2/models/one/infer", content=b"{") == 400
        assert ask(client, "/v2/models/three/infer", json={}) == 404
        assert ask(client, "/models/two/predict", json={"features": ["a", *ROW[1:]]}) == 422
        assert client.get("/stats", headers={"host": "evil.example"}).status_code == 421
        statistics = client.get("/stats").json()
        of_one = group["one"].stats()
    assert of_one["by_status"] == {"400": 1}
    assert statistics["rejected"] == {
        "foreign_host": 1,
        "invalid_rows": 1,
        "malformed": 1,
        "unknown": 1,
    }


def test_long_calls_wait_in_the_queue_and_not_in_the_model():
    def slow(rows):
        time.sleep(0.05)
        return [0] * len(rows)

    with deploy(slow, name="slow", example=X, token=None, max_batch_size=1) as service:
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: service.predict(X.head(1)), range(6)))
        stages = service.stats()["stages"]
    assert len(answers) == 6
    assert 0.04 < stages["predict"]["p50_latency"] < 0.2
    assert stages["queue"]["max_latency"] > 0.15
    assert stages["parse"]["p50_latency"] < 0.04
