import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import numpy as np
import pytest
from scaling_tools import is_running, of_notebook, wait_until
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy
from nbdeploy.exceptions import PredictionError, ScalingError

NUMBERS = np.array([[1.0, 2.0], [3.0, 4.5]])


@pytest.fixture
def served(iris, iris_model):
    with deploy(iris_model, name="scaled", example=iris[0]) as service:
        yield service


def workers(service):
    return service._control.replicas.pool.process_ids


def ready(service):
    return service.stats()["replicas"]["ready"]


def test_the_url_and_the_answers_stay_the_same_for_0_1_and_3_replicas(served, iris, iris_model):
    X, url = iris[0], served.url
    expected = iris_model.predict_proba(X)
    said = []
    for replicas in (1, 3, 0):
        said.append(repr(served.scale(replicas)).split(".")[0])
        assert served.url == url
        assert np.array_equal(served.predict_proba(X), expected)

    assert said == [
        "1 replica answers",
        "3 replicas answer",
        "No replicas: the model answers in the process of the service",
    ]
    assert "replicas" not in served.stats()
    assert not served._service.health._checks


def test_versions_statistics_and_health_stay_in_front(served, iris):
    version = served.service.route.version
    served.scale(2)

    answer = httpx.post(f"{served.url}/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})

    assert answer.headers["X-Model-Version"] == version
    assert answer.json() == {"prediction": [0]}
    assert httpx.get(f"{served.url}/health/ready").status_code == 200
    statistics = served.stats()
    assert statistics["total_predictions"] == 1
    assert statistics["replicas"]["wanted"] == statistics["replicas"]["ready"] == 2
    assert statistics["batching"]["calls"][0]["runs"] == "in a replica"
    pids = [each["pid"] for each in statistics["replicas"]["each"]]
    assert pids == workers(served)


def test_without_a_replica_the_service_is_not_ready(served):
    served.scale(1)
    (pid,) = workers(served)
    # Whoever starts others is stopped meanwhile, so that the gap lasts.
    forkserver = served._control.replicas.pool._forkserver
    os.kill(forkserver.pid, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: ready(served) == 0)

        answer = httpx.get(f"{served.url}/health/ready")
        alive = httpx.get(f"{served.url}/health/live")
    finally:
        os.kill(forkserver.pid, signal.SIGCONT)

    assert answer.status_code == 503
    assert "replicas" in answer.text
    assert alive.status_code == 200
    wait_until(lambda: ready(served) == 1, 5.0)
    assert httpx.get(f"{served.url}/health/ready").status_code == 200


def test_the_forkserver_is_replaced_like_a_replica(served):
    served.scale(1)
    forkserver = served._control.replicas.pool._forkserver
    first = forkserver.pid

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: forkserver.pid not in {None, first}, 5.0)
    assert served.predict([[5.1, 3.5, 1.4, 0.2]]) == [0]
    repr_of_more = repr(served.scale(2))
    assert repr_of_more.startswith("2 replicas answer.")


def test_another_model_takes_over_in_the_same_replicas(served, iris):
    X, y = iris
    served.scale(2)
    before = workers(served)
    other = LogisticRegression(max_iter=500).fit(X, 2 - y)

    again = deploy(other, name="scaled", example=X)

    assert again is served
    assert workers(served) == before
    assert served.predict(X).tolist() == other.predict(X).tolist()


def test_what_waits_is_answered_while_the_number_changes():
    def slow(rows):
        import time

        time.sleep(0.02)
        return [float(row[0]) for row in rows]

    with deploy(of_notebook(slow), name="changing", example=NUMBERS, timeout=20) as service:
        service.scale(1)
        failed, answered = [], []
        is_over = threading.Event()

        def ask(number):
            with httpx.Client() as client:
                while not is_over.is_set():
                    answer = client.post(
                        f"{service.url}/predict", json={"features": [[number, 1.0]]}
                    )
                    is_right = answer.status_code == 200 and answer.json() == {
                        "prediction": [number]
                    }
                    (answered if is_right else failed).append(answer.text)

        with ThreadPoolExecutor(4) as threads:
            for number in range(4):
                threads.submit(ask, float(number))
            try:
                for replicas in (3, 2, 0, 1, 0):
                    service.scale(replicas)
                    before = len(answered)
                    wait_until(lambda before=before: len(answered) > before + 4 or failed)
            finally:
                is_over.set()

    assert not failed
    assert len(answered) > 20


def test_an_error_in_a_replica_is_shown_in_the_kernel():
    def divide(rows):
        return [1 / (float(row[0]) - 9) for row in rows]

    with deploy(of_notebook(divide), name="dividing", example=NUMBERS) as service:
        service.scale(1)
        with pytest.raises(PredictionError) as caught:
            service.predict([[9.0, 1.0]])

        assert "in divide" in str(caught.value.__cause__)
        assert "in divide" in service.errors()[-1].traceback
        assert service.predict([[10.0, 1.0]]) == [1.0]


def test_when_replicas_do_not_come_up_the_model_goes_on_as_before():
    class Explosive:
        def __init__(self):
            self.model = of_notebook(lambda rows: [4 for _ in rows])

        def __call__(self, rows):
            return self.model(rows)

    def explode():
        import os

        os._exit(3)

    service = deploy(of_notebook(lambda rows: [4 for _ in rows]), name="going", example=NUMBERS)
    with service:
        Explosive.__reduce__ = lambda self: (of_notebook(explode), ())
        service.service.route.predictor.model = Explosive()

        with pytest.raises(ScalingError, match="was lost"):
            service.scale(2)

        assert service.predict(NUMBERS).tolist() == [4, 4]
        assert service._control.replicas.pool is None
        assert any("is replaced" in line for line in service.logs())


@pytest.mark.parametrize("wrong", [-1, 2.5, "3", None, 1000])
def test_a_number_that_is_none_is_refused(served, wrong):
    with pytest.raises(ScalingError, match="expected a whole number from 0"):
        served.scale(wrong)


def test_after_stop_there_is_no_process_and_no_thread():
    def hang(rows):
        while rows[0][0] > 5:
            pass
        return [0 for _ in rows]

    before = set(threading.enumerate())
    service = deploy(of_notebook(hang), name="stopping", example=NUMBERS)
    service.scale(2)
    pids = workers(service)
    with ThreadPoolExecutor(1) as thread:
        hung = thread.submit(
            httpx.post, f"{service.url}/predict", json={"features": [[9.0, 1.0]]}, timeout=30
        )
        wait_until(lambda: "busy" in str(service.stats()["replicas"]))
        service._server._graceful_timeout = 0.5
        began = time.monotonic()

        service.stop()

        assert time.monotonic() - began < 1.5 + 1.0
        hung.exception(5)
    wait_until(lambda: not any(map(is_running, pids)))
    wait_until(lambda: not {t.name for t in set(threading.enumerate()) - before if _is_ours(t)})


def _is_ours(thread):
    """Tell whether a thread belongs to a service; what starts workers stays for the next."""
    return thread.name.startswith(("nbdeploy-p", "nbdeploy-replicas-stopping"))


def test_every_kill_of_a_replica_is_survived_by_every_request(served, iris, iris_model):
    kill_under_load(served, iris, iris_model, kills=3, rate=50, pause=1.0)


@pytest.mark.acceptance
def test_ten_kills_under_fifty_requests_a_second(served, iris, iris_model):
    kill_under_load(served, iris, iris_model, kills=10, rate=50, pause=2.0)


def kill_under_load(service, iris, model, *, kills, rate, pause):
    X = iris[0].to_numpy()
    expected = model.predict(iris[0]).tolist()
    service.scale(3)
    is_over = threading.Event()
    answers = []

    def ask(client, place):
        answer = client.post(f"{service.url}/predict", json={"features": X[place].tolist()})
        answers.append((answer.status_code, answer.json().get("prediction"), [expected[place]]))

    def load():
        began, sent = time.monotonic(), 0
        with httpx.Client() as client, ThreadPoolExecutor(16) as threads:
            while not is_over.is_set():
                threads.submit(ask, client, sent % len(X))
                sent += 1
                # Open loop: who waits for an answer does not slow the others down.
                is_over.wait(max(0.0, began + sent / rate - time.monotonic()))

    loader = threading.Thread(target=load)
    loader.start()
    try:
        for turn in range(kills):
            doomed = workers(service)[turn % 3]
            os.kill(doomed, signal.SIGKILL)
            back = wait_until(
                lambda doomed=doomed: doomed not in workers(service) and ready(service) == 3
            )
            assert back < 5.0
            is_over.wait(pause)
    finally:
        is_over.set()
        loader.join()

    wrong = [each for each in answers if each[0] != 200 or each[1] != each[2]]
    assert not wrong
    assert len(answers) >= kills * pause * rate * 0.9
    assert service.stats()["replicas"]["restarts"] == kills
