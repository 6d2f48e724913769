from __future__ import annotations

import pytest
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbdeploy import ModelVersionControl, deploy
from nbdeploy.containers.check_report import CheckReport, Finding

PENGUINS = load_penguins()
MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
X, y = PENGUINS[["island", *MEASURES]], PENGUINS["species"]
IS_DREAM = PENGUINS["island"] == "Dream"
GREEN = CheckReport("penguins", (Finding("green", "The service starts"),))


def fit(rows, columns=MEASURES):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    prepare = make_column_transformer((numbers, list(columns)))
    return make_pipeline(prepare, LogisticRegression(max_iter=1000)).fit(X[rows], y[rows])


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    versions = ModelVersionControl(tmp_path_factory.mktemp("registry") / "penguins")
    versions.save_model_version(fit(~IS_DREAM), "1.1", {}, example=X)
    versions.save_model_version(fit(IS_DREAM | True), "2.0", {}, example=X)
    return versions


@pytest.fixture
def service(versions):
    versions.set_alias("production", "1.1")
    with deploy(versions["production"], name="penguins") as service:
        yield service


def test_a_version_that_knows_every_island_passes(versions, service, verdict):
    service.rollout("2.0", alias="production")

    told = verdict("09.1", versions, service)

    assert "passed" in told
    assert "Dream 100%" in told


def test_a_version_that_is_saved_only_does_not(versions, service, verdict):
    assert "came:     '1.1' for 100%" in verdict("09.1", versions, service).lower()


def test_a_canary_does_not(versions, service, verdict):
    service.split({"1.1": 0.9, "2.0": 0.1})

    assert "'1.1' for 90%, '2.0' for 10%" in verdict("09.1", versions, service)


def test_an_alias_that_stayed_behind_is_told(versions, service, verdict):
    service.rollout("2.0")

    told = verdict("09.1", versions, service)

    assert "at version '1.1'" in told
    assert "`service.rollout`" in told


def test_a_version_that_lacks_an_island_is_told_which(tmp_path, verdict):
    versions = ModelVersionControl(tmp_path / "penguins")
    assert "There is no version '2.0'" in verdict("09.1", versions, None)
    versions.save_model_version(fit(~IS_DREAM), "2.0", {}, example=X)
    versions.set_alias("production", "2.0")
    with deploy(versions["production"], name="penguins") as service:
        told = verdict("09.1", versions, service)

    assert "% on Dream" in told
    assert "are all islands among them?" in told


def test_something_else_than_versions_is_told(service, verdict):
    assert "your `versions`" in verdict("09.1", {"2.0": 1}, service)


def test_a_bundle_of_what_answers_passes(versions, service, tmp_path, verdict):
    bundle = service.bundle(tmp_path / "bundle")

    assert "passed" in verdict("09.2", bundle, GREEN)


def test_a_bundle_of_before_or_without_rehearsal_does_not(versions, service, tmp_path, verdict):
    bundle = service.bundle(tmp_path / "bundle")
    red = CheckReport("penguins", (Finding("red", "The module is missing", "Name it."),))

    assert "a bundle" in verdict("09.2", "work/09/bundle", GREEN)
    assert "the report of this bundle" in verdict("09.2", bundle, bundle)
    assert "The module is missing" in verdict("09.2", bundle, red)
    service.rollout("2.0", alias="production")
    assert "one of another model" in verdict("09.2", bundle, GREEN)
    service.stop()
    assert "no such service runs" in verdict("09.2", bundle, GREEN)
