"""Shadow and compare, as a data scientist calls them."""

from __future__ import annotations

import time

import pytest
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import deploy
from nbdeploy.exceptions import ServingError
from nbdeploy.serving.rollout import Guard
from tests.serving.traffic_verbs.iris_versions import (
    X,
    ask,
    constant,
    ends,
    has_no_shadow,
    version_of,
    y,
)


def test_a_shadow_sees_everything_and_answers_nobody(service, good, shy):
    old = version_of(service)

    service.shadow(shy)
    versions = {version_of(service) for _ in range(10)}
    ask(service, 140)

    assert versions == {old}
    assert ends(lambda: service.compare().shadow.requests == 150)
    report = service.compare().shadow
    assert (report.errors, report.dropped) == (0, 0)
    assert 0.6 < report.agreement < 0.8
    assert service.stats()["requests"] == 151
    assert repr(service.shadow(None)) == f"<Traffic: {old} 100 %>"
    assert ends(has_no_shadow)
    # The report stays readable.
    assert service.compare().shadow.requests == 150


def test_a_slow_or_failing_shadow_costs_the_caller_nothing():
    class Slow:
        n_features_in_ = 1

        def predict(self, rows):
            time.sleep(0.3)
            message = "and then it fails"
            raise RuntimeError(message)

    service = deploy(constant("a"), name="shadowed", example=[[0.0], [1.0]])
    slow = Slow()
    slow.predict, patient = (lambda rows: ["a"] * len(rows)), slow.predict
    route = service._make_route(constant("b"))
    object.__setattr__(route, "compiled", None)
    route.predictor.call = lambda method, rows: patient(rows)
    service._desk.shadow(route)

    began = time.monotonic()
    answers = [service.predict([[1.0]]) for _ in range(20)]
    took = time.monotonic() - began

    assert answers == [["a"]] * 20
    assert took < 20 * 0.3 / 2
    assert ends(lambda: service.compare().shadow.errors >= 1)
    assert service.stats()["errors"] == 0


def test_a_shadow_follows_a_split_and_a_shadow_of_who_answers_is_refused(service, good, shy):
    service.split({"a": good, "b": shy})
    ask(service, 20)
    third = DecisionTreeClassifier(max_depth=2).fit(X, y)

    traffic = service.shadow(third)
    ask(service, 20)

    assert traffic.shadow is not None
    assert sum(each.requests for each in service.compare().versions) == 40
    assert ends(lambda: service.compare().shadow.requests == 20)
    with pytest.raises(ServingError, match="'b' answers already"):
        service.shadow("b")


def test_a_shadow_goes_on_when_a_canary_moves(service, good, shy):
    service.shadow(DecisionTreeClassifier(max_depth=2).fit(X, y))
    rollout = service.rollout(shy, steps=[0.5, 1], guard=Guard(min_requests=5))
    while not rollout.is_live:
        ask(service, 5)
    ask(service, 20)

    assert service._desk.traffic.shadow is not None
    assert ends(lambda: service.compare().shadow.requests >= 20)
