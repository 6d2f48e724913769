"""Schemathesis asks everything that OpenAPI tells, and much that it forbids.

No answer is a server error, has an undocumented status, or differs from its schema; what fits the
schema is accepted and what does not is refused; without the token nothing but health answers.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import httpx2
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from nbdeploy import deploy, stop_all

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
TOKEN = "only-for-these-tests"
AUTHENTICATION = (
    f'[auth.openapi]\nkey = {{ api_key = "{TOKEN}" }}\nbearer = {{ bearer = "{TOKEN}" }}\n'
)


def frame_model():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": random.normal(size=100),
            "count": random.integers(0, 50, 100),
            "kind": pd.Categorical(random.choice(["a", "b"], 100)),
            "old": random.random(100) < 0.5,
        }
    )
    frame.loc[::7, "size"] = np.nan
    labels = np.where(frame["count"] > 25, "many", "few")
    return HistGradientBoostingClassifier(max_iter=3).fit(frame, labels), frame


def array_model():
    array = np.random.default_rng(0).normal(size=(100, 3))
    return HistGradientBoostingClassifier(max_iter=3).fit(array, array[:, 0] > 0), array


def text_model():
    texts = ["good day", "bad day", "good night", "bad night"] * 5
    model = make_pipeline(CountVectorizer(), MultinomialNB())
    return model.fit(texts, [1, 0, 1, 0] * 5), texts


MODELS = {"frame": frame_model, "array": array_model, "texts": text_model}


@pytest.fixture(autouse=True)
def nothing_left():
    # A model may warn of the strangest numbers: that is its business, as in any server.
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield
        stop_all()


def assert_true(folder, kind, *, examples, token, seed=None):
    model, example = MODELS[kind]()
    service = deploy(model, name="fuzzed", example=example, token=token)
    headers = {"X-API-Key": token} if token else {}
    document = folder / "openapi.json"
    document.write_bytes(httpx2.get(f"{service.url}/openapi.json", headers=headers).content)
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.read_text() + (AUTHENTICATION if token else ""))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration),
        "run", str(document), "--url", service.url, "--checks", "all", "--no-color",
        "--max-examples", str(examples), "--warnings", "off",
    ]  # fmt: skip
    command += ["--seed", str(seed)] if seed is not None else []

    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in done.stdout.replace("✅  ", "✅ ")


def test_openapi_is_true(tmp_path):
    assert_true(tmp_path, "frame", examples=20, token=TOKEN, seed=1)


@pytest.mark.acceptance
@pytest.mark.parametrize("token", [None, TOKEN], ids=["without token", "with token"])
@pytest.mark.parametrize("kind", MODELS)
def test_openapi_is_true_of_every_kind_of_model(tmp_path, kind, token):
    assert_true(tmp_path, kind, examples=100, token=token)
