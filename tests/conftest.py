"""Fixtures of the whole suite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import settings

# How long one example takes is a matter of what else the machine does.
settings.register_profile("nbdeploy", deadline=None)
settings.load_profile("nbdeploy")

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


def _load(path):
    # Tests are no package: what several of them share is loaded from its file.
    file = Path(__file__).parent / path
    spec = spec_from_file_location(file.stem, file)
    module = sys.modules[file.stem] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def config_folder(tmp_path_factory):
    """Keep the key, the trusted digests and the tokens of whoever runs the tests out of them."""
    folder = str(tmp_path_factory.mktemp("config"))
    before = os.environ.get("NBDEPLOY_CONFIG_DIR")
    os.environ["NBDEPLOY_CONFIG_DIR"] = folder
    yield folder
    if before is None:
        del os.environ["NBDEPLOY_CONFIG_DIR"]
    else:
        os.environ["NBDEPLOY_CONFIG_DIR"] = before


@pytest.fixture
def as_somebody_else(tmp_path_factory, monkeypatch):
    """Become another user, with another key."""

    def change():
        monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path_factory.mktemp("other")))

    return change


@pytest.fixture
def run_script(tmp_path):
    """Run code as the ``__main__`` of a fresh process; what it prints comes back."""

    def run(code, *arguments):
        script = tmp_path / f"script-{len(list(tmp_path.glob('script-*')))}.py"
        script.write_text(textwrap.dedent(code))
        command = [sys.executable, "-W", "error", str(script), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture(scope="session")
def interpreter():
    """The Python of the kernels: another one than that of the tests, if the environment says so."""
    return os.environ.get("NBDEPLOY_KERNEL_PYTHON", sys.executable)


@pytest.fixture(scope="session")
def start_kernel(tmp_path_factory, interpreter):
    """Start as many kernels as a test needs; all end with the session."""
    running_kernel = _load("kernel/running_kernel.py")
    kernels = []

    def start():
        home = str(tmp_path_factory.mktemp("kernel"))
        kernels.append(
            running_kernel.RunningKernel(interpreter, env=running_kernel.environment(home))
        )
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.shutdown()
    running_kernel.close_event_loop()


@pytest.fixture(scope="module")
def kernel(start_kernel):
    """A kernel shared by the tests of one module: leave it as you found it."""
    kernel = start_kernel()
    yield kernel
    kernel.shutdown()


@pytest.fixture
def fresh_kernel(start_kernel):
    """A kernel of one test's own."""
    kernel = start_kernel()
    yield kernel
    kernel.shutdown()


@pytest.fixture(scope="session")
def system_program():
    """Find a program of the system; without it the test is skipped, and fails in CI."""

    def find(*names):
        found = next(filter(None, map(shutil.which, names)), None)
        if found is None:
            reason = f"no {names[0]} on this machine: what needs it was not tested"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
        return found

    return find


@pytest.fixture(scope="module")
def chromium(system_program):
    """A headless browser.

    Playwright keeps an event loop in this thread as long as it lives: a second one, and any
    ``asyncio.run``, would fail. So it ends with its module.
    """
    executable = system_program("chromium", "chromium-browser", "google-chrome")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
