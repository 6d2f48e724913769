import os
import signal
import time

import httpx2 as httpx
import numpy as np
import psutil
import pytest
from scaling_tools import is_running, of_notebook, wait_until
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy
from nbdeploy.exceptions import PortInUseError, PredictionError, SignatureError, StoppedError
from nbdeploy.serving.listener import bind_listener

NUMBERS = np.array([[1.0, 2.0], [3.0, 4.5]])


def divide(rows):
    return [1 / (float(row[0]) - 9) for row in rows]


@pytest.fixture(scope="module")
def service():
    with deploy(
        of_notebook(divide), name="apart", example=NUMBERS, where="process", token="secret"
    ) as service:
        yield service


def test_it_answers_in_another_process_as_it_would_here(service):
    assert service.predict(NUMBERS).tolist() == [1 / (1.0 - 9), 1 / (3.0 - 9)]
    assert service._server.pid in [child.pid for child in psutil.Process().children()]
    with pytest.raises(SignatureError, match="Row 0 has 1 value"):
        service.predict([[1.0]])


def test_who_may_call_is_the_same(service):
    answer = httpx.post(f"{service.url}/predict", json={"features": [1.0, 2.0]})

    assert answer.status_code == 401


def test_an_error_of_the_model_has_its_traceback_as_the_cause(service):
    with pytest.raises(PredictionError) as caught:
        service.predict([[9.0, 1.0]])

    assert "in divide" in str(caught.value.__cause__)
    assert "in divide" in service.errors()[-1].traceback


def test_statistics_monitor_and_logs_come_from_there(service):
    before = service.stats()["requests"]
    service.predict([[1.0, 1.0]])

    assert service.stats()["requests"] == before + 1
    assert service.monitor.snapshot().total.requests == before + 1
    assert any("startup complete" in line for line in service.logs())
    with pytest.raises(TypeError, match="merged copy"):
        service.monitor.reset()


def test_a_link_opens_its_page_once(service):
    url = service.open().url
    with httpx.Client() as client:
        first = client.get(url)
        is_let_in = client.get(f"{service.url}/model/info").status_code == 200
    second = httpx.get(url)

    assert first.status_code == 200
    assert is_let_in
    assert second.status_code == 401


def test_its_replicas_are_processes_of_the_service(service):
    try:
        assert repr(service.scale(2)).startswith("2 replicas answer.")

        assert service.predict([[1.0, 1.0]]) == [1 / (1.0 - 9)]
        assert service.stats()["replicas"]["ready"] == 2
    finally:
        service.scale(0)
    assert "replicas" not in service.stats()


def test_another_model_takes_over_behind_the_same_url(iris):
    X, y = iris
    first = LogisticRegression(max_iter=500).fit(X, y)
    other = LogisticRegression(max_iter=500).fit(X, 2 - y)
    with deploy(first, name="swapped", example=X, where="process") as service:
        url, version, pid = service.url, service.service.route.version, service._server.pid

        again = deploy(other, name="swapped", example=X, where="process")
        answer = httpx.post(f"{url}/predict", json={"features": X.iloc[0].tolist()})

        assert again is service
        assert service._server.pid == pid
        assert service.predict(X).tolist() == other.predict(X).tolist()
        assert answer.headers["X-Model-Version"] == service.service.route.version != version

        # Back to this process: the same URL again.
        deploy(first, name="swapped", example=X)
        assert service.url == url
        assert service.predict(X).tolist() == first.predict(X).tolist()
        wait_until(lambda: not is_running(pid))


def test_a_killed_one_is_told_as_stopped_and_can_be_deployed_again():
    service = deploy(of_notebook(divide), name="shot", example=NUMBERS, where="process")
    os.kill(service._server.pid, signal.SIGKILL)
    wait_until(lambda: not service._server.running)

    with pytest.raises(StoppedError, match="was stopped"):
        service.predict([[1.0, 1.0]])
    service.stop()

    with deploy(of_notebook(divide), name="shot", example=NUMBERS, where="process") as again:
        assert again.predict([[1.0, 1.0]]) == [1 / (1.0 - 9)]


def test_stop_ends_it_with_everything_it_started():
    def hang(rows):
        while rows[0][0] > 5:
            pass
        return [0 for _ in rows]

    service = deploy(of_notebook(hang), name="over", example=NUMBERS, where="process")
    service.scale(1)
    service.predict([[1.0, 1.0]])
    pids = [each.pid for each in psutil.Process(service._server.pid).children(recursive=True)]
    pids.append(service._server.pid)
    service._server._graceful_timeout = 0.3
    began = time.monotonic()

    service.stop()

    assert time.monotonic() - began < 0.3 + 1.0 + 1.0
    wait_until(lambda: not any(map(is_running, pids)))
    assert service.stats()["requests"] == 1


def test_a_taken_port_is_told_as_here():
    with (
        bind_listener("127.0.0.1") as listener,
        pytest.raises(PortInUseError, match="is taken"),
    ):
        deploy(
            of_notebook(divide),
            name="taken",
            example=NUMBERS,
            where="process",
            port=listener.getsockname()[1],
        )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"where": "moon"}, r"where='moon': expected 'kernel' .* or 'process'"),
        ({"where": "process", "copy": False}, "serves a copy of the model, and copy=False"),
    ],
)
def test_a_place_that_there_is_not_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        deploy(of_notebook(divide), name="nowhere", example=NUMBERS, **options)
