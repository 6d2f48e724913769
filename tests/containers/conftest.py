"""Models and bundles of the tests of containers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import Bundle

X, y = load_iris(return_X_y=True, as_frame=True)


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


@pytest.fixture(scope="session")
def contract():
    """Our own server of the Kubernetes API, as a module."""
    file = Path(__file__).with_name("contract_server.py")
    spec = importlib.util.spec_from_file_location("contract_server", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_kubeconfig(contract):
    def write(path, url, token=contract.TOKEN):
        written = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(yaml.safe_dump(written))
        return str(path)

    return write
