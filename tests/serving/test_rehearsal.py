from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

from nbdeploy.exceptions import RehearsalError
from nbdeploy.serving.rehearsal import Rehearsal, few_of, rehearse
from nbdeploy.serving.routing import route_from_model

X, y = load_iris(return_X_y=True, as_frame=True)
NAMES = load_iris().target_names[y]


def route(model, version="new", example=X):
    return replace(route_from_model(model, example=example), version=version)


@pytest.fixture(scope="module")
def live():
    return route(LogisticRegression(max_iter=500).fit(X, y), "live")


def test_the_same_model_agrees_on_every_row(live):
    assert rehearse(live, live, X) == Rehearsal(150, 150)
    assert str(rehearse(live, live, X)) == (
        "it agreed with the version before on 150 of 150 example rows"
    )


def test_another_model_may_answer_otherwise(live):
    shy = route(RandomForestClassifier(n_estimators=2, max_depth=1, random_state=0).fit(X, y))

    rehearsal = rehearse(shy, live, X)

    assert 50 <= rehearsal.agreed < rehearsal.rows == 150


def test_without_an_example_the_made_up_row_is_asked(live):
    assert rehearse(live, live) == Rehearsal(1, 1)


def test_a_method_that_nobody_asked_may_go_and_one_that_was_asked_may_not(live):
    new = route(SVC().fit(X, y))

    assert rehearse(new, live, X, used={"predict"}).rows == 150
    with pytest.raises(RehearsalError, match=r"'new' does not take.*it has no predict_proba\(\)"):
        rehearse(new, live, X, used={"predict", "predict_proba"})


def test_a_version_that_takes_other_columns_is_refused_and_they_are_named(live):
    new = route(LogisticRegression(max_iter=500).fit(X.iloc[:, :3], y), example=X.iloc[:, :3])

    with pytest.raises(RehearsalError, match=r"'live' stays.*petal width") as caught:
        rehearse(new, live, X)

    assert caught.value.__cause__ is not None
    assert "call deploy() again" in str(caught.value)


def test_a_version_that_fails_on_the_example_is_refused(live):
    new = route(LogisticRegression(max_iter=500).fit(X, y))
    new.predictor.call = lambda method, batch: 1 / 0
    new = replace(new, compiled=None)

    with pytest.raises(RehearsalError, match=r"predict\(\) of rows that the live version answers"):
        rehearse(new, live, X)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (LogisticRegression(max_iter=500).fit(X, NAMES), "is a text, 'setosa', and was a number"),
        (LinearRegression().fit(X, np.column_stack([y, y])), "is a list"),
    ],
)
def test_answers_of_another_kind_are_refused(live, model, says):
    with pytest.raises(RehearsalError, match=says):
        rehearse(route(model), live, X)


def test_what_the_live_version_cannot_answer_proves_nothing(live):
    broken = replace(route(LogisticRegression(max_iter=500).fit(X, y)), compiled=None)
    broken.predictor.call = lambda method, batch: 1 / 0

    rehearsal = rehearse(live, broken, X)

    assert rehearsal == Rehearsal(0, 0)
    assert str(rehearsal) == ""


@pytest.mark.parametrize(
    "example",
    [X, X.to_numpy(), X.to_numpy().tolist(), X.iloc[:, 0]],
    ids=["frame", "array", "list", "series"],
)
def test_a_few_rows_from_all_over_the_example_are_kept(example):
    few = few_of(example)

    assert type(few) is type(example)
    assert len(few) == 30
    assert np.array_equal(np.asarray(few), np.asarray(example)[::5])


def test_what_is_kept_is_apart_from_the_rest():
    frame = pd.DataFrame({"a": range(1000)})
    few = few_of(frame)

    frame.loc[0, "a"] = 99

    assert few.iloc[0, 0] == 0


@pytest.mark.parametrize("nothing", [None, [], {}, {"a": 1}, 5, iter([1])])
def test_what_has_no_rows_gives_none(nothing):
    assert few_of(nothing) is None
