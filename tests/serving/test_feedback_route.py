from __future__ import annotations

import pytest
from sklearn.dummy import DummyClassifier
from starlette.testclient import TestClient

from nbdeploy import ModelService
from nbdeploy.serving.routing import route_from_model

ROUTE = route_from_model(DummyClassifier().fit([[0.0], [1.0]], ["a", "a"]))


@pytest.fixture
def client():
    return TestClient(ModelService(ROUTE, token=None).app)


@pytest.fixture
def prediction_id(client):
    body = {"features": [[0.0], [1.0]]}
    return client.post("/predict?with_id=true", json=body).headers["X-Prediction-ID"]


def test_the_first_truth_is_accepted_and_a_second_changes_nothing(client, prediction_id):
    told = {"prediction_id": prediction_id, "truth": ["a", None]}

    assert client.post("/feedback", json=told).json() == {"accepted": True}
    again = client.post("/feedback", json=told | {"truth": ["b", "b"]})

    assert (again.status_code, again.json()) == (202, {"accepted": False})


def test_an_unknown_id_is_404(client):
    response = client.post("/feedback", json={"prediction_id": "x" * 22, "truth": ["a"]})

    assert response.status_code == 404
    assert response.json()["error"]["type"] == "UnknownPredictionError"


@pytest.mark.parametrize(
    ("truth", "says"), [(["a"], "1 truths for 2 predicted rows"), (["a", 5], "row 1 is a number")]
)
def test_a_truth_that_does_not_fit_is_422_and_may_be_sent_again(client, prediction_id, truth, says):
    wrong = client.post("/feedback", json={"prediction_id": prediction_id, "truth": truth})

    assert wrong.status_code == 422
    assert says in wrong.json()["detail"]
    right = client.post("/feedback", json={"prediction_id": prediction_id, "truth": ["a", "a"]})
    assert right.json() == {"accepted": True}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"5", b"{}", b'{"prediction_id": "x"}', b'{"prediction_id": 5, "truth": 1}',
     b'{"prediction_id": "x", "truth": [1], "more": 1}'],
)  # fmt: skip
def test_what_is_no_feedback_is_400(client, body):
    assert client.post("/feedback", content=body).status_code == 400


def test_a_form_of_a_web_page_is_not_read(client):
    response = client.post("/feedback", data={"prediction_id": "x"})

    assert response.status_code == 415


def test_it_asks_for_the_token_as_everything_else():
    client = TestClient(ModelService(ROUTE, token="s3cret-t0ken").app)
    body = {"prediction_id": "x", "truth": ["a"]}

    assert client.post("/feedback", json=body).status_code == 401
    with_token = {"X-API-Key": "s3cret-t0ken"}
    assert client.post("/feedback", json=body, headers=with_token).status_code == 404


def test_the_description_tells_of_it(client):
    paths = client.get("/openapi.json").json()["paths"]

    assert set(paths["/feedback"]) == {"post"}
    assert {"202", "404", "422"} <= set(paths["/feedback"]["post"]["responses"])
    (with_id,) = paths["/predict"]["post"]["parameters"]
    assert with_id["name"] == "with_id"


@pytest.mark.parametrize("query", ["with_id=maybe", "with_id=", "with_id=true&with_id=true"])
def test_a_flag_that_is_neither_true_nor_false_is_told(client, query):
    response = client.post(f"/predict?{query}", json={"features": [1.0]})

    assert response.status_code == 400
    assert "Expected true or false" in response.json()["detail"]
