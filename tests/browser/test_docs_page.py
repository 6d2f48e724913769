"""The page of a service in a real Chromium: without internet, directly and behind a proxy."""

from __future__ import annotations

import re

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import ModelService
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.server import BackgroundServer

pytestmark = pytest.mark.browser

PREFIX = "/user/ada/proxy/8000"


@pytest.fixture(scope="module")
def app():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(X, y)
    return ModelService(route_from_model(model, example=X), name="iris", token=None).app


def behind_a_proxy(app):
    """Forward what is under a prefix, as Jupyter's proxy does."""

    async def proxy(scope, receive, send):
        if scope["type"] == "http":
            assert scope["path"].startswith(PREFIX)
            path = scope["path"].removeprefix(PREFIX)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    return proxy


@pytest.mark.parametrize("prefix", ["", PREFIX], ids=["directly", "behind a proxy"])
def test_the_page_shows_what_can_be_asked_and_answers(chromium, app, prefix):
    served = behind_a_proxy(app) if prefix else app
    with BackgroundServer(served, name="docs") as server:
        page = chromium.new_page()
        asked, failed = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: failed.append(message.text))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(f"{server.url}{prefix}/docs")
        page.wait_for_selector("text=Open Inference Protocol")

        page.click("#snippets summary")
        snippets = page.inner_text("#snippets")
        page.click("#operations-Predict-predict")
        page.click("#operations-Predict-predict button:has-text('Execute')")
        page.wait_for_selector("#operations-Predict-predict .live-responses-table")
        answer = page.inner_text("#operations-Predict-predict .live-responses-table")
        page.close()

    assert failed == []
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
    assert f"curl {server.url}{prefix}/predict" in snippets
    for words in ("Python", "httr2", "await fetch", "sepal length (cm)"):
        assert words in snippets
    assert "service.invalid" not in snippets
    assert re.search(r'"prediction":\s*\[\s*[012]\s*\]', answer)
