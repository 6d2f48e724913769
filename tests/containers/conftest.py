"""Models and bundles of the tests of containers."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import Bundle, ContainerError
from nbdeploy.containers.engine import Engine, find_engine

PENGUINS = """
import time
import numpy as np
from palmerpenguins import load_penguins
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from nbdeploy import Bundle

COLUMNS = ["island", "sex", "bill_length_mm", "bill_depth_mm", "body_mass_g"]
penguins = load_penguins()
X, y = penguins[COLUMNS], penguins["species"]

def add_ratio(frame):
    # A mass that no penguin has: the answer takes its time.
    if (frame["body_mass_g"] == 123456.0).any():
        time.sleep(2)
    return frame.assign(ratio=frame["bill_length_mm"] / frame["bill_depth_mm"])

class Clip(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        self.highest_ = X.select_dtypes("number").max()
        return self

    def transform(self, X):
        numbers = X.select_dtypes("number")
        return X.assign(**numbers.clip(upper=self.highest_, axis=1))

model = make_pipeline(
    FunctionTransformer(add_ratio),
    Clip(),
    make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), COLUMNS[:2]),
        remainder=make_pipeline(SimpleImputer(), StandardScaler()),
    ),
    LogisticRegression(max_iter=2000),
).fit(X, y)
"""

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


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory):
    """Write the bundle of a model whose code stands in ``__main__``, and what it answers there."""

    def make(code, name):
        folder = tmp_path_factory.mktemp("bundles") / name
        end = f"""
        import json
        from nbdeploy import Bundle
        Bundle.create(model, {str(folder)!r}, name={name!r}, example=X)
        few = X.iloc[::7]
        print(json.dumps({{
            "rows": json.loads(few.to_json(orient="records")),
            "predict": model.predict(few).tolist(),
            "predict_proba": model.predict_proba(few).tolist(),
        }}))
        """
        # Called as the library, it would be imported in its place.
        script = folder.parent / "notebook.py"
        script.write_text(textwrap.dedent(code) + textwrap.dedent(end))
        done = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, timeout=300, check=False,
            cwd=folder.parent,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return Bundle.open(folder), json.loads(done.stdout.splitlines()[-1])

    return make


@pytest.fixture(scope="session")
def buildkit(engine):
    """Build with BuildKit where there is any, and with what the engine has otherwise.

    Debian's client has BuildKit in it; later ones have it in a plugin, or not at all.
    """
    found = None
    for command in dict.fromkeys((engine.command, shutil.which("docker", path="/usr/bin"))):
        try:
            version = Engine(command).call("version", "--format", "{{.Client.Version}}")
            if int(version.partition(".")[0]) >= 23:
                Engine(command).call("buildx", "version")
            found = Engine(command)
            break
        except (ContainerError, ValueError, TypeError):
            continue

    def build(bundle, tag=None):
        with pytest.MonkeyPatch.context() as patch:
            if found is not None:
                patch.setenv("DOCKER_BUILDKIT", "1")
            return bundle.build(tag, engine=found or engine)

    build.is_there = found is not None
    return build


@pytest.fixture(scope="session")
def penguins_code():
    return PENGUINS


@pytest.fixture(scope="session")
def penguins(make_bundle, buildkit, penguins_code):
    # Not the name of the README's: both may run at once.
    bundle, answers = make_bundle(penguins_code, "birds")
    return buildkit(bundle), answers


@pytest.fixture(scope="module")
def container(penguins, engine):
    with penguins[0].run(engine=engine) as container:
        yield container


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
