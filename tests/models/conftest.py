"""What the tests of saved models share."""

from __future__ import annotations

import os

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier


@pytest.fixture(autouse=True)
def config_folder(tmp_path_factory, monkeypatch):
    """A key of the test's own: the user's key and record stay as they are."""
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def forest(iris):
    return RandomForestClassifier(n_estimators=3, random_state=0).fit(*iris)


class Bomb:
    """A model whose loading leaves a marker: the proof that something ran."""

    def __init__(self, marker):
        self.marker = str(marker)
        self.weights = np.arange(4.0)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "it-ran"


@pytest.fixture
def bomb(marker):
    return Bomb(marker)
