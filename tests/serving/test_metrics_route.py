"""``GET /metrics`` of a running service."""

import httpx2 as httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_strictly
from prometheus_client.parser import text_string_to_metric_families as parse
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy

X, Y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def model():
    return LogisticRegression(max_iter=500).fit(X, Y)


def value_of(text, name, **labels):
    samples = [sample for family in parse(text) for sample in family.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.mark.parametrize("where", ["kernel", "process"])
def test_what_was_asked_is_counted_wherever_it_runs(model, where):
    with deploy(model, name="iris", example=X, where=where, token="s3cret") as service:
        for _ in range(5):
            service.predict(X.head(3))
        url = f"{service.url}/metrics"
        assert httpx.get(url).status_code == 401
        answer = httpx.get(url, headers={"X-API-Key": "s3cret"})
        strict = httpx.get(
            url, headers={"X-API-Key": "s3cret", "Accept": "application/openmetrics-text"}
        )

    text = answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert value_of(text, "nbdeploy_requests_total", model="iris", status="200") == 5
    assert value_of(text, "nbdeploy_rows_total", endpoint="predict") == 15
    assert value_of(text, "nbdeploy_model_info", framework="sklearn") == 1
    assert value_of(text, "nbdeploy_drift_psi", feature="petal width (cm)") >= 0
    assert "application/openmetrics-text" in strict.headers["content-type"]
    assert list(parse_strictly(strict.text))


def test_requests_that_were_refused_are_told_by_reason(model):
    bodies = ({"features": [["x", 1, 2, 3]]}, {"features": [[1, 2]]})
    with (
        deploy(model, name="iris", example=X) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        statuses = {client.post("/predict", json=body).status_code for body in bodies}
        text = client.get("/metrics").text

    assert statuses == {422}

    assert value_of(text, "nbdeploy_rejected_total", reason="invalid_rows") == 2


def test_several_models_are_told_apart(model):
    with deploy({"one": model, "two": model}, name="both", example=X) as group:
        group["two"].predict(X.head(1))
        text = httpx.get(f"{group.url}/metrics").text
        own = httpx.get(f"{group['two'].url}/metrics").text

    assert value_of(text, "nbdeploy_requests_total", model="two") == 1
    assert value_of(text, "nbdeploy_requests_total", model="one") == 0
    assert value_of(text, "nbdeploy_model_info", model="one") == 1
    assert value_of(own, "nbdeploy_requests_total", model="two") == 1


def test_versions_and_replicas_are_told(model):
    with deploy(model, name="iris", example=X) as service:
        service.split({"a": model, "b": model}, weights=[0.5, 0.5])
        service.scale(1)
        for _ in range(40):
            service.predict(X.head(1))
        text = httpx.get(f"{service.url}/metrics").text

    assert value_of(text, "nbdeploy_requests_total", version="a") > 0
    assert value_of(text, "nbdeploy_requests_total", version="b") > 0
    assert value_of(text, "nbdeploy_replicas", state="ready") == 1
    assert value_of(text, "nbdeploy_model_info", version="b") == 1
