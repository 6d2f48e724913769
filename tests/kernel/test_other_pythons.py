"""The tests in kernels once more, with kernels of every other Python that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
IN_KERNELS = [
    TESTS / "kernel/test_deploy_in_kernel.py",
    TESTS / "kernel/test_server_in_kernel.py",
    TESTS / "test_nested_asyncio.py",
]


def find_python(version):
    """The interpreter of that version, on the PATH or among those of pyenv."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    for python in [shutil.which(f"python{version}"), *installed]:
        if python and works(python):
            return str(python)
    return None


def works(python):
    # A shim on the PATH may stand for a version that is not there.
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


@pytest.mark.acceptance
@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_the_server_in_kernels_of_another_python(version, tmp_path):
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    kernel_python = str(tmp_path / "venv/bin/python")
    install = [kernel_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, str(TESTS.parent), "ipykernel", "nest-asyncio2"], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *IN_KERNELS],
        env={**os.environ, "NBDEPLOY_KERNEL_PYTHON": kernel_python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
