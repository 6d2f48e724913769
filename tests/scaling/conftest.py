from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy.scaling.replica_pool import ReplicaPool
from nbdeploy.serving.routing import route_from_model

# Tests are no package: what several of them share is loaded from its file.
_spec = spec_from_file_location("scaling_tools", Path(__file__).with_name("scaling_tools.py"))
sys.modules["scaling_tools"] = _tools = module_from_spec(_spec)
_spec.loader.exec_module(_tools)


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session", autouse=True)
def warm_forkserver():
    """Keep one forkserver for all tests: each would load the libraries again."""
    pool = ReplicaPool("warm")
    yield
    pool.close()


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="session")
def iris_model(iris):
    X, y = iris
    return LogisticRegression(max_iter=500).fit(X, y)


@pytest.fixture(scope="module")
def route(iris, iris_model):
    return route_from_model(iris_model, example=iris[0])
