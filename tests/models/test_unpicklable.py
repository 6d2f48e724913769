"""The part that cannot be saved is found, wherever it hides."""

from __future__ import annotations

import threading

import cloudpickle
import pytest

from nbdeploy.models.unpicklable import find_unpicklable


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, inner):
        self.inner = inner


class Plain:
    def __init__(self, inner):
        self.inner = inner


def closure_over(value):
    return lambda: value


def with_default(value):
    def answer(given=value):
        return given

    return answer


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda lock: lock, "model"),
        (Plain, "model.inner"),
        (lambda lock: Slotted([0, lock]), "model.inner[1]"),
        (lambda lock: {"a": Plain({"b": (lock,)})}, "model['a'].inner['b'][0]"),
        (lambda lock: Plain(closure_over(lock)), "model.inner (variable 'value')"),
        (with_default, "model (default 0)"),
    ],
)
def test_the_path_leads_to_the_part(make, path):
    lock = threading.Lock()
    assert find_unpicklable(make(lock), cloudpickle.dumps) == (path, lock)


def test_an_object_that_holds_itself_ends_the_search():
    loop = Plain(None)
    loop.inner = {"back": loop, "lock": threading.Lock()}
    path, part = find_unpicklable(loop, cloudpickle.dumps)
    assert path == "model.inner['lock']"
    assert type(part) is type(threading.Lock())
