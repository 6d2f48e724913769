"""Rollout, rollback, split, shadow and compare, as a data scientist calls them."""

from __future__ import annotations

import threading
import time

import httpx2
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Client, ModelSerializer, deploy, stop_all
from nbdeploy.exceptions import (
    CorruptedModelError,
    NbdeployError,
    RehearsalError,
    ServingError,
    SignatureError,
    StoppedError,
    UnfittedModelError,
    UnknownPredictionError,
    VersionError,
)
from nbdeploy.serving.rollout import Guard

X, y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    stop_all()
    assert _ends(_has_no_shadow)


def _has_no_shadow():
    return all(thread.name != "nbdeploy-shadow" for thread in threading.enumerate())


def _ends(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(scope="module")
def good():
    return LogisticRegression(max_iter=500).fit(X, y)


@pytest.fixture(scope="module")
def shy():
    return DecisionTreeClassifier(max_depth=1).fit(X, y)


@pytest.fixture
def service(good):
    return deploy(good, name="iris", example=X)


def constant(label):
    return DummyClassifier(strategy="constant", constant=label).fit([[0.0], [1.0]], [label] * 2)


def version_of(service, rows=None):
    body = {"features": [5.1, 3.5, 1.4, 0.2] if rows is None else rows}
    response = httpx2.post(f"{service.url}/predict", json=body)
    assert response.status_code == 200
    return response.headers["X-Model-Version"]


def ask(service, times, **options):
    with Client(service.url) as client:
        return [client.predict(X.iloc[[number % 150]], **options) for number in range(times)]


class Unloadable:
    """Can be saved; raises when it is loaded."""

    n_features_in_ = 1

    def predict(self, rows):
        return ["?"] * len(rows)

    def __reduce__(self):
        return _raise, ()


def _raise():
    message = "cannot be loaded"
    raise RuntimeError(message)


class Unwarmable:
    """Loads, and cannot answer a single row."""

    n_features_in_ = 1

    def predict(self, rows):
        message = "cannot be warmed"
        raise RuntimeError(message)


# --- rollout and rollback


def test_a_rollout_takes_over_and_a_rollback_brings_the_old_back(service, shy):
    old = version_of(service)
    url = service.url

    rollout = service.rollout(shy)

    assert rollout.is_live
    assert version_of(service) == rollout.version != old
    assert "of 30 example rows" in repr(rollout)
    assert repr(service.rollback()) == f"<Traffic: {old} 100 %>"
    assert version_of(service) == old
    assert service.url == url


def test_rolling_back_goes_further_back_each_time(service, good, shy):
    first = version_of(service)
    second = service.rollout(shy).version
    service.split({first: 0.5, second: 0.5})
    service.rollout(DecisionTreeClassifier(max_depth=2).fit(X, y))

    assert service.rollback().shares == {first: 0.5, second: 0.5}
    assert service.rollback().shares == {second: 1.0}
    assert service.rollback().shares == {first: 1.0}
    with pytest.raises(VersionError, match="the first that is remembered"):
        service.rollback()
    assert version_of(service) == first


def test_deploying_again_under_the_same_name_can_be_undone_too(service, shy):
    old = version_of(service)

    deploy(shy, name="iris", example=X)
    deploy(shy, name="iris", example=X)

    assert version_of(service) != old
    assert service.rollback().shares == {old: 1.0}


def test_a_version_that_was_live_is_rolled_out_by_its_name(service, shy):
    old = version_of(service)
    service.rollout(shy)

    assert service.rollout(old).is_live

    assert version_of(service) == old


def test_what_is_live_is_live_already(service, good):
    rollout = service.rollout(good)

    assert repr(rollout) == f"<Rollout of {rollout.version}: live: it was live already>"
    with pytest.raises(VersionError):
        service.rollback()


def test_a_saved_model_is_rolled_out_by_its_path(service, shy, tmp_path):
    path = tmp_path / "shy.joblib"
    ModelSerializer.save_model(shy, path, example=X)

    assert service.rollout(path).is_live
    assert service.rollout(service.rollback().primary.version).is_live
    assert service.rollout(str(path)).is_live


def test_a_version_that_is_unknown_is_told_with_a_near_miss(service, good, shy):
    service.split({"1.0": good, "1.1": shy})

    with pytest.raises(VersionError, match=r"no version '1\.2'. Did you mean '1\.[01]'") as caught:
        service.rollout("1.2")

    assert "stays live" in caught.value.__notes__[0]


def test_missing_values_that_the_live_version_takes_are_taken_after_a_rollout():
    # Only row 900 of the example is empty: the few rows that are kept do not show it.
    frame = pd.DataFrame({"size": np.arange(1000.0), "kind": ["a", "b"] * 500})
    frame.loc[901, "size"] = np.nan

    def small(rows):
        return ["small"] * len(rows)

    def large(rows):
        return ["large"] * len(rows)

    service = deploy(small, name="sizes", example=frame)
    service.rollout(large)

    assert service.predict(pd.DataFrame({"size": [np.nan], "kind": ["b"]})).tolist() == ["large"]


def test_without_a_stored_example_the_made_up_row_is_rehearsed(good, shy):
    service = deploy(good, name="private", example=X, store_example=False)

    assert "of 1 example rows" in repr(service.rollout(shy))
    assert service._traffic.example is None


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (LogisticRegression(), UnfittedModelError),
        (LogisticRegression(max_iter=500).fit(X.iloc[:, :2], y), RehearsalError),
        (LogisticRegression(max_iter=500).fit(X, load_iris().target_names[y]), RehearsalError),
        ("no/such/file.joblib", FileNotFoundError),
    ],
    ids=["unfitted", "other columns", "other answers", "no file"],
)
def test_on_any_failure_the_old_one_stays_and_the_error_says_why(service, model, error):
    old = version_of(service)

    with pytest.raises(error) as caught:
        service.rollout(model)

    assert caught.value.__notes__ == [f"{old!r} stays live."]
    assert version_of(service) == old
    with pytest.raises(VersionError):
        service.rollback()


def test_a_corrupted_file_is_not_rolled_out(service, shy, tmp_path):
    path = tmp_path / "shy.joblib"
    ModelSerializer.save_model(shy, path, example=X)
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(CorruptedModelError):
        service.rollout(path)


def roll_under_load(turns):
    """Roll out under 50 requests a second; return what the callers saw."""
    models = [constant(label) for label in ("a", "b", "c")]
    service = deploy(models[0], name="busy")
    labels, seen, wrong = {}, [], []
    stop = threading.Event()

    def ask(number):
        with httpx2.Client(base_url=service.url, verify=False) as client:
            next_at = time.monotonic() + number * 0.02
            while not stop.wait(max(0.0, next_at - time.monotonic())):
                next_at += 0.1
                response = client.post("/predict", json={"features": [1.0]})
                if response.status_code != 200:
                    wrong.append(response.text)
                    continue
                (label,) = response.json()["prediction"]
                version = response.headers["X-Model-Version"]
                seen.append(version)
                if labels.setdefault(version, label) != label:
                    wrong.append((version, label))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    refused = 0
    for turn in range(turns):
        before = len(seen)
        assert _ends(lambda before=before: len(seen) >= before + 10, 30)
        broken = {3: Unloadable(), 7: Unwarmable()}.get(turn % 10)
        try:
            service.rollout(broken or models[(turn + 1) % 3])
        except NbdeployError:
            refused += 1
            assert broken is not None
    stop.set()
    for thread in threads:
        thread.join()
    return labels, seen, wrong, refused, service.stats()


def check_rolled(turns, broken):
    labels, seen, wrong, refused, stats = roll_under_load(turns)

    assert wrong == []
    assert stats["errors"] == 0
    assert refused == broken
    assert sorted(labels.values()) == ["a", "b", "c"]
    assert len(seen) >= 10 * turns


def test_rolling_out_under_load_loses_no_request_and_mixes_no_two_versions():
    check_rolled(turns=8, broken=2)


@pytest.mark.acceptance
def test_twenty_rollouts_under_load_lose_no_request():
    check_rolled(turns=20, broken=4)


@pytest.mark.parametrize(
    ("model", "error"), [(Unloadable(), NbdeployError), (Unwarmable(), RehearsalError)]
)
def test_a_model_that_cannot_be_loaded_or_warmed_never_takes_traffic(model, error):
    service = deploy(constant("a"), name="kept")

    with pytest.raises(error, match=r"cannot be loaded|raised RuntimeError"):
        service.rollout(model)

    assert service.predict([[1.0]]) == ["a"]
    assert service.stats()["errors"] == 0


# --- step by step


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


# --- split and compare


def test_a_split_answers_each_share_and_keeps_a_key_with_its_version(service, good, shy):
    traffic = service.split({"a": good, "b": shy}, weights=[0.9, 0.1])
    url = f"{service.url}/predict"
    body = {"features": [5.1, 3.5, 1.4, 0.2]}
    versions = {}
    with httpx2.Client(verify=False) as client:
        for number in [*range(400), *range(400)]:
            headers = {"X-Routing-Key": f"customer {number}"}
            version = client.post(url, json=body, headers=headers).headers["X-Model-Version"]
            assert versions.setdefault(number, version) == version

    assert traffic.shares == {"a": 0.9, "b": 0.1}
    assert 15 <= sum(version == "b" for version in versions.values()) <= 70


def test_the_truth_tells_who_is_better(service, good, shy):
    service.split({"good": good, "shy": shy})
    with Client(service.url) as client:
        for number in range(450):
            row = number % 150
            predictions, prediction_id = client.predict(X.iloc[[row]], with_id=True)
            assert isinstance(predictions, pd.Series)
            assert client.feedback(prediction_id, y.iloc[[row]])
            assert not client.feedback(prediction_id, [0])

    comparison = service.compare()

    assert comparison.verdict.startswith("good is better than shy: its accuracy is higher")
    assert sum(each.truths for each in comparison.versions) == 450
    assert sum(each.requests for each in comparison.versions) == 450


def test_a_truth_about_nothing_is_an_error_in_python(service):
    with Client(service.url) as client:
        with pytest.raises(UnknownPredictionError):
            client.feedback("made up", [0])
        _, prediction_id = client.predict(X.head(2), with_id=True)
        with pytest.raises(SignatureError, match="1 truths for 2 predicted rows"):
            client.feedback(prediction_id, 0)
        assert client.feedback(prediction_id, np.array([0.0, np.nan]))
    assert service.compare().versions[0].truths == 1


def test_probabilities_of_each_version_have_its_own_labels(service):
    small = LogisticRegression(max_iter=500).fit(X[:100], y[:100])
    service.split({"three": service.service.model, "two": small}, key="who")

    with Client(service.url) as client:
        shapes = {
            client.predict_proba(X.head(2), headers={"who": str(number)}).columns.size
            for number in range(20)
        }

    assert shapes == {2, 3}


def test_versions_of_the_past_are_split_by_their_name(service, shy):
    old = version_of(service)
    new = service.rollout(shy).version

    traffic = service.split({old: 1, new: 3}, key="customer")

    assert repr(traffic) == f"<Traffic: {old} 25 %, {new} 75 %, by customer>"


@pytest.mark.parametrize(
    ("versions", "weights", "says"),
    [
        ({}, None, "No versions"),
        ({"a": 0.5, "b": 0.5}, None, "no version 'a'"),
        ({"a": "good", "b": "shy"}, [1], "1 shares for 2 versions"),
        ({"a": "good", "b": "shy"}, {"a": 1, "c": 1}, "names"),
        ({"a": "good", "b": "shy"}, [0, 0], "No version has a share"),
        ({"a": "good", "b/c": "shy"}, None, "is no name"),
        ({"a": "good", "b\r\nX-Evil: 1": "shy"}, None, "is no name"),
    ],
)
def test_a_split_that_cannot_be_is_refused_and_nothing_changes(
    service, good, shy, versions, weights, says
):
    old = version_of(service)
    models = {"good": good, "shy": shy}

    with pytest.raises(NbdeployError, match=says):
        service.split(
            {name: models.get(value, value) for name, value in versions.items()}, weights=weights
        )

    assert version_of(service) == old


def test_the_card_tells_that_several_versions_are_tried(service, good, shy):
    assert "tried" not in str(service)

    service.split({"a": good, "b": shy}, weights=[9, 1])

    note = "Several versions are tried: a 90 %, b 10 %, by X-Routing-Key."
    assert note in str(service)
    assert note in service.to_html()
    service.rollback()
    assert "tried" not in str(service)


def test_what_was_compared_is_kept_when_the_address_changes(service, good, shy):
    service.split({"a": good, "b": shy})
    ask(service, 10)

    deploy(good, name="iris", example=X, timeout=5.0)

    assert sum(each.requests for each in service.compare().versions) == 10


def test_before_anything_was_tried_there_is_nothing_to_compare(service):
    with pytest.raises(ServingError, match="nothing to compare"):
        service.compare()


def test_a_stopped_service_says_so(service, good):
    service.stop()

    for call in (service.rollback, service.compare, lambda: service.rollout(good)):
        with pytest.raises(StoppedError):
            call()


# --- shadow


def test_a_shadow_sees_everything_and_answers_nobody(service, good, shy):
    old = version_of(service)

    service.shadow(shy)
    versions = {version_of(service) for _ in range(10)}
    ask(service, 140)

    assert versions == {old}
    assert _ends(lambda: service.compare().shadow.requests == 150)
    report = service.compare().shadow
    assert (report.errors, report.dropped) == (0, 0)
    assert 0.6 < report.agreement < 0.8
    assert service.stats()["requests"] == 151
    assert repr(service.shadow(None)) == f"<Traffic: {old} 100 %>"
    assert _ends(_has_no_shadow)
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
    assert _ends(lambda: service.compare().shadow.errors >= 1)
    assert service.stats()["errors"] == 0


def test_a_shadow_follows_a_split_and_a_shadow_of_who_answers_is_refused(service, good, shy):
    service.split({"a": good, "b": shy})
    ask(service, 20)
    third = DecisionTreeClassifier(max_depth=2).fit(X, y)

    traffic = service.shadow(third)
    ask(service, 20)

    assert traffic.shadow is not None
    assert sum(each.requests for each in service.compare().versions) == 40
    assert _ends(lambda: service.compare().shadow.requests == 20)
    with pytest.raises(ServingError, match="'b' answers already"):
        service.shadow("b")


def test_a_shadow_goes_on_when_a_canary_moves(service, good, shy):
    service.shadow(DecisionTreeClassifier(max_depth=2).fit(X, y))
    rollout = service.rollout(shy, steps=[0.5, 1], guard=Guard(min_requests=5))
    while not rollout.is_live:
        ask(service, 5)
    ask(service, 20)

    assert service._desk.traffic.shadow is not None
    assert _ends(lambda: service.compare().shadow.requests >= 20)
