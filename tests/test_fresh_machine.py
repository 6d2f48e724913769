"""``make demo`` and ``make test`` in a fresh copy, in either order, with every Python promised."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLASSIFIER = "Programming Language :: Python :: "
LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".venv", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "work",
)  # fmt: skip


def promised_pythons():
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [name.removeprefix(CLASSIFIER) for name in metadata["classifiers"] if CLASSIFIER in name]


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
@pytest.mark.parametrize(
    ("version", "targets"),
    list(zip(promised_pythons(), itertools.cycle([("demo", "test"), ("test", "demo")]))),
    ids=promised_pythons(),
)
def test_both_commands_work_in_a_fresh_copy_and_the_second_run_is_quick(version, targets, tmp_path):
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    copy = tmp_path / "nbdeploy"
    shutil.copytree(ROOT, copy, ignore=LEFT_BEHIND)
    # What pytest tells the processes that it starts is not for another pytest.
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}

    def make(target):
        began = time.monotonic()
        done = subprocess.run(
            ["make", target, f"PYTHON={python}"],
            cwd=copy, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout, time.monotonic() - began

    said = {target: make(target)[0] for target in targets}
    again, seconds = make("demo")

    assert "did you mean 'bill_length_mm'" in said["demo"]
    assert (copy / "build" / "quickstart.html").exists()
    assert " failed" not in said["test"]
    assert "pip install" not in again
    assert seconds < 120
    (copy / "pyproject.toml").touch()
    planned = subprocess.run(
        ["make", "--dry-run", "demo", f"PYTHON={python}"],
        cwd=copy, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "pip install" in planned.stdout
