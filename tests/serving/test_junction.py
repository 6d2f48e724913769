from __future__ import annotations

import itertools
from dataclasses import replace

import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

from nbdeploy import ModelService
from nbdeploy.monitoring.scores import ABSOLUTE_ERROR, ACCURACY
from nbdeploy.serving.junction import contest_of
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.traffic import Traffic

ROWS = pd.DataFrame({"customer": ["ana", "ben"], "size": [1.0, 2.0]})


class Constant:
    """Answers its label, whatever is asked."""

    def __init__(self, label, *, fails=False):
        self.label = label
        self.fails = fails

    def predict(self, rows):
        if self.fails:
            message = "no luck"
            raise ArithmeticError(message)
        return [self.label] * len(rows)


def constant(label, **options):
    route = route_from_model(Constant(label), example=ROWS)
    route.model.__init__(label, **options)
    return replace(route, version=label)


def serve(traffic, contest=None):
    service = ModelService(traffic.primary, name="shop", token=None)
    service.set_traffic(traffic, contest or contest_of(traffic))
    return service, TestClient(service.app)


def parted(key="X-Routing-Key", weights=(0.5, 0.5), **options):
    routes = {"a": constant("a"), "b": constant("b", **options)}
    return Traffic.parted(dict(zip(routes, weights, strict=True)), routes, key=key)


def ask(client, customer="ana", headers=None, **beside):
    body = {"features": {"customer": customer, "size": 1.0}, **beside}
    return client.post("/predict", json=body, headers=headers)


def answers(client, **options):
    """What one caller gets, asked ten times."""
    return {ask(client, **options).json()["prediction"][0] for _ in range(10)}


def test_an_answer_carries_the_version_that_gave_it():
    _, client = serve(parted())

    for number in range(50):
        response = ask(client, headers={"X-Routing-Key": str(number)})
        assert response.json()["prediction"] == [response.headers["X-Model-Version"]]


def test_one_key_in_a_header_is_always_answered_by_the_same_version():
    _, client = serve(parted())

    groups = [answers(client, headers={"x-routing-key": str(number)}) for number in range(20)]

    assert all(len(group) == 1 for group in groups)
    assert set.union(*groups) == {"a", "b"}


def test_without_a_key_chance_decides():
    _, client = serve(parted())

    assert set().union(*(answers(client) for _ in range(5))) == {"a", "b"}


@pytest.mark.parametrize(
    "body",
    [
        {"features": {"customer": "{}", "size": 1.0}},
        {"features": ["{}", 1.0]},
        {"features": [["{}", 1.0], ["other", 2.0]]},
        {"features": {"customer": ["{}", "other"], "size": [1.0, 2.0]}},
        {"instances": [{"customer": "{}", "size": 1.0}]},
        [{"customer": "{}", "size": 1.0}],
    ],
    ids=["row", "values", "rows", "columns", "instances", "records"],
)
def test_one_key_in_a_field_of_the_first_row_is_the_same_in_every_shape(body):
    _, client = serve(parted(key="customer"))
    by_header = {}
    for number in range(10):
        name = f"customer {number}"
        response = ask(client, headers={"customer": name})
        by_header[name] = response.headers["X-Model-Version"]

    for name, version in by_header.items():
        filled = _filled(body, name)
        versions = {
            client.post("/predict", json=filled).headers["X-Model-Version"] for _ in range(3)
        }
        assert versions == {version}
    assert set(by_header.values()) == {"a", "b"}


def _filled(part, name):
    if isinstance(part, dict):
        return {key: _filled(value, name) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, name) for value in part]
    return part.format(name) if isinstance(part, str) else part


@pytest.mark.parametrize("same", [[17, 17.0, "17"], [True, "True"]])
def test_a_field_beside_the_rows_is_a_key_and_numbers_are_their_text(same):
    _, client = serve(parted(key="account"))

    for wanted in same:
        versions = set()
        for _ in range(5):
            versions.add(ask(client, account=wanted).headers["X-Model-Version"])
            versions.add(ask(client, headers={"Account": str(same[-1])}).headers["X-Model-Version"])
        assert len(versions) == 1


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_a_field_that_holds_no_name_is_no_key(nothing):
    _, client = serve(parted(key="account"))

    versions = {ask(client, account=nothing).headers["X-Model-Version"] for _ in range(40)}

    assert versions == {"a", "b"}


def test_a_body_that_is_no_json_is_refused_as_ever():
    service, client = serve(parted(key="account"))

    response = client.post("/predict", content=b"{no json")

    assert response.status_code == 400
    assert sum(arm.requests for arm in service.contest.arms().values()) == 0


def test_failures_and_refusals_are_counted_for_the_version_that_had_them():
    service, client = serve(parted(weights=(0, 1), fails=True))

    assert ask(client).status_code == 500
    assert client.post("/predict", json={"features": {"size": 1.0}}).status_code == 422

    arm = service.contest.arms()["b"]
    assert (arm.requests, arm.errors, arm.refused) == (2, 1, 1)
    assert service.contest.arms()["a"].requests == 0
    assert service.monitor.get_statistics()["requests"] == 2


def test_answers_carry_an_id_while_versions_are_tried_and_the_truth_finds_them():
    service, client = serve(parted(weights=(0, 1)))
    response = ask(client)
    prediction_id = response.headers["X-Prediction-ID"]

    told = client.post("/feedback", json={"prediction_id": prediction_id, "truth": ["b"]})

    assert (told.status_code, told.json()) == (202, {"accepted": True})
    scores = service.contest.arms()["b"].scores
    assert (scores.count, scores.mean) == (1, 1.0)


def test_probabilities_are_judged_by_the_likeliest_label():
    X, y = load_iris(return_X_y=True, as_frame=True)
    route = route_from_model(LogisticRegression(max_iter=500).fit(X, y), example=X)
    service = ModelService(route, token=None)
    client = TestClient(service.app)
    row = X.iloc[0].to_dict()
    response = client.post("/predict_proba?with_id=true", json={"features": row})

    told = {"prediction_id": response.headers["X-Prediction-ID"], "truth": int(y[0])}
    assert client.post("/feedback", json=told).status_code == 202

    (arm,) = service.contest.arms().values()
    assert (arm.scores.count, arm.scores.mean) == (1, 1.0)


def test_other_methods_have_no_truth_and_no_id():
    X, y = load_iris(return_X_y=True, as_frame=True)
    route = route_from_model(LogisticRegression(max_iter=500).fit(X, y), example=X)
    client = TestClient(ModelService(route, token=None).app)

    body = {"features": X.iloc[0].to_dict()}
    response = client.post("/decision_function?with_id=true", json=body)

    assert response.status_code == 200
    assert "X-Prediction-ID" not in response.headers


def test_a_service_with_one_version_gives_ids_to_those_who_ask_and_to_nobody_else():
    service = ModelService(constant("a"), token=None)
    client = TestClient(service.app)

    plain = ask(client)
    assert service.contest is None
    body = {"features": {"customer": "ana", "size": 1.0}}
    asked = client.post("/predict?with_id=true", json=body)
    other = client.post("/predict?with_id=false&x=y", json=body)

    assert "X-Prediction-ID" in asked.headers
    assert "X-Prediction-ID" not in {*plain.headers, *other.headers}
    assert service.contest.arms()["a"].requests == 1


def test_a_late_truth_counts_where_the_prediction_was_made():
    traffic = parted(weights=(0, 1))
    contest = contest_of(traffic)
    service, client = serve(traffic, contest)
    prediction_id = ask(client).headers["X-Prediction-ID"]

    service.swap(constant("c"))
    client.post("/feedback", json={"prediction_id": prediction_id, "truth": "b"})

    assert service.contest is None
    assert contest.arms()["b"].scores.count == 1


def test_what_is_served_tells_the_shares_and_the_classes_of_every_version():
    routes = {}
    for labels in (["x", "y"], ["y", "z"]):
        model = DummyClassifier().fit([[0.0], [1.0]], labels)
        name = "".join(labels)
        routes[name] = replace(route_from_model(model), version=name)
    _, client = serve(Traffic.parted({"xy": 3, "yz": 1}, routes))

    info = client.get("/model/info").json()

    assert info["version"] == "xy"
    assert info["shares"] == {"xy": 0.75, "yz": 0.25}
    assert info["classes_by_version"] == {"xy": ["x", "y"], "yz": ["y", "z"]}


def test_labels_are_judged_as_right_and_numbers_by_their_distance():
    numbers = route_from_model(DummyRegressor().fit([[0.0], [1.0]], [1.5, 2.5]))

    assert contest_of(Traffic.to(constant("a"))).metric is ACCURACY
    assert contest_of(Traffic.to(numbers)).metric is ABSOLUTE_ERROR


def test_a_key_falls_otherwise_in_another_service():
    traffic = parted()
    groups = []
    for name in ("shop", "bank"):
        service = ModelService(traffic.primary, name=name, token=None)
        service.set_traffic(traffic, contest_of(traffic))
        client = TestClient(service.app)
        groups.append(
            [
                ask(client, headers={"X-Routing-Key": str(number)}).headers["X-Model-Version"]
                for number in range(40)
            ]
        )

    assert groups[0] != groups[1]


def test_drawing_lots_follows_the_shares():
    traffic = parted(weights=(0.75, 0.25))
    service, client = serve(traffic)
    places = itertools.cycle([0.0, 0.5, 0.7499, 0.75, 0.9999])
    service._junction._draw = lambda: next(places)

    versions = [ask(client).headers["X-Model-Version"] for _ in range(5)]

    assert versions == ["a", "a", "a", "b", "b"]
