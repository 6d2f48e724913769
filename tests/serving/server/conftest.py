"""A server and those who ask it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from nbdeploy.serving import event_loop
from tests.serving.server.answering_app import App


@pytest.fixture
def app():
    app = App()
    yield app
    app.release.set()


@pytest.fixture(params=["uvloop", "asyncio"])
def either_loop(request, monkeypatch):
    if request.param == "asyncio":
        monkeypatch.setattr(event_loop, "_loop_class", lambda: asyncio.SelectorEventLoop)


@pytest.fixture
def background():
    with ThreadPoolExecutor(32) as pool:
        yield pool.submit
