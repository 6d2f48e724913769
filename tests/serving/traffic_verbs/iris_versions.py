"""Models of irises, and what callers of their service see."""

from __future__ import annotations

import threading
import time

import httpx2
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier

from nbdeploy import Client

X, y = load_iris(return_X_y=True, as_frame=True)


def has_no_shadow():
    return all(thread.name != "nbdeploy-shadow" for thread in threading.enumerate())


def ends(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def constant(label):
    return DummyClassifier(strategy="constant", constant=label).fit([[0.0], [1.0]], [label] * 2)


def version_of(service, rows=None):
    body = {"features": [5.1, 3.5, 1.4, 0.2] if rows is None else rows}
    response = httpx2.post(f"{service.url}/predict", json=body)
    assert response.status_code == 200
    return response.headers["X-Model-Version"]


def ask(service, times, **options):
    with Client(service.url) as client:
        return [client.predict(X.iloc[[number % 150]], **options) for number in range(times)]
