from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from nbdeploy.monitoring.shadow import ShadowLog
from nbdeploy.serving import shadowing
from nbdeploy.serving.inference import InferenceRequest
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.shadowing import ShadowThread

X, y = load_iris(return_X_y=True)
LIVE = LogisticRegression(max_iter=500).fit(X, y)
SHY = DecisionTreeClassifier(max_depth=1).fit(X, y)


class Clock:
    now = 0.0

    def __call__(self):
        self.now += 0.25
        return self.now


@pytest.fixture
def log():
    return ShadowLog("shy")


def route(model=SHY):
    return replace(route_from_model(model), version="shy")


def wait_in_line(shadow, requests):
    """Hand requests over, without the thread that would take them."""
    shadow._start = lambda: None

    async def follow():
        for method, rows, live in requests:
            shadow.follow(InferenceRequest(method, rows), live, None)
        await asyncio.sleep(0)

    asyncio.run(follow())


def requests(count, method="predict"):
    for number in range(count):
        rows = X[number : number + 1].tolist()
        yield method, rows, getattr(LIVE, method)(rows).tolist()


def test_every_request_is_asked_and_compared(log):
    shadow = ShadowThread(route(), log)
    wait_in_line(shadow, requests(150))

    shadow.catch_up()

    report = log.report()
    agreed = int((SHY.predict(X) == LIVE.predict(X)).sum())
    assert (report.requests, report.rows, report.agreed) == (150, 150, agreed)
    assert report.errors == 0


def test_the_first_is_asked_alone_and_timed_and_the_others_share_a_call(log):
    calls = []
    model = DecisionTreeClassifier(max_depth=1).fit(X, y)
    asked = replace(route(model), compiled=None)
    predict = asked.predictor.call
    asked.predictor.call = lambda method, batch: calls.append(len(batch)) or predict(method, batch)
    shadow = ShadowThread(asked, log, clock=Clock())
    wait_in_line(shadow, requests(20))

    shadow.catch_up()

    assert calls == [1, 19]
    assert (log.report().latency.count, log.report().latency.maximum) == (1, 0.25)


def test_methods_are_not_mixed(log):
    shadow = ShadowThread(route(), log)
    wait_in_line(shadow, [*requests(3), *requests(3, "predict_proba"), *requests(2)])

    shadow.catch_up()

    assert (log.report().requests, log.report().errors) == (8, 0)


def test_rows_that_the_shadow_cannot_take_fail_alone(log):
    shadow = ShadowThread(route(), log)
    good = list(requests(4))
    bad = [("predict", [["no number"] * 4], [0]), ("transform", X[:1].tolist(), [[0.0]])]
    wait_in_line(shadow, [good[0], bad[0], good[1], good[2], bad[1], good[3]])

    shadow.catch_up()

    assert (log.report().requests, log.report().errors) == (4, 2)


def test_a_shadow_that_fails_on_some_rows_answers_the_others(log):
    class Picky:
        n_features_in_ = 4

        def predict(self, rows):
            if (np.asarray(rows)[:, 0] < 5).any():
                message = "too small"
                raise ValueError(message)
            return [0] * len(rows)

    shadow = ShadowThread(route(Picky()), log)
    wait_in_line(shadow, requests(50))

    shadow.catch_up()

    small = int((X[:50, 0] < 5).sum())
    assert (log.report().requests, log.report().errors) == (50 - small, small)
    assert "Picky.predict() raised ValueError" in log.report().last_error


def test_one_that_is_too_slow_misses_the_rest(log, monkeypatch):
    monkeypatch.setattr(shadowing, "MAX_WAITING", 10)
    shadow = ShadowThread(route(), log)

    wait_in_line(shadow, requests(25))
    shadow.catch_up()

    assert (log.report().requests, log.report().dropped) == (10, 15)


def test_it_works_in_a_thread_of_its_own_and_ends_with_it(log):
    shadow = ShadowThread(route(), log, gather=0.0)

    async def follow():
        for method, rows, live in requests(10):
            shadow.follow(InferenceRequest(method, rows), live, "id")
        for _ in range(1000):
            if log.report().requests == 10:
                break
            await asyncio.sleep(0.01)

    asyncio.run(follow())
    assert log.report().requests == 10
    thread = shadow._thread
    shadow.close()
    thread.join(5)

    assert not thread.is_alive()
