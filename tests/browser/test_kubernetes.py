"""Objects of a cluster in tabs, and a rollout that is watched, in a real JupyterLab."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

CONTAINERS = Path(__file__).parents[1] / "containers"
MAKE = """
from nbdeploy.containers.manifests import Manifests
from nbdeploy.scaling import HpaPolicy

made = Manifests(
    name="churn", image="registry.example/churn:1.1", token="a-token-that-nobody-shall-see",
    autoscale=HpaPolicy(min_replicas=2, max_replicas=6), host="churn.example.org",
)
made
"""
CONNECT = """
from nbdeploy import KubernetesDeployer
deployer = KubernetesDeployer(kubeconfig={config!r})
_ = deployer.create_deployment("churn", "registry.example/churn:1.1", replicas=3)
"""


def luminance(color):
    red, green, blue = map(int, re.findall(r"\d+", color)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def style(locator, name):
    return locator.evaluate("(node, name) => getComputedStyle(node)[name]", name)


@pytest.fixture
def server():
    spec = importlib.util.spec_from_file_location("contract", CONTAINERS / "contract_server.py")
    contract = sys.modules["contract"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contract)
    running = contract.ContractServer()
    yield running
    running.close()
    del sys.modules["contract"]


def kubeconfig(server, folder):
    import yaml

    path = folder / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "here",
                "clusters": [{"name": "c", "cluster": {"server": server.url}}],
                "users": [{"name": "u", "user": {"token": "contract-token"}}],
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    return str(path)


def execute(notebook, command, arguments="{}"):
    notebook.page.evaluate(
        f"() => void window.jupyterapp.commands.execute('{command}', {arguments})"
    )


def assert_readable(notebook, theme):
    background = luminance(style(notebook.page.locator(".jp-Notebook"), "backgroundColor"))
    assert (background > 0.5) == (theme == "light")
    output = notebook.output(0)
    for shown in (output.locator("label").first, output.locator("section pre").first):
        assert abs(luminance(style(shown, "color")) - background) > 0.5


def test_tabs_open_and_a_rollout_is_watched_until_the_cell_is_interrupted(lab, server, tmp_path):
    cells = [
        MAKE,
        "made",
        CONNECT.format(config=kubeconfig(server, tmp_path)),
        'deployer.rollout_status("churn", interval=0.2)',
        'new = deployer.create_deployment("churn", "registry.example/missing:1.2", replicas=3)',
        'deployer.rollout_status("churn")',
        'print("not run after an interrupt")',
    ]
    notebook = lab.open(cells, theme="JupyterLab Dark", name="kubernetes")
    execute(notebook, "notebook:run-all-cells")
    first, second, done, stuck = map(notebook.output, (0, 1, 3, 5))

    stuck.locator(".nbd-note").first.wait_for()
    assert done.locator("progress[value='1.000']").count() == 1
    notebook.screenshot("kubernetes-rollout-done", done)
    notebook.screenshot("kubernetes-rollout-stuck", stuck)
    assert "the image cannot be pulled" in stuck.inner_text()
    assert "1 of 3 pods are new" in stuck.inner_text()
    assert stuck.locator("progress[value='0.000']").count() == 1
    before = dict(server.cluster.objects)
    execute(notebook, "notebook:interrupt-kernel")
    stuck.get_by_text("You stopped watching").first.wait_for()
    notebook.screenshot("kubernetes-rollout-interrupted", stuck)
    assert "rollback('churn')" in stuck.inner_text()
    assert server.cluster.objects == before
    assert "not run" not in notebook.output(6).all_inner_texts()

    notebook.screenshot("kubernetes-overview-dark", first)
    assert "What carries over" in first.inner_text()
    assert "kind: Deployment" not in first.inner_text()
    first.locator("label", has_text="Deployment").click()
    notebook.screenshot("kubernetes-deployment-dark", first)
    assert "kind: Deployment" in first.inner_text()
    # The same objects in another cell keep their own tab.
    assert "What carries over" in second.inner_text()
    assert "What carries over" not in first.inner_text()
    first.locator("label", has_text="Secret").click()
    assert "token: •••" in first.inner_text()
    assert_readable(notebook, "dark")
    execute(notebook, "apputils:change-theme", "{theme: 'JupyterLab Light'}")
    is_light = "getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor"
    notebook.page.wait_for_function(f"{is_light}.match(/\\d+/) > 128")
    notebook.screenshot("kubernetes-secret-light", first)
    notebook.screenshot("kubernetes-overview-light", second)
    assert_readable(notebook, "light")
    notebook.close()
