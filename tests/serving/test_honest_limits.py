"""What is too much, too strange or too late is said with the right status, in words."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy, stop_all
from nbdeploy.serving.protocols import native
from nbdeploy.serving.protocols.sizes import check_json_size

IRIS = load_iris()
ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def service():
    model = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
    yield deploy(model, name="limits", token=None)
    stop_all()


def assert_human(response, status):
    """The body is JSON that tells a person what happened, and a program of which kind it is."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"detail", "error"}
    assert re.fullmatch(r"[\w'/].{15,}[.)]", body["detail"], re.DOTALL), body["detail"]
    assert body["error"]["type"].endswith("Error")
    for inside in ("Traceback", ".py", "site-packages", "/home/", "/tmp/", "0x"):
        assert inside not in response.text
    return body["detail"]


def post(service, content, path="/predict", **headers):
    return httpx2.post(f"{service.url}{path}", content=content, headers=headers, timeout=20)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "position"),
        (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b'{"features": ' + b'{"a":' * 3000 + b"1" + b"}" * 3001, "nested too deeply"),
        (b'{"feature": [1]}', "'feature'"),
        (b'{"features": [1], "instances": [1]}', "both keys"),
        (b'"text"', "str"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_400_for_what_cannot_be_read(service, body, said):
    assert said in assert_human(post(service, body), 400)


def test_404_names_the_methods_there_are(service):
    assert "/predict_proba" in assert_human(post(service, b"[]", "/prdict"), 404)


def test_405_names_the_verb(service):
    response = httpx2.get(f"{service.url}/predict")

    assert "POST" in assert_human(response, 405)


def test_413_for_a_body_that_is_too_large(service):
    declared = post(service, b" " * (64 * 2**20 + 1))
    streamed = post(service, (b" " * 2**20 for _ in range(9)))

    assert "64 MiB" in assert_human(declared, 413)
    said = assert_human(streamed, 413)
    assert "8 MiB" in said
    assert "Content-Length" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" + b"[]," * 1_000_001 + b"[]]", "rows"),
        (b"[" + b"1," * 10_000_001 + b"1]", "values"),
        (b'{"features": [' + b'{"a":1},' * 1_000_001 + b"{}]}", "rows"),
    ],
    ids=["rows", "values", "records"],
)
def test_413_for_rows_and_values_without_number(service, body, said):
    began = time.perf_counter()
    message = assert_human(post(service, body), 413)

    assert said in message
    assert "several requests" in message
    assert time.perf_counter() - began < 5


def test_they_are_counted_before_they_are_made(monkeypatch):
    monkeypatch.setattr(native, "parse_json", lambda _: pytest.fail("it was parsed"))

    with pytest.raises(native.RequestError):
        native.decode("predict", None, b"[" + b"[]," * 1_000_001 + b"[]]")


def test_a_request_of_very_many_rows_is_answered(service):
    rows = np.tile(ROW, (100_000, 1))
    body = json.dumps({"instances": rows.tolist()}).encode()

    check_json_size(body)
    assert len(post(service, body).json()["predictions"]) == 100_000


def test_the_slow_parser_is_asked_only_where_it_may_do_better(monkeypatch):
    monkeypatch.setattr(native.json, "loads", lambda *_, **__: pytest.fail("the slow one parsed"))

    with pytest.raises(native.RequestError, match="not JSON"):
        native.parse_json(b"[" + b"1," * 100_000)


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/csv2", "application/xml", "application/x-www-form-urlencoded"]
)
def test_415_names_the_type_and_what_is_read(service, kind):
    response = post(service, json.dumps({"features": ROW}), **{"Content-Type": kind})

    said = assert_human(response, 415)
    assert kind in said
    assert "application/json" in said


@pytest.mark.parametrize(
    ("features", "said"),
    [([1, 2, 3], "4"), ([1, 2, 3, "wide"], "'wide'"), ([1, 2, 3, None], "missing")],
)
def test_422_names_the_row_and_the_value(service, features, said):
    assert said in assert_human(post(service, json.dumps({"features": features})), 422)


def test_503_when_too_many_wait_and_504_when_it_takes_too_long():
    is_asked, go_on = threading.Event(), threading.Event()

    def slow(rows):
        if is_asked.is_set():
            go_on.wait(20)
        return [0] * len(rows)

    options = {"name": "slow", "example": [[0.0]], "copy": False, "token": None}
    with deploy(slow, **options, max_queue=1, timeout=1.0) as service:
        is_asked.set()
        with ThreadPoolExecutor(8) as threads:
            body = json.dumps({"features": [1.0]})
            answers = list(threads.map(lambda _: post(service, body), range(8)))
        go_on.set()

    by_status = {response.status_code: response for response in answers}
    assert set(by_status) == {503, 504}
    assert int(by_status[503].headers["Retry-After"]) >= 1
    assert_human(by_status[503], 503)
    assert_human(by_status[504], 504)


def test_500_only_when_the_model_raised_and_without_its_words():
    def raises(rows):
        if rows[0][0] < 0:
            message = "the secret is in /home/ada/secret.txt"
            raise RuntimeError(message)
        return [0] * len(rows)

    with deploy(raises, name="raises", example=[[0.0]], token=None) as service:
        response = post(service, json.dumps({"features": [-1.0]}))
        reference = response.headers["X-Error-ID"]

        assert "secret" not in assert_human(response, 500)
        assert "secret.txt" in service.monitor.find_error(reference).traceback
