"""No token, no path and no traceback in what others see: logs, texts, pages, saved notebooks."""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import nbformat
import pytest
from nbclient import NotebookClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import Client, ModelSerializer, deploy, deployments, stop_all
from nbdeploy.exceptions import NbdeployError

TOKEN = "s3cret-that-nobody-prints"
IRIS = load_iris()
INSIDE = re.compile(r"Traceback|File \"|site-packages|\.py\b|/work/|/home/|/root/|/tmp/")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder whose name must not be seen anywhere."""
    return tmp_path_factory.mktemp("home-of-ada")


@pytest.fixture(scope="module")
def service(home):
    model = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
    path = home / "private-name.joblib"
    ModelSerializer.save_model(model, str(path))
    yield deploy(path, name="secrets", token=TOKEN)
    stop_all()


def assert_nothing_inside(text, home, *, allowed_paths=()):
    for allowed in allowed_paths:
        text = text.replace(str(allowed), "")
    assert TOKEN not in text
    assert str(home) not in text
    assert "private-name" not in text
    assert INSIDE.search(text) is None, INSIDE.search(text)


def bad_requests(service):
    """Provoke every kind of error answer there is, with the token in every place that it can be."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    key = {"X-API-Key": TOKEN}
    sendings = [
        ("GET", f"/stats?token={TOKEN}", b"", {}),
        ("GET", "/stats", b"", {"Authorization": f"token {TOKEN}"}),
        ("GET", "/nothing/at/all", b"", key),
        ("GET", "/login?code=guess", b"", {}),
        ("POST", "/predict", b"{", key),
        ("POST", "/predict", b'{"features": "' + TOKEN.encode()[:0] + b'"}', key),
        ("POST", "/predict", b"x", {**key, "Content-Type": "text/plain"}),
        ("POST", "/predict", b"", {**key, "Content-Length": str(10**10)}),
        ("POST", "/predict", b"", {**key, "Origin": "http://evil.example"}),
        ("POST", "/predict", b"", {**key, "Host": "a b"}),
        ("DELETE", "/predict", b"", key),
        ("BREW", "/predict", b"", key),
        ("GET", "/" + "a" * 70_000, b"", key),
    ]
    for verb, path, body, headers in sendings:
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.putrequest(verb, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        if "Content-Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        yield response.status, str(response.headers) + response.read().decode()
        connection.close()


def test_no_answer_tells_anything_of_the_inside(service, home):
    answers = list(bad_requests(service))

    assert {status for status, _ in answers} >= {400, 401, 403, 404, 405, 413, 415, 422, 431}
    for _, text in answers:
        assert_nothing_inside(text, home)


def test_no_page_and_no_reading_tells_anything_of_the_inside(service, home):
    for path in ("/", "/docs", "/openapi.json", "/model/info", "/stats", "/health", "/ping"):
        answer = httpx2.get(f"{service.url}{path}", headers={"X-API-Key": TOKEN})
        assert answer.status_code in {200, 307}
        assert_nothing_inside(answer.text + str(answer.headers), home)


def test_no_text_and_no_html_of_an_object_tells_the_token(service, home):
    link = service.open()
    objects = [
        service, service.service, service.service.access, service.monitor, service._server,
        service.snippets(), service.service.signature, service.try_it(), link, deployments(),
        Client(service.url, token=TOKEN), service._options, service._client,
    ]  # fmt: skip
    for shown in objects:
        html = shown.to_html() if hasattr(shown, "to_html") else ""
        bundle = shown._repr_mimebundle_() if hasattr(shown, "_repr_mimebundle_") else {}
        assert TOKEN not in repr(shown) + str(shown) + html + str(bundle)
        assert str(home) not in repr(shown)
    token_file = service._token_file
    assert_nothing_inside(
        str(service.snippets()),
        home,
        allowed_paths=[token_file, f"~/{os.path.relpath(token_file, Path.home())}"],
    )


def test_no_error_in_a_cell_tells_the_token(service, home):
    said = []
    for rows in ([[1]], [["a"] * 4], "x"):
        with pytest.raises(NbdeployError) as caught:
            service.predict(rows)
        said.append(f"{caught.value!r} {caught.value}")
    with pytest.raises(NbdeployError) as caught:
        Client(service.url, token=TOKEN + "x").predict([[1, 2, 3, 4]])
    said.append(str(caught.value))

    assert_nothing_inside("\n".join(said), home)


def test_no_log_tells_the_token_whatever_is_sent(service, home):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        list(bad_requests(service))
        service.predict(IRIS.data[:1])
    finally:
        root.removeHandler(handler)
        root.setLevel(before)

    assert_nothing_inside("\n".join(service.logs()), home)
    assert TOKEN not in "\n".join(service._server.logs(tracebacks=True))
    assert TOKEN not in stream.getvalue()


def test_a_model_that_raises_tells_callers_and_the_log_nothing(home):
    class Careless:
        n_features_in_ = 1

        def predict(self, rows):
            if rows[0][0] < 0:
                with (home / "private-name.csv").open() as file:
                    file.read()
            return [0] * len(rows)

    with deploy(Careless(), name="careless", token=TOKEN, copy=False) as careless:
        answer = httpx2.post(
            f"{careless.url}/predict", content=b'{"features": [-1]}', headers={"X-API-Key": TOKEN}
        )
        logged = "\n".join(careless.logs())
        recorded = careless.errors()[-1].traceback

    assert answer.status_code == 500
    assert_nothing_inside(answer.text, home)
    assert_nothing_inside(logged, home)
    assert "private-name.csv" in recorded


def test_the_command_shows_neither_token_nor_traceback(home):
    path = home / "private-name.joblib"
    ModelSerializer.save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), str(path))
    path.write_bytes(b"broken")
    done = subprocess.run(
        [sys.executable, "-m", "nbdeploy", "serve", str(path), "--port", "0"],
        env={**os.environ, "NBDEPLOY_TOKEN": TOKEN},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


FIT = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from nbdeploy import deploy, deployments
X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=500).fit(X, y)
"""
CELLS = [
    FIT,
    "service = deploy(model, name='iris', example=X)",
    "service",
    "service.snippets()",
    "service.open()",
    "service.try_it()",
    "service.predict(X.head(2))",
    "service.predict([[1]])",
    "service.logs(), service.stats()['total_predictions'], service.monitor, deployments()",
    "open(service._token_file).read().strip()",
    "service.stop()",
]


def test_a_saved_notebook_holds_no_token(tmp_path, monkeypatch):
    # On a hub a token is made; the one cell that reads it tells the test which it was.
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    NotebookClient(notebook, timeout=120, allow_errors=True, store_widget_state=True).execute()
    (told,) = [cell for cell in notebook.cells if "_token_file" in cell.source]
    token = told.outputs[0]["data"]["text/plain"].strip("'")
    told.outputs = []

    saved = json.dumps(notebook)

    assert len(token) >= 32
    assert "SignatureError" in saved
    assert token not in saved
    assert "/user/ada/proxy/" in saved
