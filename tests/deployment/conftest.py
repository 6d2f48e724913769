"""A model to deploy, and nothing that is left deployed."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression

from nbdeploy import stop_all
from tests.deployment.iris import IRIS


@pytest.fixture
def nothing_left():
    yield
    stop_all()


@pytest.fixture(scope="module")
def model():
    return LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
