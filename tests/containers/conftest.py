"""Models and bundles of the tests of containers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import Bundle, ContainerError
from nbdeploy.containers.engine import find_engine

X, y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="session")
def engine():
    """A Docker engine; `engine/run.sh` says why there is none. Without it, one is missing in CI."""
    reason = os.environ.get("NBDEPLOY_NO_ENGINE")
    if reason:
        pytest.skip(reason)
    try:
        return find_engine()
    except ContainerError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def model():
    return LogisticRegression(max_iter=1000).fit(X, y)


@pytest.fixture(scope="session")
def written(model, tmp_path_factory):
    """Give a bundle that no test changes."""
    folder = tmp_path_factory.mktemp("bundles") / "iris"
    return Bundle.create(model, folder, name="iris", example=X)


@pytest.fixture
def bundle(model, tmp_path):
    """Give a bundle to change."""
    return Bundle.create(model, tmp_path / "iris", name="iris", example=X)


@pytest.fixture
def fake_docker(tmp_path, monkeypatch):
    """Put a ``docker`` on the path that says what a test tells it, and notes what it was asked."""

    def install(script, name="docker"):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        file = folder / name
        file.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{script}\n')
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return Path(tmp_path, "asked")

    return install
