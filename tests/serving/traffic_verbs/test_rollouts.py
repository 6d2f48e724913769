"""Rollout and rollback, as a data scientist calls them."""

from __future__ import annotations

import threading
import time

import httpx2
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import ModelSerializer, deploy
from nbdeploy.exceptions import (
    CorruptedModelError,
    NbdeployError,
    RehearsalError,
    UnfittedModelError,
    VersionError,
)
from tests.serving.traffic_verbs.iris_versions import X, constant, ends, version_of, y


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
        assert ends(lambda before=before: len(seen) >= before + 10, 30)
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
