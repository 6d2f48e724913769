"""The traffic of a service and the versions of a registry: one vocabulary."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Client, ModelVersionControl, deploy, stop_all
from nbdeploy.exceptions import CorruptedModelError, RehearsalError, ServingError, VersionError
from nbdeploy.serving.rollout import Guard

X, y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    stop_all()


@pytest.fixture
def versions(tmp_path):
    versions = ModelVersionControl(tmp_path / "iris")
    good = LogisticRegression(max_iter=500).fit(X, y)
    shy = DecisionTreeClassifier(max_depth=1).fit(X, y)
    versions.save_model_version(good, "1.0", {"accuracy": 0.97}, example=X)
    versions.save_model_version(shy, "1.1", {"accuracy": 0.67}, example=X)
    versions.set_alias("production", "1.0")
    return versions


@pytest.fixture
def service(versions):
    return deploy(versions["1.0"], name="iris")


def version_of(service):
    response = httpx2.post(f"{service.url}/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
    assert response.status_code == 200
    return response.headers["X-Model-Version"]


def ask(service, times):
    with Client(service.url) as client:
        for number in range(times):
            client.predict(X.iloc[[number % 150]])


def test_versions_of_the_deployed_folder_go_by_their_names(service):
    assert version_of(service) == "1.0"

    rollout = service.rollout("1.1")

    assert repr(rollout) == (
        "<Rollout of 1.1: live: it agreed with the version before on 32 of 32 example rows>"
    )
    assert version_of(service) == "1.1"
    assert repr(service.rollback()) == "<Traffic: 1.0 100 %>"
    assert version_of(service) == "1.0"


def test_a_version_itself_is_taken_too_and_an_alias_means_its_version(service, versions):
    service.rollout(versions["1.1"])
    assert version_of(service) == "1.1"

    assert service.rollout("production").version == "1.0"

    assert version_of(service) == "1.0"


def test_after_one_version_of_a_registry_all_others_have_names(versions):
    service = deploy(LogisticRegression(max_iter=500).fit(X, y), name="iris", example=X)
    with pytest.raises(VersionError, match=r"no version '1\.1'"):
        service.rollout("1.1")

    service.rollout(versions["1.0"])

    assert service.rollout("1.1").is_live


def test_a_split_a_shadow_and_a_comparison_by_name(service):
    traffic = service.split({"1.0": 0.9, "1.1": 0.1})
    ask(service, 50)

    assert repr(traffic) == "<Traffic: 1.0 90 %, 1.1 10 %, by X-Routing-Key>"
    assert [each.version for each in service.compare().versions] == ["1.0", "1.1"]
    service.rollback()
    assert repr(service.shadow("1.1")) == "<Traffic: 1.0 100 %, shadow 1.1>"


def test_one_version_under_two_names_is_no_split(service):
    with pytest.raises(ServingError, match="are the same version"):
        service.split({"production": 0.5, "1.0": 0.5})


def test_the_alias_follows_the_rollout_and_the_rollback(service, versions):
    service.rollout("1.1", alias="production")
    assert versions.aliases == {"production": "1.1"}

    service.rollback()

    assert versions.aliases == {"production": "1.0"}
    whys = [change.why for change in versions.history("production")]
    assert whys[-2:] == ["rolled out in iris", "rolled back in iris"]


def test_an_alias_that_was_new_is_gone_after_the_rollback(service, versions):
    service.rollout("1.1", alias="canary")
    assert versions.aliases["canary"] == "1.1"

    service.rollback()

    assert "canary" not in versions.aliases


def test_an_alias_that_somebody_moved_since_stays(service, versions):
    service.rollout("1.1", alias="production")
    versions.save_model_version(DecisionTreeClassifier().fit(X, y), "1.2", example=X)
    versions.set_alias("production", "1.2")

    service.rollback()

    assert versions.aliases["production"] == "1.2"


def test_the_alias_moves_when_the_last_step_is_live_and_not_before(service, versions):
    guard = Guard(min_requests=5)
    rollout = service.rollout("1.1", steps=[0.5, 1], guard=guard, alias="production")
    assert versions.aliases["production"] == "1.0"

    while not rollout.is_live:
        ask(service, 5)
    rollout.wait(5)

    assert versions.aliases["production"] == "1.1"
    service.rollback()
    assert versions.aliases["production"] == "1.0"


def test_an_aborted_rollout_leaves_the_alias_alone(service, versions):
    rollout = service.rollout("1.1", steps=[0.5, 1], alias="production")

    rollout.abort()

    assert versions.aliases["production"] == "1.0"


@pytest.mark.parametrize("alias", ["1.0", "1.1"])
def test_an_alias_that_is_a_version_is_refused_before_anything_moves(service, versions, alias):
    with pytest.raises(VersionError, match="is the name of a version"):
        service.rollout("1.1", alias=alias)

    assert version_of(service) == "1.0"


def test_an_alias_needs_a_saved_version(service):
    with pytest.raises(VersionError, match="needs a version of a registry"):
        service.rollout(LogisticRegression(max_iter=500).fit(X, y), alias="production")

    assert version_of(service) == "1.0"


def test_another_content_under_the_same_name_is_loaded_anew(service, versions):
    service.rollout("1.1")
    versions.save_model_version(
        DecisionTreeClassifier(max_depth=2).fit(X, y), "1.1", example=X, replace=True
    )

    rollout = service.rollout("1.1")

    assert "already" not in repr(rollout)
    assert service.service.route.digest == versions["1.1"].digest


def test_a_version_that_is_corrupted_or_does_not_fit_leaves_the_live_one(service, versions):
    with Path(versions["1.1"].path).open("r+b") as file:
        file.seek(100)
        file.write(b"oops")
    half = X.iloc[:, :2]
    versions.save_model_version(LogisticRegression().fit(half, y), "2.0", example=half)

    with pytest.raises(CorruptedModelError) as corrupted:
        service.rollout("1.1")
    with pytest.raises(RehearsalError, match=r"'2\.0' does not take traffic, '1\.0' stays"):
        service.rollout("2.0")

    assert corrupted.value.__notes__ == ["'1.0' stays live."]
    assert version_of(service) == "1.0"
