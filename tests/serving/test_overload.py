"""More than a service can do: what is refused, when, and what is still answered."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import pytest

from nbdeploy import deploy

EXAMPLE = [[1.0, 2.0], [3.0, 4.5]]


def counting(seconds):
    def model(rows):
        time.sleep(seconds)
        return [float(row[0]) for row in rows]

    return model


@pytest.fixture(scope="module")
def client():
    with httpx.Client() as client:
        yield client


def ask(client, service, number, headers=None):
    began = time.monotonic()
    answer = client.post(
        f"{service.url}/predict",
        json={"features": [[number, 1.0]]},
        headers=headers or {},
        timeout=20,
    )
    return answer, time.monotonic() - began


def test_one_is_answered_one_waits_and_ten_of_twelve_are_refused_before_the_first_answer(client):
    options = {"max_concurrency": 1, "max_queue": 1, "copy": False}
    with (
        deploy(counting(1.0), name="overloaded", example=EXAMPLE, **options) as service,
        ThreadPoolExecutor(12) as threads,
    ):
        gate = threading.Barrier(12)

        def at_once(number):
            gate.wait()
            return ask(client, service, number)

        answers = list(threads.map(at_once, range(12)))

    answered = [seconds for answer, seconds in answers if answer.status_code == 200]
    refused = [(answer, seconds) for answer, seconds in answers if answer.status_code == 503]
    assert len(answered) == 2
    assert len(refused) == 10
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer, _ in refused)
    assert max(seconds for _, seconds in refused) < min(answered)


def test_a_caller_may_wait_less_than_the_service_allows(client):
    with deploy(counting(1.0), name="hurried", example=EXAMPLE, copy=False) as service:
        answer, seconds = ask(client, service, 1.0, {"X-Request-Timeout": "0.2"})

    assert answer.status_code == 504
    assert seconds < 0.9
    assert "within 0.2 s" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v2/models/hurried/infer",
            {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 1]}]},
        ),
        ("/v1/models/hurried:predict", {"instances": [[1.0, 1.0]]}),
        ("/invocations", {"inputs": [[1.0, 1.0]]}),
    ],
    ids=["Open Inference", "V1", "MLflow"],
)
def test_callers_in_other_protocols_may_wait_less_too(client, path, body):
    with deploy(counting(1.0), name="hurried", example=EXAMPLE, copy=False) as service:
        hurried, wrong = (
            client.post(service.url + path, json=body, headers={"X-Request-Timeout": text})
            for text in ("0.2", "soon")
        )

    assert hurried.status_code == 504
    assert "within 0.2 s" in hurried.text
    assert wrong.status_code == 400
    assert "X-Request-Timeout is 'soon'" in wrong.text


@pytest.mark.parametrize("text", ["soon", "-1", "0", "inf", "nan"])
def test_what_is_no_time_is_told(client, text):
    with deploy(counting(0.0), name="hurried", example=EXAMPLE, copy=False) as service:
        answer, _ = ask(client, service, 1.0, {"X-Request-Timeout": text})

    assert answer.status_code == 400
    assert f"X-Request-Timeout is {text!r}" in answer.json()["detail"]


def test_twenty_in_flight_finish_while_one_hangs_and_the_service_ends_in_time(client):
    finish, release = threading.Event(), threading.Event()

    def model(rows):
        if rows[0][0] == 7:
            release.wait(30)
        elif rows[0][0] >= 10:
            finish.wait(30)
        return [float(row[0]) for row in rows]

    options = {"copy": False, "max_concurrency": 21, "max_batch_size": 1}
    service = deploy(model, name="ending", example=EXAMPLE, **options)
    service._server._graceful_timeout = 3.0
    try:
        with ThreadPoolExecutor(21) as threads:
            hung = threads.submit(ask, client, service, 7.0)
            twenty = [threads.submit(ask, client, service, float(10 + n)) for n in range(20)]
            end = time.monotonic() + 20
            while service.stats()["in_flight"] < 21:
                assert time.monotonic() < end
                time.sleep(0.005)
            port, began = service._server.port, time.monotonic()
            threading.Timer(0.3, finish.set).start()

            service.stop()

            assert time.monotonic() - began < 3.0 + 1.0
            assert [each.result()[0].status_code for each in twenty] == [200] * 20
            release.set()
            hung.exception()
        again = deploy(counting(0.0), name="ending", example=EXAMPLE, copy=False, port=port)
        again.stop()
    finally:
        finish.set()
        release.set()
