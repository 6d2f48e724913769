"""Versions that share the traffic of a service in another process."""

import threading

import httpx2 as httpx
import numpy as np
import pytest
from scaling_tools import of_notebook, wait_until

from nbdeploy import Client, deploy
from nbdeploy.exceptions import PredictionError, RehearsalError, ServingError, VersionError
from nbdeploy.serving.rollout import Guard

NUMBERS = np.array([[1.0, 2.0], [3.0, 4.5]])


def labels(name):
    """Make a model that answers with one label."""
    return of_notebook(lambda rows: [name] * len(rows))


def failing(rows):
    if len(rows) == 1:
        message = "not today"
        raise ValueError(message)
    return ["b"] * len(rows)


@pytest.fixture
def service():
    with deploy(labels("a"), name="parted", example=NUMBERS, where="process") as service:
        yield service


def versions_of(service, count=60, **headers):
    """Ask so many times, and list the versions that answered."""
    seen = []
    with httpx.Client() as client:
        for number in range(count):
            headers = {"X-Routing-Key": f"caller {number}"}
            body = {"features": [[1.0, 2.0]]}
            answer = client.post(f"{service.url}/predict", json=body, headers=headers)
            assert answer.status_code == 200
            seen.append((answer.headers["X-Model-Version"], answer.json()["prediction"][0]))
    return seen


def test_models_share_the_traffic_by_key_and_are_compared(service):
    traffic = service.split({"one": labels("a"), "two": labels("b")}, weights=[0.5, 0.5])

    first, again = versions_of(service), versions_of(service)

    assert traffic.shares == {"one": 0.5, "two": 0.5}
    assert first == again
    assert set(first) == {("one", "a"), ("two", "b")}
    with Client(service.url) as client:
        for _ in range(30):
            predictions, prediction_id = client.predict([[1.0, 2.0]], with_id=True)
            client.feedback(prediction_id, ["b"])
            assert predictions[0] in "ab"
    counts = {each.version: each for each in service.compare().versions}
    assert sum(each.requests for each in counts.values()) == 150
    assert (counts["one"].metric, counts["two"].metric) == (0.0, 1.0)


def test_what_was_before_comes_back(service):
    before = service.rollout(labels("b"))
    assert before.is_live
    assert {label for _, label in versions_of(service, 3)} == {"b"}

    service.rollback()

    assert {label for _, label in versions_of(service, 3)} == {"a"}
    with pytest.raises(VersionError, match="no traffic before it"):
        service.rollback()


def test_a_shadow_sees_everything_and_answers_nobody(service):
    service.shadow(labels("b"))

    assert {label for _, label in versions_of(service, 20)} == {"a"}
    wait_until(lambda: service.compare().shadow.requests == 20)
    report = service.compare().shadow
    assert (report.agreed, report.pairs) == (0, (("a", "b", 20),))
    service.shadow(None)
    assert service.service.route.version == service.rollback().primary.version


def test_a_rollout_moves_on_by_itself(service):
    rollout = service.rollout(
        labels("b"), steps=[0.5, 1], guard=Guard(min_requests=5, max_error_rate=0.5)
    )
    assert not rollout.is_live
    over = threading.Event()

    def ask():
        while not over.is_set():
            versions_of(service, 5)

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        rollout.wait(20)
    finally:
        over.set()
        caller.join()

    assert rollout.is_live
    assert {label for _, label in versions_of(service, 5)} == {"b"}


def test_a_rollout_that_fails_goes_back_by_itself(service):
    rollout = service.rollout(
        of_notebook(failing), steps=[0.5, 1], guard=Guard(min_requests=2, max_error_rate=0.1)
    )
    failed = 0
    with Client(service.url) as client:
        for number in range(200):
            try:
                client.predict([[1.0, 2.0]], headers={"X-Routing-Key": str(number)})
            except PredictionError:
                failed += 1
            if failed > 3:
                break
    rollout.wait(20)

    assert rollout.state == "rolled back"
    assert {label for _, label in versions_of(service, 5)} == {"a"}


def test_who_would_answer_otherwise_does_not_get_in(service):
    with pytest.raises(RehearsalError):
        service.rollout(of_notebook(lambda rows: [[1.0, 2.0]] * len(rows)))
    with pytest.raises(ServingError, match="nothing to compare"):
        service.compare()

    assert {label for _, label in versions_of(service, 3)} == {"a"}


def test_a_model_that_is_deployed_again_takes_all_and_replicas_know_every_version(service):
    service.split({"one": labels("a"), "two": labels("b")}, weights=[0.5, 0.5])
    service.scale(1)
    assert set(versions_of(service, 20)) == {("one", "a"), ("two", "b")}

    again = deploy(labels("c"), name="parted", example=NUMBERS, where="process")

    assert again is service
    assert {label for _, label in versions_of(service, 5)} == {"c"}
    service.rollback()
    assert set(versions_of(service, 20)) == {("one", "a"), ("two", "b")}
