"""What the tests of versions share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from nbdeploy import ModelVersionControl

ROWS = pd.DataFrame({"age": [20.0, 30.0, 40.0], "height": [1.8, 1.7, 1.6]})


def line(slope=1.0):
    """A fitted model; another slope is another model."""
    return LinearRegression().fit(ROWS, slope * np.arange(3.0))


@pytest.fixture
def make_model():
    return line


@pytest.fixture(autouse=True)
def config_folder(tmp_path_factory, monkeypatch):
    """A key of the test's own."""
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(folder))
    monkeypatch.setenv("JUPYTERHUB_USER", "ana")
    return folder


class Clock:
    """Each look at it is a minute later."""

    def __init__(self):
        self.now = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def versions(tmp_path, clock):
    return ModelVersionControl(tmp_path / "churn", clock=clock)


@pytest.fixture
def two_versions(versions):
    versions.save_model_version(line(1), "1.0", {"auc": 0.91, "rmse": 3.0}, "first", example=ROWS)
    versions.save_model_version(line(2), "1.1", {"auc": 0.94, "rmse": 4.0}, "second", example=ROWS)
    return versions
