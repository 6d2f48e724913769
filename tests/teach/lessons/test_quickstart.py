from __future__ import annotations

import pytest
from palmerpenguins import load_penguins
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nbdeploy import deploy

GENTOO = {
    "island": "Biscoe",
    "bill_length_mm": 48,
    "bill_depth_mm": 14,
    "flipper_length_mm": 220,
    "body_mass_g": 5200,
    "sex": "male",
}
ADELIE = (
    GENTOO
    | {"island": "Torgersen", "flipper_length_mm": 190, "body_mass_g": 3700}
    | {
        "bill_length_mm": 39,
        "bill_depth_mm": 18,
    }
)


@pytest.fixture(scope="module")
def service():
    penguins = load_penguins().drop(columns="year")
    X, y = penguins.drop(columns="species"), penguins["species"]
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    prepare = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, make_column_selector(dtype_exclude="number")),
    )
    model = make_pipeline(prepare, LogisticRegression()).fit(X, y)
    with deploy(model, name="penguins", example=X) as service:
        yield service


def test_a_gentoo_passes(service, verdict):
    out = verdict("quickstart.1", service, GENTOO)
    assert out == "Step quickstart.1 passed: the service calls your penguin a Gentoo.\n"


def test_another_species_is_named(service, verdict):
    out = verdict("quickstart.1", service, ADELIE)
    assert "Expected: the answer 'Gentoo'" in out
    assert "Came:     the answer 'Adelie'" in out


def test_a_typing_error_shows_what_the_service_says(service, verdict):
    typo = {name.replace("bill_length", "bill_lenght"): value for name, value in GENTOO.items()}
    out = verdict("quickstart.1", service, typo)
    assert "Came:     its refusal: " in out
    assert "bill_lenght_mm" in out
    assert "bill_length_mm" in out


def test_a_list_of_values_is_no_penguin(service, verdict):
    out = verdict("quickstart.1", service, list(GENTOO.values()))
    assert "Came:     a list of length 6" in out


def test_a_dict_in_the_place_of_the_service_is_named(verdict):
    out = verdict("quickstart.1", GENTOO, GENTOO)
    assert "Expected: a running service" in out
    assert "Came:     a dict with the keys 'island'" in out


def test_a_stopped_service_is_named(verdict):
    stopped = deploy(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), name="stopped")
    stopped.stop()
    out = verdict("quickstart.1", stopped, GENTOO)
    assert "Came:     the service 'stopped', which was stopped" in out
