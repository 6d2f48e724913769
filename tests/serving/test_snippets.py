import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

from nbdeploy import ModelService, deploy, stop_all
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.snippets import make_snippets

TOKEN = "only-for-these-tests"
ROW = {"it's": 1.5, 'a "b"': "ünï 企", "back\\slash": True}


@pytest.fixture(scope="module")
def service():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(X, y)
    yield deploy(model, name="called", example=X, token=TOKEN)
    stop_all()


@pytest.fixture
def snippets(service):
    row = service.service.signature.example_row()
    return make_snippets(service.url, row, token_variable="NBDEPLOY_TEST_TOKEN")


def run(command):
    env = {**os.environ, "NBDEPLOY_TEST_TOKEN": TOKEN}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_curl_of_the_page_runs(snippets):
    answer = run(["sh", "-c", f"{snippets.curl} --silent --show-error"])

    assert json.loads(answer) == {"prediction": [1]}


def test_the_python_of_the_page_runs(snippets):
    *lines, call = snippets.python.splitlines()

    assert run([sys.executable, "-c", "\n".join([*lines, f"print({call})"])]) == "1"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_the_javascript_of_the_page_runs(snippets):
    answer = run(["node", "--input-type=module", "--eval", snippets.javascript])

    assert re.fullmatch(r"\{ prediction: \[ 1 \] \}", answer)


def test_every_language_holds_the_row_however_it_is_written():
    made = make_snippets("http://host", ROW)

    (body,) = re.findall(r"body: (\".*\"),", made.javascript)
    assert json.loads(json.loads(body)) == {"features": ROW}
    (body,) = re.findall(r"req_body_raw\((\".*\"), type", made.r)
    assert json.loads(json.loads(body)) == {"features": ROW}
    (row,) = re.findall(r"predict\((.*)\)", made.python)
    assert eval(row) == ROW
    for _, code in made.by_language():
        assert "http://host" in code
        assert "X-API-Key" not in code


def test_the_page_tells_nothing_of_where_the_token_is(service):
    route = route_from_model(service.service.model)
    guarded = ModelService(route, name="called", token=TOKEN)

    page = TestClient(guarded.app).get("/docs", headers={"X-API-Key": TOKEN}).text

    assert "$NBDEPLOY_TOKEN" in page
    assert TOKEN not in page
    assert str(Path.home()) not in page
    assert "service.invalid" in page
