"""A service that answers, and versions to try beside it."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy import deploy, stop_all
from tests.serving.traffic_verbs.iris_versions import X, ends, has_no_shadow, y


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    stop_all()
    assert ends(has_no_shadow)


@pytest.fixture(scope="module")
def good():
    return LogisticRegression(max_iter=500).fit(X, y)


@pytest.fixture(scope="module")
def shy():
    return DecisionTreeClassifier(max_depth=1).fit(X, y)


@pytest.fixture
def service(good):
    return deploy(good, name="iris", example=X)
