import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import ServingError
from nbdeploy.serving import addresses
from nbdeploy.serving.addresses import (
    Jupyter,
    Surroundings,
    address_of,
    browser_page,
    came_encrypted,
    forwarded_prefix,
    surroundings,
)

HERE = "http://127.0.0.1:8123"

# Environment, Jupyter's notice, in Colab -> what the browser opens.
TABLE = {
    "a terminal": ({}, None, False, f"{HERE}/"),
    "VS Code": ({"VSCODE_PID": "7", "VSCODE_CWD": "/"}, None, False, f"{HERE}/"),
    "a terminal by ssh": ({"SSH_CONNECTION": "a b c d"}, None, False, f"{HERE}/"),
    "Jupyter, here": ({}, Jupyter("/", "localhost"), False, f"{HERE}/"),
    "Jupyter, here, by address": ({}, Jupyter("/lab/", "127.0.0.1"), False, f"{HERE}/"),
    "Jupyter, by ssh": (
        {"SSH_CONNECTION": "a b c d"}, Jupyter("/", "localhost", True), False, "/proxy/8123/"
    ),
    "Jupyter, in a container": ({}, Jupyter("/", "0.0.0.0", True), False, "/proxy/8123/"),
    "Jupyter, far, below a path": (
        {}, Jupyter("/team/lab/", "lab.example", True), False, "/team/lab/proxy/8123/"
    ),
    "Jupyter, far, without the proxy": ({}, Jupyter("/", "0.0.0.0", False), False, None),
    "JupyterHub": (
        {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, None, False, "/user/ada/proxy/8123/"
    ),
    "JupyterHub, a named server": (
        {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/gpu/"},
        Jupyter("/user/ada/gpu/", "127.0.0.1"),
        False,
        "/user/ada/gpu/proxy/8123/",
    ),
    "Binder": (
        {"JUPYTERHUB_SERVICE_PREFIX": "/user/org-repo-x1/", "BINDER_SERVICE_HOST": "10.0.0.1"},
        None,
        False,
        "/user/org-repo-x1/proxy/8123/",
    ),
    "Colab": ({"COLAB_RELEASE_TAG": "r"}, None, True, None),
    "Kaggle, whose image is made of Colab's": (
        {"KAGGLE_KERNEL_RUN_TYPE": "Interactive", "COLAB_RELEASE_TAG": "r"}, None, True, None
    ),
    "Codespaces": (
        {
            "CODESPACE_NAME": "silver-owl-1",
            "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
        },
        None,
        False,
        "https://silver-owl-1-8123.app.github.dev/",
    ),
    "Coder": (
        {"VSCODE_PROXY_URI": "https://{{port}}--main--ws.coder.example"},
        None,
        False,
        "https://8123--main--ws.coder.example/",
    ),
    "code-server, below a path": (
        {"VSCODE_PROXY_URI": "https://code.example/proxy/{{port}}/"},
        None,
        False,
        "https://code.example/proxy/8123/",
    ),
    "code-server, relative": ({"VSCODE_PROXY_URI": "./proxy/{{port}}"}, None, False, None),
    "SageMaker Studio": (
        {"SAGEMAKER_APP_TYPE": "JupyterLab"},
        Jupyter("/jupyterlab/default/", "0.0.0.0"),
        False,
        "/jupyterlab/default/proxy/8123/",
    ),
    "SageMaker, no notice": (
        {"AWS_SAGEMAKER_PYTHONNOUSERSITE": "0"}, None, False, "/jupyter/default/proxy/8123/"
    ),
    "Databricks": ({"DATABRICKS_RUNTIME_VERSION": "16.4"}, None, False, None),
}  # fmt: skip


@pytest.mark.parametrize("place", TABLE)
def test_the_browser_opens_what_the_table_says(place):
    environment, jupyter, in_colab, expected = TABLE[place]

    address = address_of(HERE, Surroundings(environment, jupyter, in_colab))

    assert address.kernel == HERE
    assert address.browser == expected
    if expected is None:
        assert address.page("docs") is None
        assert address.note
    else:
        assert address.page("docs") == expected + "docs"


@pytest.mark.parametrize("place", [name for name, row in TABLE.items() if row[3] is None])
def test_where_there_is_no_address_the_reader_is_told_what_works_instead(place):
    environment, jupyter, in_colab, _ = TABLE[place]
    address = address_of(HERE, Surroundings(environment, jupyter, in_colab))

    assert "try_it()" in address.note or address.asks_colab
    if not address.asks_colab:
        with pytest.raises(ServingError, match="try_it"):
            browser_page(address, "docs")


def test_only_where_the_browser_is_elsewhere_is_it_said_so():
    near = {
        name for name in TABLE if not address_of(HERE, Surroundings(*TABLE[name][:3])).is_elsewhere
    }

    assert near == {
        "a terminal", "VS Code", "a terminal by ssh", "Jupyter, here", "Jupyter, here, by address",
    }  # fmt: skip


@pytest.mark.parametrize("template", ["http://[{{port}}", "javascript:alert({{port}})", "//x", " "])
def test_a_template_that_is_no_address_of_the_web_is_none(template):
    assert address_of(HERE, Surroundings({"VSCODE_PROXY_URI": template})).browser is None


def test_jupyters_proxy_reaches_no_service_that_speaks_https():
    hub = Surroundings({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"})

    address = address_of("https://127.0.0.1:8123", hub)

    assert address.browser is None
    assert "https" in address.note


@given(
    st.dictionaries(
        st.sampled_from(
            ["JUPYTERHUB_SERVICE_PREFIX", "VSCODE_PROXY_URI", "CODESPACE_NAME", "SSH_CONNECTION",
             "SAGEMAKER_APP_TYPE", "KAGGLE_KERNEL_RUN_TYPE"]
        ),
        st.text(max_size=20),
    ),
    st.integers(1, 65535),
)  # fmt: skip
def test_whatever_the_environment_holds_there_is_an_address_or_a_note(environment, port):
    address = address_of(f"http://127.0.0.1:{port}", Surroundings(environment))

    assert address.note if address.browser is None else address.browser.endswith("/")
    assert str(port) not in address.note


def test_colab_is_asked_when_a_link_is_wanted(monkeypatch):
    asked = []

    def eval_js(code):
        asked.append(code)
        return "https://x1-8123.colab.example"

    output = SimpleNamespace(eval_js=eval_js)
    monkeypatch.setitem(sys.modules, "google", SimpleNamespace(colab=SimpleNamespace()))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(output=output))
    address = address_of(HERE, surroundings())

    assert address.asks_colab
    assert browser_page(address, "docs") == "https://x1-8123.colab.example/docs"
    assert "proxyPort(8123" in asked[0]


@pytest.fixture
def jupyter_notice(monkeypatch, tmp_path):
    """Write what a running Jupyter writes, and be a kernel that it started."""
    pytest.importorskip("jupyter_core")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "4711")

    def write(**facts):
        told = {"base_url": "/", "hostname": "localhost", "token": "jupyters-own", **facts}
        (tmp_path / "jpserver-4711.json").write_text(json.dumps(told))

    return write


def test_a_running_jupyter_tells_where_it_is_and_not_its_token(jupyter_notice):
    jupyter_notice(base_url="/lab/", hostname="0.0.0.0")

    found = surroundings()

    assert found.jupyter == Jupyter("/lab/", "0.0.0.0", None)
    assert "jupyters-own" not in repr(found)


@pytest.mark.parametrize("facts", [{"base_url": None}, {"hostname": None}])
def test_a_strange_notice_does_no_harm(jupyter_notice, facts):
    jupyter_notice(**facts)

    assert address_of(HERE, surroundings()).kernel == HERE


def test_a_kernel_of_something_else_has_no_jupyter(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "4711")

    assert surroundings().jupyter is None


def test_the_proxy_is_looked_for_beside_jupyter(tmp_path):
    (tmp_path / "lib/python3.12/site-packages").mkdir(parents=True)
    command = [str(tmp_path / "bin/python3.12").encode(), str(tmp_path / "bin/jupyter").encode()]
    folders = addresses._package_folders(command)

    assert {folder.name for folder in folders} == {"site-packages"}
    assert addresses._package_folders([b"python", b"-m"]) == []


def scope(*headers, client="127.0.0.1", scheme="http"):
    return {"headers": list(headers), "client": (client, 5), "scheme": scheme}


def test_a_proxy_on_this_machine_tells_the_prefix():
    assert forwarded_prefix(scope((b"x-forwarded-prefix", b"/user/ada/proxy/8123/"))) == (
        "/user/ada/proxy/8123"
    )
    assert forwarded_prefix(scope()) == ""


def test_nobody_else_tells_it():
    header = (b"x-forwarded-prefix", b"/elsewhere")

    assert forwarded_prefix(scope(header, client="10.0.0.9")) == ""
    assert forwarded_prefix({"headers": [header], "client": None}) == ""


@pytest.mark.parametrize(
    "sent",
    [b"//evil.example", b"http://evil.example", b"/a/../b", b"/a; Path=/", b"/a\r\nset-cookie: b",
     b"relative", b"/a b", b"/a?b", b"/a#b", b"/" + b"a" * 600, b"/\xff", b"/a//b", b"/<b>"],
)  # fmt: skip
def test_what_is_no_plain_path_is_no_prefix(sent):
    assert forwarded_prefix(scope((b"x-forwarded-prefix", sent))) == ""


def test_two_prefixes_are_none():
    twice = [(b"x-forwarded-prefix", b"/a"), (b"x-forwarded-prefix", b"/b")]

    assert forwarded_prefix(scope(*twice)) == ""


def test_https_is_seen_directly_and_believed_of_a_proxy_on_this_machine():
    header = (b"x-forwarded-proto", b"https")

    assert came_encrypted(scope(scheme="https"))
    assert came_encrypted(scope(header))
    assert not came_encrypted(scope(header, client="10.0.0.9"))
    assert not came_encrypted(scope())
