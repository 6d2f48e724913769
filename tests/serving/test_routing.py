"""Which requests may be answered at the same time."""

import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from nbdeploy.serving.routing import route_from_model

X, Y = load_iris(return_X_y=True)
FOREST = RandomForestClassifier(20, random_state=0)


@pytest.mark.parametrize(
    ("model", "is_wide"),
    [
        (LogisticRegression(max_iter=500), True),
        (HistGradientBoostingClassifier(max_iter=5), True),
        (FOREST, False),
        (make_pipeline(StandardScaler(), FOREST), False),
    ],
    ids=["linear", "boosting", "forest", "pipeline with a forest"],
)
def test_many_rows_run_beside_others_where_the_call_is_one(model, is_wide):
    route = route_from_model(model.fit(X, Y), example=X)

    assert route.question("predict", X[:50]).is_wide is False
    assert route.question("predict", [*X.tolist(), *X.tolist()]).is_wide is is_wide


@pytest.mark.parametrize(
    ("model", "beside"),
    [
        (SVC(), True),
        (RandomForestClassifier(2), True),
        (RandomForestClassifier(40), False),
        (HistGradientBoostingClassifier(max_iter=40), False),
    ],
)
def test_calls_that_come_back_for_each_of_many_trees_do_not_run_beside_each_other(model, beside):
    X, y = load_iris(return_X_y=True)

    assert route_from_model(model.fit(X, y), example=X).runs_beside is beside
