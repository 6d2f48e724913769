"""A real JupyterLab in a real Chromium."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
_PATIENCE = 150


class Lab:
    """A JupyterLab server on a free port, with one browser page an opened notebook."""

    def __init__(self, browser, folder, *options, ip="127.0.0.1"):
        self._browser = browser
        self._options = [f"--ip={ip}", *options]
        self._folder = folder
        self._settings = folder / ".settings"
        self._write_setting("notebook-extension/tracker", windowingMode="none")
        self._write_setting(
            "apputils-extension/notification", fetchNews="false", checkForUpdates=False
        )

    def _write_setting(self, name, **values):
        file = self._settings / f"@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))

    def start(self):
        environment = {
            **os.environ,
            "JUPYTERLAB_SETTINGS_DIR": str(self._settings),
            "JUPYTER_CONFIG_DIR": str(self._folder / ".config"),
            "JUPYTER_RUNTIME_DIR": str(self._folder / ".runtime"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._folder / ".workspaces"),
        }
        environment.pop("NBDEPLOY_LANG", None)  # where the notebook is decides
        self._log = (self._folder / "lab.log").open("w")
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser",
                "--port=0", f"--ServerApp.root_dir={self._folder}",
                "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True",
                "--ServerApp.disable_check_xsrf=True",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                *self._options,
            ],
            stdout=self._log, stderr=self._log, env=environment,
        )  # fmt: skip
        self.url = self._wait_for_url()
        return self

    def _wait_for_url(self):
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            for file in (self._folder / ".runtime").glob("jpserver-*.json"):
                try:
                    told = json.loads(file.read_text())
                    url = f"http://127.0.0.1:{told['port']}{told['base_url']}"
                    urllib.request.urlopen(f"{url}api/status", timeout=5).close()
                except (ValueError, urllib.error.URLError):
                    continue
                else:
                    return url
            time.sleep(0.1)
        raise TimeoutError((self._folder / "lab.log").read_text())

    def open(self, cells, *, theme="JupyterLab Light", name="notebook", **options):
        """Write a notebook, open it and wait for its kernel."""
        self._write_setting("apputils-extension/themes", theme=theme)
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
        )
        # Without it JupyterLab asks which kernel to start.
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self._folder / f"{name}.ipynb")
        # A context of its own, so that a test can open further pages in it.
        size = {"width": 1200, "height": 900}
        page = self._browser.new_context(viewport=size, **options).new_page()
        page.set_default_timeout(_PATIENCE * 1000)
        page.goto(f"{self.url}doc/tree/{name}.ipynb?reset")
        page.wait_for_function(
            """() => {
                const kernel = window.jupyterapp?.shell?.currentWidget?.context?.sessionContext
                    ?.session?.kernel;
                return kernel?.status === "idle" && kernel?.connectionStatus === "connected";
            }"""
        )
        return OpenNotebook(page)

    def stop(self):
        self._process.terminate()
        self._process.wait(20)
        self._log.close()


class OpenNotebook:
    screenshots = SCREENSHOTS

    def __init__(self, page):
        self.page = page

    def run_all(self):
        self.page.evaluate(
            "() => void window.jupyterapp.commands.execute('notebook:run-all-cells')"
        )
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            prompts = self.page.locator(".jp-CodeCell .jp-InputArea-prompt").all_text_contents()
            if prompts and all(re.search(r"\d", prompt) for prompt in prompts):
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(prompts)

    def output(self, number):
        return self.page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea").first

    def screenshot(self, name, locator=None):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (locator or self.page).screenshot(path=SCREENSHOTS / f"{name}.png")

    def close(self):
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()"
        )
        self.page.context.close()


@pytest.fixture(scope="module")
def lab_with(chromium):
    """Make a JupyterLab with options of its own."""
    return lambda folder, *options, **more: Lab(chromium, folder, *options, **more)


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory):
    running = Lab(chromium, tmp_path_factory.mktemp("lab")).start()
    yield running
    running.stop()


@pytest.fixture
def penguins_url():
    from palmerpenguins import load_penguins
    from sklearn.ensemble import HistGradientBoostingClassifier

    from nbdeploy import deploy

    penguins = load_penguins()
    X = penguins.select_dtypes("number")
    model = HistGradientBoostingClassifier(max_iter=5).fit(X, penguins["species"])
    with deploy(model, name="penguins", example=X) as service:
        yield service.url
