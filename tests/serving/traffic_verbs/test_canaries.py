"""A rollout in steps: it moves on, or goes back, by itself."""

from __future__ import annotations

import httpx2
import numpy as np
import pytest

from nbdeploy import Client, deploy
from nbdeploy.exceptions import ServingError
from nbdeploy.serving.rollout import Guard
from tests.serving.traffic_verbs.iris_versions import X, ask, constant, version_of, y


def test_a_canary_moves_on_by_itself(service, good, shy):
    old = version_of(service)

    rollout = service.rollout(shy, steps=[0.2, 0.6, 1], guard=Guard(min_requests=10))
    assert rollout.state == "running"
    assert service.service.info()["shares"] == {old: 0.8, rollout.version: 0.2}
    for _ in range(50):
        if rollout.is_live:
            break
        ask(service, 10)

    assert rollout.wait(1).is_live
    assert version_of(service) == rollout.version
    assert service.service.inference.junction is None
    assert [each.version for each in service.compare().versions] == [old, rollout.version]
    assert service.rollback().shares == {old: 1.0}


class FailsOnLarge:
    """Answers the rehearsal, and fails on what comes later."""

    n_features_in_ = 1

    def predict(self, rows):
        if (np.asarray(rows, dtype=float) > 100).any():
            message = "too large"
            raise ValueError(message)
        return ["b"] * len(rows)


def test_a_canary_that_fails_goes_back_by_itself():
    service = deploy(constant("a"), name="canary", example=[[0.0], [1.0]])

    rollout = service.rollout(FailsOnLarge(), steps=[0.5, 1], guard=Guard(min_requests=20))
    statuses = [
        httpx2.post(f"{service.url}/predict", json={"features": [500.0]}).status_code
        for _ in range(60)
    ]

    assert rollout.wait(1).state == "rolled back"
    assert "it failed 2 of 2 requests" in rollout.reason
    assert statuses.count(500) == 2
    assert service.predict([[500.0]]) == ["a"]
    assert "a" in service.compare().to_text()


def test_a_canary_whose_metric_is_worse_goes_back(service, good, shy):
    old = version_of(service)
    guard = Guard(min_requests=1000, metric=0.05)
    rollout = service.rollout(shy, steps=[0.5, 1], guard=guard)

    with Client(service.url) as client:
        for number in range(900):
            row = number % 150
            _, prediction_id = client.predict(X.iloc[[row]], with_id=True)
            client.feedback(prediction_id, [int(y[row])])
            if rollout.state != "running":
                break

    assert rollout.state == "rolled back"
    assert "its accuracy is worse by at least" in rollout.reason
    assert version_of(service) == old


def test_nothing_else_changes_the_traffic_while_a_rollout_is_on_its_way(service, good, shy):
    old = version_of(service)
    rollout = service.rollout(shy, steps=[0.5, 1])

    for change in (
        lambda: service.rollout(good),
        lambda: service.split({"a": good, "b": shy}),
        lambda: service.shadow(good),
    ):
        with pytest.raises(ServingError, match="is being rolled out"):
            change()
    rollout.abort()

    assert rollout.state == "aborted"
    assert version_of(service) == old
    assert service.rollout(shy).is_live


@pytest.mark.parametrize("end", ["rollback", "deploy", "stop"])
def test_a_rollout_on_its_way_ends_when_something_else_decides(service, good, shy, end):
    rollout = service.rollout(shy, steps=[0.5, 1])

    if end == "rollback":
        service.rollback()
    elif end == "deploy":
        deploy(good, name="iris", example=X)
    else:
        service.stop()

    assert rollout.wait(1).state == "aborted"
    if end != "stop":
        assert service.service.info()["shares"] == {version_of(service): 1.0}


def test_steps_need_two_names(service, good, shy):
    service.split({"1.0": good, "1.1": shy}, weights=[1, 0])
    service.rollout("1.0")

    service.split({"1.0": shy})
    with pytest.raises(ServingError, match="save the new one under another version"):
        service._desk.rollout(service._desk._history[1].traffic.routes[0], steps=[0.5, 1])
