"""One of three replicas hangs, fails or is slow, under fifty requests a second."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2 as httpx
import numpy as np
import pytest
from scaling_tools import of_notebook, wait_until

from nbdeploy import deploy

NUMBERS = np.array([[1.0, 2.0], [3.0, 4.5]])
RATE = 50
DEADLINE = 2.0


def moody(rows):
    """Fail, or take ten times as long, once it was told to; of others it does not know."""
    import os
    import time

    orders = {7.0: "fail", 8.0: "slow"}
    mood = os.environ.get("MOOD")
    if mood == "fail":
        message = "broken"
        raise ValueError(message)
    time.sleep(0.05 if mood == "slow" else 0.005)
    os.environ["MOOD"] = orders.get(float(rows[0][0]), mood or "")
    return [float(row[0]) for row in rows]


@dataclass
class Answer:
    number: float
    at: float
    seconds: float
    status: int
    document: object

    @property
    def is_right(self):
        return self.status == 200 and self.document == {"prediction": [self.number]}


def ask(client, service, number):
    began = time.monotonic()
    answer = client.post(f"{service.url}/predict", json={"features": [[number, 1.0]]})
    took = time.monotonic() - began
    return Answer(number, began, took, answer.status_code, answer.json())


def under_load(service, trouble, seconds):
    """Send an open loop of requests; make trouble after a second of it."""
    answers, is_over = [], threading.Event()

    def load():
        began, sent = time.monotonic(), 0
        with httpx.Client(timeout=20) as client, ThreadPoolExecutor(32) as threads:
            while not is_over.is_set():
                number = 20.0 + sent % 50
                threads.submit(lambda one=number: answers.append(ask(client, service, one)))
                sent += 1
                is_over.wait(max(0.0, began + sent / RATE - time.monotonic()))

    loader = threading.Thread(target=load)
    loader.start()
    is_over.wait(1.0)
    try:
        trouble()
        over_at = time.monotonic()
        is_over.wait(seconds)
    finally:
        is_over.set()
        loader.join()
    return answers, over_at


@pytest.fixture
def service():
    # One row a call: what one replica answers wrongly is one request.
    options = {"timeout": DEADLINE, "max_batch_size": 1}
    with deploy(of_notebook(moody), name="moody", example=NUMBERS, **options) as service:
        service.scale(3)
        yield service


def hang(service):
    pool = service._control.replicas.pool
    stopped = pool.process_ids[0]
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: stopped not in pool.process_ids and len(pool.process_ids) == 3)


def fail(service):
    with httpx.Client() as client:
        assert ask(client, service, 7.0).is_right
    wait_until(lambda: service.stats()["replicas"]["restarts"] == 1)
    wait_until(lambda: service.stats()["replicas"]["ready"] == 3)


def slow_down(service):
    with httpx.Client() as client:
        assert ask(client, service, 8.0).is_right


TROUBLES = pytest.mark.parametrize(
    "trouble", [hang, fail, slow_down], ids=lambda each: each.__name__
)


def survive(service, trouble, seconds):
    answers, over_at = under_load(service, lambda: trouble(service), seconds)

    after = [each for each in answers if each.at >= over_at]
    assert len(after) > 0.5 * seconds * RATE
    assert [each for each in after if not each.is_right or each.seconds > DEADLINE] == []
    # What was hit at once: one call that hung, or the five failures that were needed to see it.
    assert sum(not each.is_right for each in answers) <= 6
    assert service.stats()["replicas"]["ready"] == 3


@TROUBLES
def test_one_replica_in_trouble_costs_few_requests(service, trouble):
    survive(service, trouble, seconds=2.0)


@pytest.mark.acceptance
@TROUBLES
def test_one_replica_in_trouble_costs_few_requests_for_long(service, trouble):
    survive(service, trouble, seconds=20.0)
