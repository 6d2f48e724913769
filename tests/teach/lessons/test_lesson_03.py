from __future__ import annotations

import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy

FLOWERS, KINDS = load_iris(return_X_y=True, as_frame=True)
WINES, GROWERS = load_wine(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def wine():
    forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(WINES, GROWERS)
    with deploy(forest, name="wine", example=WINES) as service:
        yield service


@pytest.fixture
def payload():
    return {"features": WINES.iloc[5].to_dict()}


@pytest.mark.parametrize("labels", ["numbers", "names"])
def test_a_service_that_knows_its_flowers_passes(labels, verdict):
    names = load_iris().target_names
    kinds = KINDS if labels == "numbers" else names[KINDS]
    with deploy(
        RandomForestClassifier(n_estimators=10, random_state=0).fit(FLOWERS, kinds),
        name="iris",
        example=FLOWERS,
    ) as iris:
        out = verdict("03.1", iris)
    assert "Step 03.1 passed: the service tells 1" in out


def test_a_model_is_no_service(verdict):
    out = verdict("03.1", LogisticRegression())
    assert "Expected: a running service" in out
    assert "Came:     a LogisticRegression" in out


def test_a_service_of_another_name_is_named(wine, verdict):
    out = verdict("03.1", wine)
    assert "Expected: a service with the name 'iris'" in out
    assert "Came:     one with the name 'wine'" in out


def test_a_service_for_other_data_shows_its_refusal(verdict):
    model = LogisticRegression().fit(WINES[["alcohol", "ash"]], GROWERS)
    with deploy(model, name="iris", example=WINES[["alcohol", "ash"]]) as other:
        out = verdict("03.1", other)
    assert "Expected: a service that takes the 4 measures of a flower" in out
    assert "Came:     its refusal: " in out


def test_a_model_that_always_says_the_same_is_not_enough(verdict):
    model = DummyClassifier(strategy="most_frequent").fit(FLOWERS, KINDS)
    with deploy(model, name="iris", example=FLOWERS) as lazy:
        out = verdict("03.1", lazy)
    assert "Expected: at least 90% of the 150 flowers right" in out
    assert "Came:     50 of 150, the first answer is 0" in out


def test_a_repaired_payload_passes(wine, payload, verdict):
    assert "Step 03.2 passed: the service answers: grower 0." in verdict("03.2", wine, payload)


def test_a_payload_with_its_faults_shows_the_refusal(wine, payload, verdict):
    payload["features"]["color_intensity"] = "6,75"
    out = verdict("03.2", wine, payload)
    assert "Came:     the refusal: " in out
    assert "color_intensity" in out


def test_a_payload_with_a_wrong_name_shows_the_refusal(wine, payload, verdict):
    payload["features"]["malic acid"] = payload["features"].pop("malic_acid")
    out = verdict("03.2", wine, payload)
    assert "Came:     the refusal: " in out
    assert "malic" in out


def test_a_payload_with_invented_values_is_noticed(wine, payload, verdict):
    payload["features"]["malic_acid"] = 2.0
    out = verdict("03.2", wine, payload)
    assert "Came:     an answer, but for another wine: malic_acid changed its value" in out


@pytest.mark.parametrize("wrong", [[1.0, 2.0], {"instances": []}, {"features": [1.0]}])
def test_what_is_no_payload_is_named(wine, wrong, verdict):
    out = verdict("03.2", wine, wrong)
    assert 'Expected: a dict `{"features": {name: value, ...}}`' in out
