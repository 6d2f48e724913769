"""The whole flow of the first exercise is one script in the README, and it runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
LAST_STEP = "# 4 A container"


def flow():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (block,) = [block for block in blocks if LAST_STEP in block]
    return block


def run(code, folder):
    script = folder / "flow.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True, text=True, timeout=300, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_flow_runs_up_to_what_needs_an_engine(tmp_path):
    said = run(flow().partition(LAST_STEP)[0], tmp_path)

    assert said[0] == "['Adelie', 'Adelie', 'Adelie']"
    assert said[1] == "penguins: ready for its container"
    assert (tmp_path / "build" / "penguins" / "Dockerfile").exists()


@pytest.mark.containers
@pytest.mark.usefixtures("engine")
def test_the_flow_runs_to_its_end(tmp_path):
    assert run(flow(), tmp_path)[-1] == "True"
