"""How a deployment is reached: over https, through somebody's proxy, by a browser."""

from __future__ import annotations

import json
import pickle
import re
import stat
import subprocess

import httpx2
import pytest

from nbdeploy import Client, deploy
from nbdeploy.exceptions import RequestError, ServingError, StartupError, UnreachableError
from nbdeploy.serving.token_file import token_path
from tests.deployment.iris import IRIS

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of one's own, for another name than the address it is served at."""
    folder = tmp_path_factory.mktemp("certificate")
    files = {"ssl_certfile": folder / "cert.pem", "ssl_keyfile": folder / "key.pem"}
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=churn", "-addext", "subjectAltName=DNS:churn.example,DNS:localhost"]
    out = ["-out", files["ssl_certfile"], "-keyout", files["ssl_keyfile"]]
    try:
        subprocess.run([*command, *names, *out], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    return files


def test_a_token_is_needed_and_the_kernel_and_the_curl_have_it(model, tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "config"))
    service = deploy(model, token="s3cret-t0ken")

    assert service.predict(IRIS.data[:1]).tolist() == [0]
    with pytest.raises(RequestError, match="Send the token") as caught:
        Client(service.url).predict(IRIS.data[:1])
    assert caught.value.status == 401
    (file,) = (tmp_path / "config" / "tokens").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Client(service.url, token=file).predict(IRIS.data[:1]).tolist() == [0]
    shown = (
        repr(service)
        + str(service)
        + service.to_html()
        + str(service.snippets())
        + "".join(service.logs())
    )
    assert "s3cret-t0ken" not in shown
    assert service.url not in repr(service)
    service.stop()
    assert not file.exists()


@pytest.mark.parametrize("token", [None, "s3cret-t0ken"])
def test_the_curl_of_the_card_works_when_pasted(
    model, token, tmp_path, monkeypatch, system_program
):
    system_program("curl")
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "it's config"))
    service = deploy(model, example=IRIS.data, token=token)

    pasted = subprocess.run(
        service.snippets().curl + " --silent --show-error",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert re.fullmatch(r'\{"prediction":\[\d\]\}', pasted.stdout)


@pytest.mark.parametrize("token", [None, "s3cret-t0ken"])
def test_the_python_snippet_works_when_pasted(model, token, tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path))
    service = deploy(model, example=IRIS.data, token=token)
    *lines, call = service.snippets().python.splitlines()
    namespace = {}

    exec("\n".join([*lines, f"answer = {call}"]), namespace)

    assert namespace["answer"] in {0, 1, 2}


def test_open_gives_a_link_that_logs_a_browser_in_once(model, tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path))
    service = deploy(model, token="s3cret-t0ken")
    link = service.open()

    with httpx2.Client(follow_redirects=True) as browser:
        assert browser.get(link.url).status_code == 200
        assert browser.get(f"{service.url}/stats").status_code == 200
    assert httpx2.get(link.url, follow_redirects=True).status_code == 401
    assert link.url not in repr(link)
    assert "s3cret-t0ken" not in link.url


def test_other_machines_need_expose(model):
    with pytest.raises(ServingError, match="expose=True"):
        deploy(model, host="0.0.0.0")
    with pytest.raises(ServingError, match="token"):
        deploy(model, host="0.0.0.0", expose=True, token=None)


def test_an_exposed_service_asks_for_a_token(model, tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path))
    service = deploy(model, host="0.0.0.0", expose=True)

    assert service.predict(IRIS.data[:1]).tolist() == [0]
    assert httpx2.get(f"{service.url}/stats").status_code == 401


def test_with_a_certificate_it_speaks_https_and_nothing_else(model, certificate):
    service = deploy(model, example=IRIS.data, token="s3cret", **certificate)

    assert service.url.startswith("https://127.0.0.1:")
    assert service.predict(IRIS.data[:2]).tolist() == [0, 0]
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(service.url.replace("https", "http"))
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        Client(service.url, token="s3cret").info()
    trusting = Client(service.url, token="s3cret", certificate=certificate["ssl_certfile"])
    assert trusting.info()["name"] == service.name


def test_a_client_that_was_saved_still_trusts_it_and_takes_the_token_of_its_place(
    model, certificate, monkeypatch
):
    service = deploy(model, example=IRIS.data, token="s3cret", **certificate)
    saved = pickle.dumps(
        Client(service.url, token="s3cret", certificate=certificate["ssl_certfile"])
    )
    monkeypatch.setenv("NBDEPLOY_TOKEN", "s3cret")

    assert b"s3cret" not in saved
    assert pickle.loads(saved).predict(IRIS.data[:2]).tolist() == [0, 0]


def test_a_load_and_a_client_of_several_trust_it_too(model, certificate):
    service = deploy(model, example=IRIS.data, token="s3cret", **certificate)

    result = service.load_test(10, seconds=0.5)
    several = Client([service.url], token="s3cret", certificate=certificate["ssl_certfile"])

    assert (len(result.answered), result.errors) == (5, {})
    assert several.predict(IRIS.data[:2]).tolist() == [0, 0]
    several.close()


def test_another_certificate_is_not_the_one_that_is_trusted(model, certificate, tmp_path):
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=churn",
         "-out", other, "-keyout", tmp_path / "other-key.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    service = deploy(model, **certificate)

    with pytest.raises(UnreachableError):
        Client(service.url, certificate=other).info()


def test_the_snippets_trust_the_certificate(model, certificate, tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path))
    service = deploy(model, example=IRIS.data, token="s3cret", **certificate)
    snippets = service.snippets()

    # The certificate is made for the name, not for the address.
    pasted = subprocess.run(
        snippets.curl.replace("127.0.0.1", "localhost") + " --silent --show-error",
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    namespace = {}
    *lines, call = snippets.python.splitlines()
    exec("\n".join([*lines, f"answer = {call}"]), namespace)

    assert re.fullmatch(r'\{"prediction":\[\d\]\}', pasted.stdout)
    assert namespace["answer"] in {0, 1, 2}
    assert all("cert.pem" in each for each in (snippets.r, snippets.javascript))


def test_the_cookie_of_https_never_travels_without(model, certificate):
    service = deploy(model, token="s3cret", **certificate)

    entered = httpx2.get(service.open().url, verify=False)

    assert "; Secure" in entered.headers["Set-Cookie"]


def test_a_certificate_that_cannot_be_used_is_told_at_once(model, tmp_path):
    with pytest.raises(StartupError, match=r"nothing\.pem"):
        deploy(model, ssl_certfile=tmp_path / "nothing.pem")


def test_on_a_hub_the_browser_goes_through_it_and_shows_a_token(model, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    service = deploy(model, name="iris", example=IRIS.data)
    port = service.url.rpartition(":")[2]

    link = service.open()

    assert link.url.startswith(f"/user/ada/proxy/{port}/login?code=")
    assert service.service.access.token
    assert "open() gives a link that works once" in service.to_html()
    assert "open() gives a link that works once" in str(service)
    assert port not in str(service)
    assert httpx2.get(f"{service.url}/stats").status_code == 401


def test_through_jupyters_proxy_the_link_is_a_path_of_jupyter(model, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_APP_TYPE", "JupyterLab")
    service = deploy(model, name="iris", token=None, allowed_hosts=["studio.example"])
    port = service.url.rpartition(":")[2]

    assert f'href="/jupyter/default/proxy/{port}/docs"' in service.to_html()
    assert service.open().url == f"/jupyter/default/proxy/{port}/docs"
    assert "try_it()" in str(service)


def test_without_a_token_a_name_that_nobody_told_is_refused_and_the_card_says_so(
    model, monkeypatch
):
    monkeypatch.setenv("CODESPACE_NAME", "owl")
    service = deploy(model, name="iris", token=None)

    assert service.open().url.startswith("https://owl-")
    assert "allowed_hosts=" in str(service)


@pytest.mark.parametrize(
    ("variable", "place"),
    [("KAGGLE_KERNEL_RUN_TYPE", "Kaggle"), ("DATABRICKS_RUNTIME_VERSION", "Databricks")],
)
def test_where_no_browser_reaches_a_port_the_card_says_so_and_offers_the_form(
    model, monkeypatch, variable, place
):
    monkeypatch.setenv(variable, "1")
    service = deploy(model, name="iris", example=IRIS.data)

    for shown in (str(service), service.to_html()):
        assert f"{place} lets no browser reach a port" in shown
        assert "try_it()" in shown
    assert "<a " not in service.to_html()
    with pytest.raises(ServingError, match="try_it"):
        service.open()
    assert "setosa" not in service.try_it().predict()
    assert service.predict(IRIS.data[:1]).tolist() == [0]


def test_behind_a_proxy_the_cookie_keeps_to_the_services_own_path(model, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    service = deploy(model, name="iris", token="s3cret")
    prefix, _, rest = service.open().url.partition("/login")
    headers = {"Host": "hub.example", "X-Forwarded-Prefix": prefix, "X-Forwarded-Proto": "https"}

    entered = httpx2.get(f"{service.url}/login{rest}", headers=headers)
    described = httpx2.get(
        f"{service.url}/openapi.json", headers={**headers, "X-API-Key": "s3cret"}
    )

    cookie = entered.headers["Set-Cookie"].split("; ")
    assert {f"Path={prefix}", "Secure", "HttpOnly", "SameSite=Strict"} < set(cookie)
    assert json.loads(described.text)["servers"] == [{"url": "./"}]


def test_a_token_file_is_its_owners_alone(model, tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config" / "tokens").mkdir(parents=True, mode=0o755)
    with deploy(model, name="iris", token="s3cret"):
        assert token_path("iris").stat().st_mode & 0o777 == 0o600
        assert token_path("iris").parent.stat().st_mode & 0o777 == 0o700
    assert not token_path("iris").exists()
