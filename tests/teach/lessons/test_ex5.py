from __future__ import annotations

import threading

import pytest
from palmerpenguins import load_penguins
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import Ensemble, ModelVersionControl, deploy

PENGUINS = load_penguins()
MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
SPLIT = train_test_split(PENGUINS[MEASURES], PENGUINS["species"], test_size=0.4, random_state=0)
X_train, X_test, y_train, y_test = SPLIT
HALF = len(X_test) // 2


@pytest.fixture(scope="module")
def members():
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    return {
        "tree": make_pipeline(SimpleImputer(), tree).fit(X_train[MEASURES[:2]], y_train),
        "line": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(
            X_train, y_train
        ),
        "near": make_pipeline(SimpleImputer(), StandardScaler(), KNeighborsClassifier(5)).fit(
            X_train[MEASURES[2:]], y_train
        ),
    }


@pytest.fixture
def stack(members):
    return Ensemble(members, "stack", final=LogisticRegression(max_iter=1000))


@pytest.fixture
def troubled(members):
    release = threading.Event()

    def slow(rows):
        release.wait(30)
        return ["Adelie"] * len(rows)

    def broken(rows):
        raise ConnectionError

    yield {"tree": members["tree"], "line": members["line"], "broken": broken, "slow": slow}
    release.set()


def by_class(members):
    every = sorted({label for classes, _ in members for label in classes})
    shares = [dict(zip(*each, strict=True)) for each in members]
    return {label: sum(each.get(label, 0) for each in shares) / len(members) for label in every}


def by_place(members):
    classes = members[0][0]
    columns = zip(*(shares for _, shares in members), strict=True)
    return dict(zip(classes, (sum(column) / len(members) for column in columns), strict=True))


def only_those_who_know(members):
    every = {label for classes, _ in members for label in classes}
    shares = [dict(zip(*each, strict=True)) for each in members]
    known = {label: [each[label] for each in shares if label in each] for label in every}
    return {label: sum(found) / len(found) for label, found in known.items()}


def test_votes_by_class_pass(verdict):
    assert "passed" in verdict("ex5.1", by_class)


@pytest.mark.parametrize("wrong", [by_place, only_those_who_know], ids=["by place", "who know"])
def test_votes_by_place_or_of_some_do_not(wrong, verdict):
    told = verdict("ex5.1", wrong)

    assert "is not done yet" in told
    assert "order of the classes" in told


def test_three_models_as_one_pass(members, verdict):
    assert "passed" in verdict("ex5.2", Ensemble(members))


def test_another_combination_or_member_is_told(members, verdict):
    assert "combines by 'hard_vote'" in verdict("ex5.2", Ensemble(members, "hard_vote"))
    weighted = Ensemble(members, weights=[5, 1, 1])
    assert "other probabilities" in verdict("ex5.2", weighted)
    two = {name: members[name] for name in ("tree", "line")}
    assert "the members tree, line" in verdict("ex5.2", Ensemble(two))


def test_a_cascade_passes_and_one_the_other_way_round_does_not(members, verdict):
    pair = {name: members[name] for name in ("tree", "line")}
    turned = dict(reversed(pair.items()))

    assert "passed" in verdict("ex5.3", Ensemble(pair, "cascade", threshold=0.95))
    assert "the order of the members" in verdict(
        "ex5.3", Ensemble(turned, "cascade", threshold=0.95)
    )
    assert "sure means at least 95%" in verdict("ex5.3", Ensemble(pair, "cascade"))


def test_a_service_in_time_passes(troubled, verdict):
    with deploy(
        Ensemble(troubled, deadline=0.5), name="penguins", example=X_train, copy=False
    ) as service:
        assert "passed" in verdict("ex5.4", service)


def test_a_service_without_the_members_that_fail_does_not(members, verdict):
    pair = {name: members[name] for name in ("tree", "line")}
    with deploy(Ensemble(pair, deadline=0.5), name="penguins", example=X_train) as service:
        told = verdict("ex5.4", service)

    assert "`broken` and `slow` to be members" in told


def test_a_stack_fitted_on_fresh_rows_passes(stack, verdict):
    stack.fit_final(X_test[:HALF], y_test[:HALF])

    assert "passed" in verdict("ex5.5", stack)


def test_a_stack_that_is_not_fitted_or_on_known_rows_does_not_pass(stack, verdict):
    assert "one that was not" in verdict("ex5.5", stack)
    stack.fit_final(X_train, y_train)

    assert "learned from other rows" in verdict("ex5.5", stack)


def test_two_versions_and_the_way_back_pass(members, stack, tmp_path, verdict):
    versions = ModelVersionControl(tmp_path / "penguins")
    versions.save_model_version(Ensemble(members), "1.0", {}, example=X_train)
    assert "a version '1.1'" in verdict("ex5.6", versions)
    stack.fit_final(X_test[:HALF], y_test[:HALF])
    versions.save_model_version(stack, "1.1", {}, example=X_train)
    versions.set_alias("production", "1.0")
    assert "to have been at '1.1'" in verdict("ex5.6", versions)
    versions.set_alias("production", "1.1")
    versions.rollback("production")

    assert "passed" in verdict("ex5.6", versions)
