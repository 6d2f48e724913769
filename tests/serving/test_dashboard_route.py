"""``GET /dashboard`` of a running service."""

import httpx2 as httpx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy

X, Y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def model():
    return LogisticRegression(max_iter=500).fit(X, Y)


@pytest.mark.parametrize("where", ["kernel", "process"])
def test_it_shows_what_was_asked_and_only_reads(model, where):
    with deploy(model, name="iris", example=X, where=where, token="s3cret") as service:
        service.predict(X)
        with httpx.Client(base_url=service.url) as client:
            for path in ("/dashboard", "/dashboard/panel", "/dashboard/refresh.js"):
                assert client.get(path).status_code == 401
            client.headers["X-API-Key"] = "s3cret"
            page, panel = client.get("/dashboard"), client.get("/dashboard/panel")
            bare = client.get("/dashboard/panel", params={"bare": "true"})
            script = client.get("/dashboard/refresh.js")
            assert client.post("/dashboard").status_code == 405

    assert "style=" not in page.text + bare.text
    assert "<style>" not in page.text + bare.text
    assert "<style>" in panel.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    nonce = policy.split("nonce-")[1].split("'")[0]
    assert f'src="dashboard/refresh.js" nonce="{nonce}"' in page.text
    assert "iris" in panel.text
    assert panel.text.count('role="img"') == 3
    assert "unsafe" not in policy
    assert f'<style nonce="{nonce}">' in page.text
    assert "On average since the start: parse" in panel.text
    assert script.headers["content-type"].startswith("text/javascript")
    assert "s3cret" not in page.text


def test_each_of_several_models_has_its_own(model):
    with deploy({"one": model, "two": model}, name="both", example=X) as group:
        group["two"].predict(X.head(1))
        one, two = (
            httpx.get(f"{group.url}/models/{name}/dashboard/panel").text for name in ("one", "two")
        )

    assert "No request" in one
    assert "<svg" in two


def test_versions_that_share_the_traffic_are_side_by_side(model):
    with deploy(model, name="iris", example=X) as service:
        service.split({"old": model, "new": model}, weights=[0.8, 0.2])
        for _ in range(30):
            service.predict(X.head(1))
        panel = httpx.get(f"{service.url}/dashboard/panel").text

    assert "80 %" in panel
    assert "20 %" in panel
    assert "None found" not in panel
