from __future__ import annotations

import importlib.metadata
import socket

import pytest

from nbdeploy.teach import ready, ready_check
from nbdeploy.teach.ready import (
    Finding,
    Readiness,
    browser_finding,
    cpu_finding,
    folder_finding,
    libraries_finding,
    memory_finding,
    notebook_finding,
    packages_finding,
    port_finding,
    proxy_findings,
    python_finding,
)


def test_this_machine_is_ready(tmp_path):
    found = ready_check(tmp_path)
    assert found.ok, repr(found)
    assert list(tmp_path.iterdir()) == []


def test_an_old_python_is_a_problem():
    assert python_finding((3, 10, 4)) == Finding(
        "Python", "3.10.4", "problem", "Install Python 3.11 or newer."
    )
    assert python_finding((3, 14, 0)).status == "ok"


def test_a_missing_or_old_package_is_named(monkeypatch):
    wanted = ["numpy>=9999", "no-such-package", "pandas>=1", "torch; extra == 'torch'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: wanted)
    finding = packages_finding()
    assert finding.status == "problem"
    assert finding.found.startswith("numpy is ")
    assert finding.found.endswith("needed is >=9999; no-such-package is missing")


def test_a_library_that_cannot_be_imported_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "broken_library.py").write_text("raise ImportError('numpy ABI changed')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = libraries_finding({"broken_library": "broken-library", "json": "json"})
    assert finding.status == "problem"
    assert finding.found == "broken-library: ImportError: numpy ABI changed"
    assert finding.cure == "Run `pip install --force-reinstall broken-library`."


def test_a_sandbox_without_sockets_is_a_problem(monkeypatch):
    def forbidden(*_args, **_options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "create_server", forbidden)
    finding = port_finding()
    assert finding.status == "problem"
    assert "Operation not permitted" in finding.found


def test_a_folder_that_is_not_there_is_a_problem(tmp_path):
    finding = folder_finding(tmp_path / "nowhere")
    assert finding.status == "problem"
    assert str(tmp_path) not in finding.found


def test_a_full_disk_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(ready, "disk_usage", lambda _path: type("Usage", (), {"free": 3 << 20}))
    finding = folder_finding(tmp_path)
    assert finding.status == "warning"
    assert "3 MiB" in finding.found


def test_a_share_of_a_big_machine_is_named():
    finding = cpu_finding(2.0, 64)
    assert finding.status == "ok"
    assert finding.found.startswith("2 usable of 64 in the machine")


def test_half_a_processor_is_a_warning():
    assert cpu_finding(0.5, 8).status == "warning"


def test_little_memory_is_a_warning():
    assert memory_finding(512 << 20).status == "warning"
    assert memory_finding(4 << 30).found == "4.0 GiB at most"


def test_widgets_that_are_missing_in_a_kernel_are_a_warning(monkeypatch):
    monkeypatch.setattr(ready, "find_spec", lambda name: None if name == "ipywidgets" else name)
    finding = notebook_finding(in_kernel=True)
    assert (finding.status, finding.found) == ("warning", "ipywidgets missing")


def test_without_a_web_proxy_there_is_nothing_to_say():
    assert list(proxy_findings({})) == []


def test_a_web_proxy_that_takes_loopback_too_is_a_warning(monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    (finding,) = proxy_findings({"http": "http://proxy:3128"})
    assert finding.status == "warning"
    assert "NO_PROXY=127.0.0.1" in finding.cure


def test_a_web_proxy_that_leaves_loopback_alone_is_ok(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    (finding,) = proxy_findings({"http": "http://proxy:3128", "no": "127.0.0.1"})
    assert finding.status == "ok"


@pytest.mark.parametrize(
    ("environment", "has_proxy", "status"),
    [
        ({}, False, "ok"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ana/"}, True, "ok"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ana/"}, False, "warning"),
    ],
)
def test_a_hub_without_its_proxy_is_a_warning(environment, has_proxy, status):
    finding = browser_finding(environment, has_proxy=has_proxy)
    assert finding.status == status
    assert "ana" not in finding.found


def test_the_table_shows_every_row_its_cure_and_a_verdict():
    found = Readiness(
        (
            Finding("Python", "3.13.0"),
            Finding("Memory", "0.5 GiB at most", "warning", "Shut down other kernels."),
            Finding("Port", "<closed>", "problem", "Ask."),
        )
    )
    assert repr(found).splitlines() == [
        "what    status   found            what to do",
        "Python  ok       3.13.0",
        "Memory  warning  0.5 GiB at most  Shut down other kernels.",
        "Port    problem  <closed>         Ask.",
        "Not ready yet. First solve: port.",
    ]
    bundle = found._repr_mimebundle_()
    assert bundle["text/plain"] == repr(found)
    assert "&lt;closed&gt;" in bundle["text/html"]
    assert not found.ok


def test_a_warning_alone_does_not_stop_the_lessons():
    found = Readiness((Finding("Memory", "0.5 GiB at most", "warning", "Close other kernels."),))
    assert found.ok
    assert found.summary == "Ready, with a limit: read the warnings."
