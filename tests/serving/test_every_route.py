"""Who may call is asked on every route, by every verb, on a real port: those added later too."""

from __future__ import annotations

import http.client
import re
import sys

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from starlette.routing import Mount

from nbdeploy.models.predictor import METHODS
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.security import OPEN_PATHS
from nbdeploy.serving.server import BackgroundServer
from nbdeploy.serving.service import ModelService

TOKEN = "s3cret-of-the-routes"
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

# What clients of other servers ask for, whether it is answered already or not.
OF_OTHER_SERVERS = (
    "/v2", "/v2/models", "/v2/models/iris", "/v2/models/iris/ready", "/v2/models/iris/infer",
    "/v2/models/iris/versions/1", "/v2/models/iris/versions/1/infer", "/v2/models/iris/stats",
    "/v2/repository/index", "/v2/repository/models/iris/load", "/v1/models", "/v1/models/iris",
    "/v1/models/iris:predict", "/v1/models/iris/versions/1:predict", "/v1/models/iris:explain",
    "/invocations", "/version", "/metadata", "/prototype", "/metrics", "/feedback", "/dashboard",
    "/models/iris/predict", "/model/info", "/pin-url", "/login", "/info",
)  # fmt: skip

# What is nearly an open path, or looks like one to whoever decodes or normalizes it once more.
NEARLY_OPEN = (
    "/health/", "//health", "/HEALTH", "/health;x", "/health/../predict", "/health%2f..%2fpredict",
    "/health/live/predict", "/predict/../health", "/%68ealth%00", "/v2/health/", "/v2/health/x",
    "/health/.", "/./health", "/health\\predict", "/ping/", "/docs/..%2fhealth",
)  # fmt: skip

SAMPLES = {"method": [*METHODS, "nope"], "name": ["start.js", "iris"]}


def paths_of(app):
    """Every path that the application answers or describes, with values for its parameters."""
    templates = {*_templates(app.routes), *app.openapi()["paths"], *_endpoints()}
    return sorted({path for template in templates for path in _filled(template)})


def _endpoints():
    """Paths that the package answers besides FastAPI's routes: a table named so tells them."""
    for name, module in list(sys.modules.items()):
        if name.startswith("nbdeploy.serving."):
            yield from (endpoint.path for endpoint in getattr(module, "ENDPOINTS", ()))


def _templates(routes, prefix=""):
    for route in routes:
        if isinstance(route, Mount):
            yield from _templates(route.routes or [], prefix + route.path)
        else:
            yield prefix + route.path


def _filled(template):
    parameter = re.search(r"\{(\w+)(:\w+)?\}", template)
    if parameter is None:
        return [template]
    return [
        path
        for value in SAMPLES.get(parameter[1], ["iris"])
        for path in _filled(template.replace(parameter[0], value, 1))
    ]


@pytest.fixture(scope="module")
def route():
    iris = load_iris()
    return route_from_model(LogisticRegression(max_iter=500).fit(iris.data, iris.target))


@pytest.fixture(scope="module")
def guarded(route):
    service = ModelService(route, name="iris", token=TOKEN)
    with BackgroundServer(service.app, name="guarded") as server:
        yield service, server


@pytest.fixture(scope="module")
def local(route):
    service = ModelService(route, name="iris")
    assert service.access.token is None, "this machine is shared: the test means one that is not"
    with BackgroundServer(service.app, name="local") as server:
        yield service, server


class Asked:
    """Asks one server over one connection, with exactly the headers that a test names."""

    def __init__(self, server):
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=10)

    def close(self):
        self._connection.close()

    def __call__(self, verb, path, host="any.example", **headers):
        self._connection.putrequest(verb, path, skip_host=True, skip_accept_encoding=True)
        self._connection.putheader("Host", host)
        for name, value in headers.items():
            self._connection.putheader(name.replace("_", "-"), value)
        body = b'{"features": [5.1, 3.5, 1.4, 0.2]}' if verb in {"POST", "PUT", "PATCH"} else b""
        self._connection.putheader("Content-Length", str(len(body)))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        response.read()
        return response


@pytest.fixture
def asked():
    """Make callers that hang up when the test ends."""
    callers = []

    def caller_of(server):
        callers.append(Asked(server))
        return callers[-1]

    yield caller_of
    for caller in callers:
        caller.close()


def all_paths(service):
    return [*paths_of(service.app), *OF_OTHER_SERVERS, *NEARLY_OPEN]


def test_the_paths_are_found(guarded):
    found = set(paths_of(guarded[0].app))

    assert {"/predict", "/docs", "/docs/assets/start.js", "/stats", "/openapi.json"} < found
    assert found > OPEN_PATHS


@pytest.mark.parametrize("verb", VERBS)
def test_with_a_token_nothing_but_health_answers_without_it(guarded, asked, verb):
    service, server = guarded
    ask = asked(server)

    for path in all_paths(service):
        wrong = [
            ask(verb, path),
            ask(verb, path, X_API_Key=TOKEN[:-1]),
            ask(verb, path, X_API_Key=TOKEN + "x"),
            ask(verb, path, Authorization=f"Basic {TOKEN}"),
            ask(verb, path, Authorization=f"token {TOKEN}"),
            ask(verb, path, Cookie=f"nbdeploy_12345678={TOKEN}"),
            ask(verb, f"{path}?token={TOKEN}"),
        ]
        statuses = {response.status for response in wrong}
        if path in OPEN_PATHS:
            assert 401 not in statuses, path
        else:
            assert statuses == {401}, path
            assert all(response.headers["WWW-Authenticate"] == "Bearer" for response in wrong)


@pytest.mark.parametrize("verb", VERBS)
def test_with_the_token_every_route_answers_under_any_host(guarded, asked, verb):
    service, server = guarded
    ask = asked(server)

    for path in all_paths(service):
        for headers in (
            {"X_API_Key": TOKEN},
            {"Authorization": f"Bearer {TOKEN}"},
            # Jupyter's proxy passes its own token on.
            {"Authorization": "Bearer of-jupyter", "X_API_Key": TOKEN},
        ):
            response = ask(verb, path, host="hub.example:8443", **headers)
            is_login = path == "/login"
            assert response.status not in ({403, 421} if is_login else {401, 403, 421}), path
            assert response.status < 500, path
            assert response.headers["X-Content-Type-Options"] == "nosniff", path
            assert not [name for name in response.headers if "access-control" in name.lower()]


@pytest.mark.parametrize("verb", VERBS)
def test_without_a_token_a_foreign_host_reaches_nothing(local, asked, verb):
    service, server = local
    ask = asked(server)

    for path in all_paths(service):
        for host in ("evil.example", f"127.0.0.1.evil.example:{server.port}", "0.0.0.0"):
            assert ask(verb, path, host=host).status == 421, path
        known = ask(verb, path, host=f"localhost:{server.port}").status
        assert known not in {401, 403, 421}, path
        assert known < 500, path


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_of_another_origin_reaches_nothing(guarded, local, asked, verb):
    for service, server in (guarded, local):
        ask = asked(server)
        own = f"127.0.0.1:{server.port}"
        for path in all_paths(service):
            for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
                response = ask(verb, path, host=own, X_API_Key=TOKEN, Origin=origin)
                assert response.status == 403, (path, origin)
            same = ask(verb, path, host=own, X_API_Key=TOKEN, Origin=f"http://{own}")
            assert same.status != 403, path


def test_a_route_that_somebody_adds_later_is_behind_the_same_gate(route, asked):
    service = ModelService(route, name="iris", token=TOKEN)
    for verb in ("GET", "POST"):
        service.app.add_api_route("/own/added", lambda: "open?", methods=[verb])
    service.app.mount("/mounted", lambda scope, receive, send: 1 / 0)
    with BackgroundServer(service.app, name="added") as server:
        ask = asked(server)

        assert "/own/added" in paths_of(service.app)
        assert {ask(verb, "/own/added").status for verb in ("GET", "POST")} == {401}
        assert ask("GET", "/mounted/x").status == 401
        assert ask("GET", "/own/added", X_API_Key=TOKEN).status == 200
