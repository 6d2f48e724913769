"""Machines on which something is broken: the ready check names it, and what to do.

The check runs in a process with the faults in it: a folder that the system does not let anybody
write to, a package that is not there, a limit of the system. What needs rights that a test has not
(a full disk, a clock, a quota) is put below the code that asks the system. Faults that do not touch
each other share a process: a start costs a second.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(sysconfig.get_paths()["purelib"])
# The kernel's own folder: not even root may make a file in it.
NOBODYS = "/sys"
CHECK = """
import sys
{fault}
import nbdeploy.teach.ready as ready
{libraries}
from nbdeploy.cli import main
sys.exit(main(["ready"]))
"""
NO_SOCKETS = """
def refuse(event, args):
    if event in ("socket.bind", "socket.connect"):
        raise PermissionError(1, "Operation not permitted")
sys.addaudithook(refuse)
"""
FULL_DISK = """
import errno, pathlib
def full(*args):
    raise OSError(errno.ENOSPC, "No space left on device")
pathlib.Path.write_bytes = full
"""
QUOTA = """
import pathlib, tempfile
import nbdeploy.machine as machine
root = pathlib.Path(tempfile.mkdtemp())
(root / "proc/self").mkdir(parents=True)
(root / "proc/self/cgroup").write_text("0::/\\n")
(root / "sys/fs/cgroup").mkdir(parents=True)
(root / "sys/fs/cgroup/cpu.max").write_text("20000 100000\\n")
machine.usable_cpus.__defaults__ = (root,)
"""
FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"
OLD_CLOCK = "import time; time.time = lambda: 1000.0"
OLD_PYTHON = """
import nbdeploy.serving.security, nbdeploy.teach.ready
sys.version_info = (3, 10, 4, "final", 0)
"""

pytestmark = pytest.mark.skipif(not Path(NOBODYS).is_dir(), reason="only Linux has /sys")


@pytest.fixture
def packages(tmp_path):
    """Lay out what is installed here once more, without some packages or with an old one."""

    def lay_out(without="", old=""):
        folder = tmp_path / "site"
        folder.mkdir()
        for entry in SITE.iterdir():
            name = re.split(r"[-.]", entry.name)[0].lower()
            if name == without.replace("-", "_"):
                continue
            if name == old.replace("-", "_") and entry.name.endswith(".dist-info"):
                facts = re.sub(r"(?m)^Version: .*$", "Version: 1.2.0", _metadata(entry))
                aged = folder / f"{name}-1.2.0.dist-info"
                aged.mkdir()
                (aged / "METADATA").write_text(facts)
            elif not entry.name.endswith(".pth"):
                (folder / entry.name).symlink_to(entry)
        return {"PYTHONPATH": f"{folder}:{ROOT}", "PYTHONNOUSERSITE": "1"}

    return lay_out


def _metadata(dist_info):
    return (dist_info / "METADATA").read_text(encoding="utf-8")


def ready(fault="", *, libraries=False, bare=False, **environment):
    """Run the ready check in a terminal of a broken machine; give its exit code and its words."""
    code = CHECK.format(fault=fault, libraries="" if libraries else "ready._LIBRARIES = {}")
    done = subprocess.run(
        [sys.executable, *(["-S"] if bare else []), "-c", code],
        env={**os.environ, "COLUMNS": "300", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, done.stdout


def row(said, name):
    (found,) = re.findall(rf"^{name} .*$", said, re.MULTILINE)
    return found


@pytest.fixture(scope="module")
def with_problems():
    """A machine on which the lessons cannot run, for four reasons."""
    faults = f"{OLD_PYTHON}\n{FULL_DISK}\n{NO_SOCKETS}"
    return ready(faults, NBDEPLOY_CONFIG_DIR=f"{NOBODYS}/home")


@pytest.fixture(scope="module")
def with_limits():
    """A machine on which the lessons run, with six limits."""
    return ready(
        f"{QUOTA}\n{FEW_FILES}\n{OLD_CLOCK}",
        NBDEPLOY_REGISTRY=f"{NOBODYS}/models",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        http_proxy="http://proxy:3128",
        no_proxy="",
        NO_PROXY="",
    )


@pytest.mark.parametrize(
    ("name", "told", "cure"),
    [
        ("Python", "3.10.4", "Install Python 3.11 or newer"),
        ("Port", "Operation not permitted", "ask who runs this machine"),
        ("Folder", "the disk is full", "Delete what you no longer need"),
        ("Settings", "your key cannot be kept", "`NBDEPLOY_CONFIG_DIR`"),
    ],
)
def test_a_problem_is_named_with_its_cure(name, told, cure, with_problems):
    code, said = with_problems

    assert code == 1, said
    assert all(part in row(said, name) for part in ("problem", told, cure))
    assert said.splitlines()[-1] == "Not ready yet. First solve: python, port, folder, settings."


@pytest.mark.parametrize(
    ("name", "told", "cure"),
    [
        ("Registry", "cannot be saved in the first folder", "Name a folder of yours first"),
        ("Processors", "0.2 usable", "wait longer"),
        ("Open files", "at most 64", "ulimit -n"),
        ("Clock", "it is 1970 here", "Set the clock"),
        ("Text", "files with other letters", "`PYTHONUTF8=1`"),
        ("Web proxy", "go to the proxy", "NO_PROXY=127.0.0.1"),
    ],
)
def test_a_limit_is_named_with_its_cure(name, told, cure, with_limits):
    code, said = with_limits

    assert code == 0, said
    assert all(part in row(said, name) for part in ("warning", told, cure))
    assert said.splitlines()[-1] == "Ready, with a limit: read the warnings."


def test_a_home_that_is_read_only_is_named(monkeypatch):
    for variable in ("NBDEPLOY_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)

    code, said = ready(HOME=f"{NOBODYS}/home")

    assert code == 1
    assert "NBDEPLOY_CONFIG_DIR" in row(said, "Settings")


def test_a_folder_that_is_read_only_is_named():
    code, said = ready(f"import os; os.chdir({NOBODYS!r})", PYTHONPATH=str(ROOT))

    assert code == 1
    assert "from a folder that is yours" in row(said, "Folder")


def test_widgets_that_are_not_installed_are_named(packages):
    code, said = ready(bare=True, **packages(without="ipywidgets"))

    assert code == 1  # nbdeploy itself asks for them
    assert "ipywidgets is missing" in row(said, "Packages")
    assert 'pip install "nbdeploy[notebooks]"' in row(said, "Jupyter")


def test_an_old_scikit_learn_is_named(packages):
    code, said = ready(bare=True, **packages(old="scikit-learn"))

    assert code == 1
    assert "scikit-learn is 1.2.0, needed is >=1.5" in row(said, "Packages")
    assert "pip install --upgrade" in row(said, "Packages")


def test_a_library_that_is_not_there_at_all_is_named(packages):
    code, said = ready(bare=True, libraries=True, **packages(without="fastapi"))

    assert code == 1
    assert "fastapi: ModuleNotFoundError" in row(said, "Libraries")


def test_a_hub_without_its_proxy_and_with_neighbours_is_named(packages):
    environment = packages(without="jupyter_server_proxy")

    code, said = ready(bare=True, JUPYTERHUB_SERVICE_PREFIX="/user/ana/", **environment)

    assert code == 0, said
    assert "jupyter-server-proxy" in row(said, "Browser")
    assert "asks for a token" in row(said, "Neighbours")
    assert "ana" not in said


def test_a_machine_on_which_nothing_is_broken_is_ready():
    code, said = ready(libraries=True)

    assert code == 0, said
    assert said.splitlines()[-1].startswith("Ready")
    assert "problem" not in said
