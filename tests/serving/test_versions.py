"""A version is served under its own name: every answer says which one it is."""

from __future__ import annotations

import httpx2
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from starlette.testclient import TestClient

from nbdeploy import ModelService, ModelVersionControl, deploy, stop_all
from nbdeploy.exceptions import SignatureError, UntrustedModelError
from nbdeploy.serving.routing import route_from_version

ROWS = pd.DataFrame({"age": [20.0, 30.0, 40.0]})


@pytest.fixture(autouse=True)
def own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "config"))
    yield
    stop_all()


@pytest.fixture
def versions(tmp_path):
    versions = ModelVersionControl(tmp_path / "churn")
    for name, slope in (("1.0", 1.0), ("1.1", 2.0)):
        model = LinearRegression().fit(ROWS, slope * ROWS["age"])
        versions.save_model_version(model, name, example=ROWS)
    versions.set_alias("production", "1.0")
    return versions


def asked(service):
    response = httpx2.post(f"{service.url}/predict", json={"features": {"age": 20.0}})
    return response.headers["X-Model-Version"], round(response.json()["prediction"][0], 6)


def test_answers_carry_the_version_and_another_one_takes_its_place(versions):
    service = deploy(versions["1.0"])
    assert service.name == "churn"
    assert asked(service) == ("1.0", 20.0)

    again = deploy(versions["1.1"])
    assert again is service
    assert asked(service) == ("1.1", 40.0)
    assert asked(deploy(versions["production"])) == ("1.0", 20.0)
    assert service.service.info()["digest"] == versions["1.0"].digest


def test_a_version_takes_a_name_of_its_own(versions):
    service = deploy(versions["1.0"], name="wages")
    assert service.name == "wages"
    assert service.predict(ROWS).round(6).tolist() == [20.0, 30.0, 40.0]


def test_the_app_serves_a_version_too(versions):
    client = TestClient(ModelService(versions["1.1"]).app)
    response = client.post("/predict", json={"features": [20.0]})
    assert response.headers["X-Model-Version"] == "1.1"
    assert client.get("/model/info").json()["version"] == "1.1"


def test_the_file_of_a_version_tells_its_version(versions):
    client = TestClient(ModelService(versions["1.1"].path).app)
    assert client.post("/predict", json={"features": [1]}).headers["X-Model-Version"] == "1.1"


def test_a_foreign_version_needs_trust(versions, tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "other"))
    foreign = ModelVersionControl(tmp_path / "churn")["1.0"]
    with pytest.raises(UntrustedModelError):
        deploy(foreign)
    assert asked(deploy(foreign, trust=foreign.digest)) == ("1.0", 20.0)
    trusting = ModelVersionControl(tmp_path / "churn", trust=foreign.digest)
    assert asked(deploy(trusting["1.0"])) == ("1.0", 20.0)


def twice(rows):
    return [2 * row[0] for row in rows]


def test_a_version_that_does_not_tell_its_rows_says_what_to_do(versions):
    saved = versions.save_model_version(twice, "2.0")
    with pytest.raises(SignatureError, match=r"save_model_version\(\.\.\., example=X_train\)"):
        deploy(saved)
    assert deploy(saved, example=[[1.0]]).predict([[4.0]]) == [8.0]


def test_the_rows_that_were_kept_are_answered_before_anybody_asks(versions, monkeypatch):
    many = pd.concat([ROWS] * 20)
    saved = versions.save_model_version(
        LinearRegression().fit(many, many["age"]), "3.0", example=many
    )
    seen, predict = [], LinearRegression.predict

    def watched(model, rows):
        seen.append(len(rows))
        return predict(model, rows)

    monkeypatch.setattr(LinearRegression, "predict", watched)
    route_from_version(saved, compile=False)
    assert 32 in seen
