"""What the tests of replicas share."""

import contextlib
import time
from pathlib import Path

import numpy as np

from nbdeploy.models.signature import Signature
from nbdeploy.scaling.replica_pool import ReplicaPool
from nbdeploy.serving.routing import Route, route_from_model


def of_notebook(function):
    """Let a function of a test travel with its code, as one that a cell defined does."""
    function.__module__ = "__main__"
    return function


def wait_until(condition, seconds=10.0):
    """Give the seconds until something outside of this process has happened."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.002)
    return time.monotonic() - began


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def route_of(function):
    """Make the route of a function of rows of two numbers; at first it is asked [2.0, 3.25]."""
    signature = Signature.learn(example=np.array([[1.0, 2.0], [3.0, 4.5]]))
    return route_from_model(of_notebook(function), signature=signature)


@contextlib.contextmanager
def pool_of(model, replicas=1, **options):
    """Serve a route, or a function of rows of two numbers, by replicas."""
    route = model if isinstance(model, Route) else route_of(model)
    pool = ReplicaPool("tested", **options)
    try:
        pool.publish(route)
        pool.resize(replicas)
        yield pool, lambda rows, method="predict": pool.answer(route.question(method, rows))
    finally:
        pool.close()
