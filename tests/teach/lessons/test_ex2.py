from __future__ import annotations

import hashlib
import random

import pytest
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Client, ModelVersionControl, ServingError, deploy
from nbdeploy.serving import Guard

PENGUINS = load_penguins()
X, y = PENGUINS.drop(columns="species"), PENGUINS["species"]


def fitted(last):
    measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer((numbers, measures), (OneHotEncoder(), last))
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X, y)


@pytest.fixture(scope="module")
def models():
    weight = make_column_transformer((SimpleImputer(), ["body_mass_g"]))
    old = make_pipeline(weight, DecisionTreeClassifier(max_depth=2, random_state=0)).fit(X, y)
    return {"1.0": old, "1.1": fitted(["island"]), "1.2": fitted(["island", "year"])}


@pytest.fixture
def empty(tmp_path):
    return ModelVersionControl(tmp_path / "penguins")


@pytest.fixture
def save(empty, models):
    def save(name, model=None, **metrics):
        chosen = models[model or name]
        metrics = metrics or {"accuracy": chosen.score(X, y)}
        empty.save_model_version(chosen, name, metrics, example=X)
        return empty

    return save


@pytest.fixture
def versions(save):
    save("1.0")
    save("1.1")
    saved = save("1.2")
    saved.set_alias("production", "1.0")
    return saved


@pytest.fixture
def service(versions):
    with deploy(versions["1.0"], name="penguins") as service:
        yield service


def ask(service, count, key="X-Station", **changed):
    with Client(service.url) as client:
        for number in range(count):
            row = X.iloc[[number * 31 % len(X)]].assign(**changed)
            headers = {key: f"station {number * 7 % 40}"}
            try:
                _, prediction_id = client.predict(row, with_id=True, headers=headers)
                client.feedback(prediction_id, y[row.index])
            except ServingError:
                continue


def said(out, came):
    assert "is not done yet" in out
    assert f"Came:     {came}" in out


# --- step 1


def test_both_versions_with_their_accuracy_pass(versions, verdict):
    assert "Step ex2.1 passed: both versions can be loaded" in verdict("ex2.1", versions)


def test_a_folder_is_no_version_control(verdict):
    said(verdict("ex2.1", "work/ex2"), "the text 'work/ex2'")


def test_a_missing_version_is_named(save, verdict):
    said(verdict("ex2.1", save("1.0")), "the versions 1.0")


def test_a_version_without_its_accuracy_is_named(save, verdict):
    save("1.0", score=0.7)
    said(verdict("ex2.1", save("1.1")), "the metrics score")


def test_an_accuracy_that_was_made_up_is_noticed(save, verdict):
    save("1.0")
    out = verdict("ex2.1", save("1.1", accuracy=0.6))
    said(out, "0.6")
    assert "the accuracy that version '1.1' really has, about 99%" in out


def test_models_under_each_others_names_are_noticed(save, verdict):
    save("1.0", "1.1")
    said(verdict("ex2.1", save("1.1", "1.0")), "'1.0' names 99% right, and '1.1' 7")


def test_a_missing_alias_is_named(save, verdict):
    save("1.0")
    said(verdict("ex2.1", save("1.1")), "the aliases none")


# --- step 2


def test_a_rollback_with_a_reason_passes(versions, verdict):
    versions.set_alias("production", "1.1", why="better")
    versions.rollback("production", why="the station called")
    assert "Step ex2.2 passed: 'production' went to '1.1'" in verdict("ex2.2", versions)


def test_an_alias_that_never_moved_is_noticed(versions, verdict):
    said(verdict("ex2.2", versions), "its history: 1.0")


def test_an_alias_that_stayed_is_noticed(versions, verdict):
    versions.set_alias("production", "1.1", why="better")
    said(verdict("ex2.2", versions), "it points to the text '1.1'")


def test_setting_the_alias_again_is_no_rollback(versions, verdict):
    versions.set_alias("production", "1.1", why="better")
    versions.set_alias("production", "1.0", why="the station called")
    said(verdict("ex2.2", versions), "'set': the history does not tell that you went back")


def test_a_rollback_without_a_reason_is_noticed(versions, verdict):
    versions.set_alias("production", "1.1")
    versions.rollback("production")
    said(verdict("ex2.2", versions), "a rollback without one")


# --- step 3


def test_there_and_back_passes(service, verdict):
    service.rollout("1.1")
    service.predict(X.head(1))
    service.rollback()
    assert "Step ex2.3 passed: '1.1' was live and answered" in verdict("ex2.3", service)


def test_there_without_the_way_back_is_noticed(service, verdict):
    service.rollout("1.1")
    service.predict(X.head(1))
    said(verdict("ex2.3", service), "an answer of '1.1'")


def test_a_version_that_nobody_asked_is_noticed(service, verdict):
    service.rollout("1.1")
    service.rollback()
    said(verdict("ex2.3", service), "answers of 1.0 only")


def test_another_name_is_named(versions, verdict):
    with deploy(versions["1.0"], name="birds") as service:
        said(verdict("ex2.3", service), "one with the name 'birds'")


def test_a_model_is_no_service(models, verdict):
    said(verdict("ex2.3", models["1.0"]), "a Pipeline")


# --- step 4


def place_of(key):
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def walk(place, weights):
    for version, weight in weights.items():
        if place < weight:
            return version
        place -= weight
    return version


def test_a_choice_by_a_stable_hash_passes(verdict):
    out = verdict("ex2.4", lambda key, weights: walk(place_of(key), weights))
    assert "of 5,000 keys have '1.1', and each key keeps its version" in out


@pytest.mark.parametrize(
    ("choose", "came"),
    [
        (lambda key, weights: walk(random.random(), weights), "another one when it was asked"),
        (
            lambda key, weights: walk(hash(key) % 10_000 / 10_000, weights),
            "a choice that changes when Python's `hash()`",
        ),
        (lambda key, weights: walk(place_of(key) / 2, weights), "0.0%"),
        (lambda key, weights: list(weights)[place_of(key) < 0.5], "51.2%"),
        (lambda key, weights: None, "None"),
        ("1.0", "the text '1.0'"),
    ],
    ids=["chance", "hash", "half a line", "halves", "nothing", "no function"],
)
def test_a_choice_that_is_not_sticky_or_not_fair_is_noticed(choose, came, verdict):
    said(verdict("ex2.4", choose), came)


def test_keys_that_go_back_when_the_weight_grows_are_noticed(verdict):
    def choose(key, weights):
        return walk(place_of(f"{key}{weights['1.1']}"), weights)

    out = verdict("ex2.4", choose)
    assert "keeps it when its weight grows" in out
    assert "keys went back to '1.0'" in out


# --- step 5


def test_the_right_number_passes(verdict):
    assert "Step ex2.5 passed: 133 penguins for each version" in verdict("ex2.5", 133)


@pytest.mark.parametrize(
    ("needed", "came"),
    [
        (100, "100: that is for a power of 80 %"),
        (266, "266: that is for both versions together"),
        (150, "150\n"),
        (133.0, "the number 133.0"),
        (True, "True"),
    ],
)
def test_another_number_is_named(needed, came, verdict):
    said(verdict("ex2.5", needed), came)


# --- step 6


@pytest.fixture
def split(service):
    service.split({"1.0": 0.5, "1.1": 0.5}, key="X-Station")
    ask(service, 400)
    return service


def test_a_test_with_enough_truth_passes_and_other_winners_do_not(split, verdict):
    assert "Step ex2.6 passed: 1.1 is better than 1.0" in verdict("ex2.6", split, "1.1")
    said(verdict("ex2.6", split, "1.0"), "the text '1.0'")
    split.rollback()
    said(verdict("ex2.6", split, "1.1"), "only '1.0' answers")


def test_too_few_penguins_are_counted(service, verdict):
    service.split({"1.0": 0.5, "1.1": 0.5}, key="X-Station")
    ask(service, 40)
    out = verdict("ex2.6", service, "1.1")
    assert "Expected: the truth about 133 penguins of each version" in out
    assert "of version '1.0'" in out or "of version '1.1'" in out


def test_a_split_by_another_header_is_noticed(service, verdict):
    service.split({"1.0": 0.5, "1.1": 0.5})
    said(verdict("ex2.6", service, "1.1"), "two for station")


def test_a_split_between_other_versions_is_named(service, verdict):
    service.split({"1.0": 0.5, "1.2": 0.5}, key="X-Station")
    said(verdict("ex2.6", service, "1.1"), "a comparison of 1.0 and 1.2")


def test_a_service_that_was_not_split_is_noticed(service, verdict):
    assert "a service whose traffic is split" in verdict("ex2.6", service, "1.1")


# --- step 7


@pytest.fixture
def live(service):
    service.rollout("1.1")
    return service


GUARD = Guard(max_error_rate=0.05, min_requests=20)


def test_a_rollout_that_the_guard_sent_back_passes(live, verdict):
    rollout = live.rollout("1.2", steps=[0.2, 0.5, 1], guard=GUARD)
    ask(live, 40, year=2010)
    out = verdict("ex2.7", live, rollout)
    assert "Step ex2.7 passed: the guard sent '1.2' back because it failed" in out


def test_a_rollout_at_once_is_noticed(live, verdict):
    said(verdict("ex2.7", live, live.rollout("1.2")), "one of '1.2' in 1 step\n")


def test_a_rollout_that_nobody_asked_is_noticed(live, verdict):
    rollout = live.rollout("1.2", steps=[0.2, 0.5, 1], guard=GUARD)
    said(verdict("ex2.7", live, rollout), "a rollout that is running")


def test_a_rollout_that_was_ended_by_hand_is_noticed(live, verdict):
    rollout = live.rollout("1.2", steps=[0.2, 0.5, 1], guard=GUARD)
    rollout.abort()
    said(verdict("ex2.7", live, rollout), "a rollout that is aborted")


def test_penguins_of_the_old_years_prove_nothing(live, verdict):
    rollout = live.rollout("1.2", steps=[0.5, 1], guard=Guard(min_requests=5))
    ask(live, 40)
    out = verdict("ex2.7", live, rollout)
    said(out, "a rollout that is live")
    assert "the stations ask in 2010" in out


def test_a_guard_instead_of_the_rollout_is_named(live, verdict):
    said(verdict("ex2.7", live, GUARD), "a Guard")
