from __future__ import annotations

import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

from nbdeploy import ModelVersionControl, deploy

WINES, GROWERS = load_wine(return_X_y=True, as_frame=True)


def forest(trees=30, depth=None, wines=WINES):
    return RandomForestClassifier(trees, max_depth=depth, random_state=0).fit(wines, GROWERS)


@pytest.fixture(autouse=True)
def own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def versions(tmp_path):
    return ModelVersionControl(tmp_path / "wine")


@pytest.fixture
def released(versions):
    """Version 1.1 was live, then a colleague released a bad one."""
    for name, model in (("1.1", forest()), ("1.2", forest(1, depth=1))):
        versions.save_model_version(model, name, example=WINES)
        versions.set_alias("production", name)
    return versions


def release_candidate(versions, model, metrics, name="2.0"):
    versions.save_model_version(model, name, metrics)
    versions.set_alias("candidate", name)


@pytest.mark.parametrize("wines", [WINES, WINES.iloc[:, :7], WINES.to_numpy()], ids=range(3))
def test_a_good_version_under_the_alias_passes(versions, verdict, wines):
    release_candidate(versions, forest(wines=wines), {"accuracy": 0.99})
    out = verdict("02.1", versions)
    assert "Step 02.1 passed: version 2.0 is the candidate" in out


def test_a_version_without_the_alias_is_noticed(versions, verdict):
    versions.save_model_version(forest(), "2.0", {"accuracy": 0.99})
    out = verdict("02.1", versions)
    assert "Expected: a version with the alias 'candidate'" in out
    assert "There is no version 'candidate'" in out


def test_an_alias_at_another_version_is_noticed(versions, verdict):
    release_candidate(versions, forest(), {"accuracy": 0.99}, name="1.0")
    assert "Came:     the alias at version '1.0'" in verdict("02.1", versions)


@pytest.mark.parametrize("metrics", [None, {"auc": 0.9}, {"accuracy": "high"}], ids=range(3))
def test_a_missing_metric_is_noticed(versions, verdict, metrics):
    release_candidate(versions, forest(), metrics)
    out = verdict("02.1", versions)
    assert "Expected: a version with the metric 'accuracy'" in out


def test_a_bad_model_is_noticed_whatever_its_metric_says(versions, verdict):
    release_candidate(versions, forest(1, depth=1), {"accuracy": 0.99})
    assert "Came:     6" in verdict("02.1", versions)


def test_a_bad_metric_is_noticed_whatever_the_model_does(versions, verdict):
    release_candidate(versions, forest(), {"accuracy": 0.5})
    assert "Came:     50% (the metric that you saved)" in verdict("02.1", versions)


def test_something_else_than_versions_is_noticed(verdict):
    assert "Came:     the text 'work/02/wine'" in verdict("02.1", "work/02/wine")


def test_alias_and_service_back_pass(released, verdict):
    released.rollback("production")
    service = deploy(released["production"], name="wine")
    out = verdict("02.2", released, service)
    assert "Step 02.2 passed: version 1.1 is production again, and it answers." in out


def test_a_service_with_a_token_can_be_asked(released, verdict):
    released.rollback("production")
    service = deploy(released["production"], name="wine", token="secret")
    assert "passed" in verdict("02.2", released, service)


def test_an_alias_alone_is_noticed(released, verdict):
    service = deploy(released["production"], name="wine")
    released.rollback("production")
    out = verdict("02.2", released, service)
    assert "Expected: answers of version '1.1'" in out
    assert "Came:     answers of version '1.2'" in out


def test_a_service_alone_is_noticed(released, verdict):
    service = deploy(released["1.1"], name="wine")
    out = verdict("02.2", released, service)
    assert "Came:     the alias at version '1.2'; its last move was a 'set'" in out


def test_a_stopped_service_is_noticed(released, verdict):
    released.rollback("production")
    service = deploy(released["production"], name="wine")
    service.stop()
    assert "Came:     the service 'wine', which was stopped" in verdict("02.2", released, service)


def test_no_release_at_all_is_noticed(versions, verdict):
    versions.save_model_version(forest(), "1.0")
    out = verdict("02.2", versions, None)
    assert "Expected: a version with the alias 'production'" in out
