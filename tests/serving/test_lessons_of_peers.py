"""What went wrong at other servers, as reported of them in public, must not go wrong here.

Each test names its case: the peer, its report, and what was the cause there.
"""

from __future__ import annotations

import ast
import http.client
import json
import os
import pickle
import socket
import threading
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

import nbdeploy
from nbdeploy import ModelService, deploy, stop_all
from nbdeploy.exceptions import ModelFileError, ServingError
from nbdeploy.serving.names import checked_name
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.token_file import token_path

TOKEN = "s3cret-of-the-lessons"
KEY = {"X-API-Key": TOKEN}
GOOD = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
PACKAGE = Path(nbdeploy.__file__).parent


@pytest.fixture(scope="module")
def model():
    iris = load_iris()
    return LogisticRegression(max_iter=500).fit(iris.data, iris.target)


@pytest.fixture(scope="module")
def guarded(model):
    yield deploy(model, name="guarded lessons", token=TOKEN)
    stop_all()


@pytest.fixture(scope="module")
def local(model):
    yield deploy(model, name="local lessons", token=None)
    stop_all()


def ask(service, verb, path, body=b"", **headers):
    """Send exactly this; give status, headers and body."""
    address, _, port = service.url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(address, int(port), timeout=10)
    try:
        connection.putrequest(verb, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class Marks:
    """Unpickled, it leaves a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


@contextmanager
def listener():
    """A server of somebody else: tells whether anybody came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)

        def accept():
            try:
                came.append(server.accept()[0])
            except TimeoutError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x", came
        thread.join()
        for connection in came:
            connection.close()


# Ray: CVE-2023-48022 ("ShadowRay"), 2023-6019, -6020, -6021, -48023: jobs ran for whoever came.


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/version", "/logs/x", "/static/..%2f..%2fetc"])
def test_ray_shadowray_nothing_is_managed_over_http(guarded, path):
    for verb in ("GET", "POST", "PUT", "DELETE"):
        assert ask(guarded, verb, path, GOOD)[0] == 401
        assert ask(guarded, verb, path, GOOD, **KEY)[0] in {404, 405}


# Ray: CVE-2026-27482: a filter against browsers knew POST and PUT, and forgot DELETE.


@pytest.mark.parametrize(
    "verb", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "MKCOL"]
)
def test_ray_cve_2026_27482_no_verb_is_forgotten(local, verb):
    for path in ("/predict", "/stats", "/nothing"):
        assert ask(local, verb, path, Origin="http://evil.example")[0] == 403
        assert ask(local, verb, path, Host="evil.example")[0] == 421


# MLflow: CVE-2025-14279: DNS rebinding, as no Host was checked; no frame policy, open CORS.


def test_mlflow_cve_2025_14279_rebinding_frames_and_cors(local):
    status, _, body = ask(local, "POST", "/predict", GOOD, Host="evil.example")
    _, headers, _ = ask(local, "GET", "/docs")

    assert status == 421
    assert b"prediction" not in body
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert not [name for name in headers if name.lower().startswith("access-control")]


# MLflow: CVE-2023-1177, 2023-2780, 2023-6831, 2024-1560, 2024-1593, 2025-11201; jupyter_server:
# CVE-2026-35397, GHSA-hrw6, GHSA-q874: names led out of the folder, in six rounds of fixes.

UP = ("../", "..\\", "%2e%2e/", "%252e%252e%252f", "..;/", "..%5c", "....//", "..%c0%af")
CLIMBS = [
    prefix + climb + target
    for prefix in ("", "x/", "/")
    for climb in UP
    for target in ("secret", "swagger-ui.css/../../secret")
] + [
    "/etc/passwd", "//etc/passwd", "C:\\windows\\win.ini", "\\\\host\\share", "file:///etc/passwd",
    ".ssh/id_rsa", ".", "..", "~", "~root/x", "a\x00.css", "swagger-ui.css%00", "CON", "aux.txt",
    "swagger-ui.css.", "swagger-ui.css ", "SWAGGER-UI.CSS", "swagger-ui.css::$DATA", "\u2025/x",
    "\uff0e\uff0e/x", "..\u2215x", "start.js?x/../y",
]  # fmt: skip


@pytest.mark.parametrize("name", CLIMBS, ids=range(len(CLIMBS)))
def test_mlflow_path_traversal_no_name_leads_out(local, name):
    sent = "".join(c if c.isascii() and c > " " else f"%{b:02x}" for c in name for b in c.encode())
    status, headers, body = ask(local, "GET", f"/docs/assets/{sent}")

    assert status in {400, 404} or (status == 200 and name.startswith("start.js?"))
    assert b"root:" not in body
    assert status != 200 or headers["Content-Type"].startswith("text/javascript")
    folder = token_path("x").parent
    assert token_path(name).parent == folder
    assert token_path(name).name.isascii()
    try:
        accepted = checked_name(name)
    except ServingError:
        return
    assert "/" not in accepted
    assert accepted not in {".", ".."}


# MLflow: CVE-2026-0545: authentication was not applied to routes that were added later.


def test_mlflow_cve_2026_0545_a_route_of_tomorrow_is_behind_the_gate(guarded):
    guarded.service.app.add_api_route("/of/tomorrow", lambda: "open", include_in_schema=False)

    assert ask(guarded, "GET", "/of/tomorrow")[0] == 401
    assert ask(guarded, "GET", "/of/tomorrow", **KEY)[0] == 200


# LitServe: issue 674: with several APIs only the first asked for the key.


def test_litserve_674_every_service_and_method_asks_for_its_own_token(guarded, model):
    with deploy(model, name="second", token="another-s3cret") as second:
        for path in ("/predict", "/predict_proba", "/decision_function", "/stats"):
            assert ask(second, "POST", path, GOOD, **KEY)[0] == 401
            assert ask(guarded, "POST", path, GOOD, **{"X-API-Key": "another-s3cret"})[0] == 401


# MLflow: CVE-2026-2393 (webhooks); BentoML (files given as URLs); Gradio: CVE-2026-28416;
# TorchServe: "ShellTorch", CVE-2023-43654 (models by URL): the server fetched what a request named.


def test_mlflow_bentoml_gradio_torchserve_nothing_is_fetched_from_a_url(local):
    with listener() as (url, came):
        for body in (
            {"features": url},
            {"features": [url] * 4},
            {"instances": [{"url": url, "b64": url}]},
            {"url": url, "webhook": url, "model": url},
        ):
            ask(
                local, "POST", "/predict", json.dumps(body).encode(),
                **{"Referer": url, "X-Forwarded-Prefix": url, "X-Callback-URL": url},
            )  # fmt: skip
        ask(local, "GET", f"/docs?url={url}")
        ask(local, "GET", url)

    assert came == []


def test_torchserve_shelltorch_a_model_is_no_url(local):
    with listener() as (url, came), pytest.raises(ModelFileError):
        deploy(url)
    assert came == []


# TorchServe: "ShellTorch", and d622230d9: the management listened on all addresses, without token.


def test_torchserve_shelltorch_the_default_is_this_machine(model, local):
    assert local.url.startswith("http://127.0.0.1:")
    with pytest.raises(ServingError, match="expose=True"):
        deploy(model, name="open", host="0.0.0.0")
    with pytest.raises(ServingError, match="needs a token"):
        deploy(model, name="open", host="0.0.0.0", expose=True, token=None)


# BentoML: CVE-2024-2912, CVE-2025-27520: a Content-Type made the server unpickle the body.
# MLflow: CVE-2024-37052 to -37056: an uploaded model was unpickled.


@pytest.mark.parametrize(
    "kind",
    ["application/vnd.bentoml+pickle", "application/python-pickle", "application/x-pickle",
     "application/octet-stream", "application/x-joblib", "application/json", None],
)  # fmt: skip
def test_bentoml_cve_2025_27520_no_body_is_unpickled(local, tmp_path, kind):
    marker = tmp_path / "marker"
    headers = {"Content-Type": kind} if kind else {}
    statuses = {
        ask(local, verb, path, pickle.dumps(Marks(marker)), **headers)[0]
        for verb in ("POST", "PUT")
        for path in ("/predict", "/predict_proba", "/model", "/docs")
    }

    assert not marker.exists()
    assert statuses <= {400, 404, 405, 415}
    if kind is not None and kind != "application/json":
        assert 415 in statuses


# BentoML: GHSA-m6w7-qv66-g3mf; KServe: 8fb797a9d: an archive led out of its folder.


def test_bentoml_kserve_no_archive_is_unpacked():
    calls = {
        node.func.attr
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }

    assert calls.isdisjoint({"extractall", "extract", "unpack_archive"})


# BentoML: CVE-2024-9056: a huge boundary of a form kept the server busy.


def test_bentoml_cve_2024_9056_there_are_no_forms(local):
    boundary = "-" * 60_000
    body = f"--{boundary}\r\n\r\nx\r\n--{boundary}--".encode() + b"-" * 500_000
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    short = {"Content-Type": "multipart/form-data; boundary=x"}

    assert ask(local, "POST", "/predict", body, **kind)[0] in {415, 431}
    assert ask(local, "POST", "/predict", body, **short)[0] == 415


# Triton: 44273e8d0, 04af2a624, f46557bec, 8489, 8676: names, sizes and depths were trusted.


@pytest.mark.parametrize(
    "features",
    [
        "[" * 100_000 + "]" * 100_000,
        "[1e999, 1, 1, 1]",
        f"[{10**400}, 1, 1, 1]",
        f"[{2**63}, {2**64}, {-(2**65)}, 1]",
        '{"' + "a" * 100_000 + '": 1}',
        "[" + "1," * 100_000 + "1]",
        '{"0": [1], "1": [1, 2], "2": [], "3": [1]}',
    ],
    ids=["depth", "infinite", "400 digits", "beyond 64 bits", "a long name", "too wide", "ragged"],
)
def test_triton_sizes_and_depths_are_not_trusted(local, features):
    status, _, body = ask(local, "POST", "/predict", f'{{"features": {features}}}'.encode())

    assert status in {200, 400, 422}
    assert len(body) < 2_000


# KServe: starlette CVE-2026-48710, h11 CVE-2025-43859, python-multipart CVE-2026-24486.


def test_kserve_the_packages_that_were_mended_are_asked_for():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    needed = {each.name: each.specifier for each in map(Requirement, project["dependencies"])}

    assert not needed["h11"].contains("0.15")
    assert not needed["starlette"].contains("1.0.0")
    assert "python-multipart" not in needed


# Gradio 5 (audit by Trail of Bits): CORS on localhost gave other sites the token.


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "null", "own"])
def test_gradio_no_site_is_told_that_it_may_read(local, origin):
    preflight = {
        "Origin": local.url if origin == "own" else origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    status, headers, _ = ask(local, "OPTIONS", "/predict", **preflight)

    assert status in {403, 405}
    assert not [name for name in headers if name.lower().startswith("access-control")]


# jupyter-server-proxy: CVE-2024-28179: WebSockets came in without authentication; CVE-2024-35225,
# GHSA-gcv9: what stands in front is not trusted to have asked.


def test_jupyter_server_proxy_cve_2024_28179_no_websocket_without_a_token(guarded):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    assert ask(guarded, "GET", "/predict", **upgrade)[0] == 401
    assert ask(guarded, "GET", "/predict", **upgrade, **KEY)[0] == 405
    behind = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-User": "ada", "X-Forwarded-Prefix": "/x"}
    assert ask(guarded, "GET", "/stats", **behind)[0] == 401


@pytest.mark.parametrize("path", ["/v2/health/ready", "/health/live", "/v2/health/live"])
def test_jupyter_server_proxy_gcv9_no_prefix_turns_an_open_path_into_another(guarded, path):
    for prefix in ("/v2", "/v2/health", "/health", path):
        status, _, body = ask(guarded, "GET", path, **{"X-Forwarded-Prefix": prefix})
        assert status == 200
        assert set(json.loads(body)) <= {"live", "ready", "status"}


# jupyter_server: GHSA-p737: the token was logged with the headers; GHSA-h56g: answers held
# tracebacks.


def test_jupyter_server_ghsa_p737_and_h56g_no_token_in_logs_no_traceback_in_answers(guarded):
    answers = [
        ask(guarded, "GET", f"/stats?token={TOKEN}", Authorization=f"token {TOKEN}")[2],
        ask(guarded, "POST", "/predict", b"{", **KEY)[2],
        ask(guarded, "POST", "/predict", GOOD, Authorization=f"Bearer {TOKEN} x")[2],
        ask(guarded, "BREW", "/predict", GOOD, **KEY)[2],
    ]

    logged = "\n".join(guarded._server.logs(tracebacks=True))
    assert TOKEN not in logged
    for answer in answers:
        assert TOKEN.encode() not in answer
        assert b"Traceback" not in answer
        assert b".py" not in answer


# jupyter_server: GHSA-r726: a path that begins with two slashes led to another site.


@pytest.mark.parametrize(
    "path", ["//evil.example", "//evil.example/docs/", "/\\evil.example", "/docs/", "/", "/stats/"]
)
def test_jupyter_server_ghsa_r726_no_redirect_leads_away(local, path):
    _, headers, _ = ask(local, "GET", path, **{"X-Forwarded-Prefix": "//evil.example"})

    assert headers.get("Location", "docs") == "docs"


# jupyter_server: GHSA-64x5 (no check of where a request comes from); FastAPI: CVE-2021-32677: a
# page can post text/plain, a form, or a body without a type to this machine without asking.


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
     "multipart/form-data; boundary=x", "text/html", "application/json, text/plain", ""],
)  # fmt: skip
def test_fastapi_cve_2021_32677_what_a_page_can_post_unasked_is_not_read(local, kind):
    cross = {"Content-Type": kind, "Origin": "http://evil.example"}

    assert ask(local, "POST", "/predict", GOOD, **{"Content-Type": kind})[0] == 415
    assert ask(local, "POST", "/predict", GOOD, **cross)[0] == 403
    assert ask(local, "POST", "/predict", GOOD, Origin="http://evil.example")[0] == 403


# jupyter_server: GHSA-fcw5: a name ran as a script.


def test_jupyter_server_ghsa_fcw5_no_name_runs_as_a_script(model):
    service = ModelService(route_from_model(model), name="<script>alert(1)</script>")
    page = TestClient(service.app).get("/docs").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
