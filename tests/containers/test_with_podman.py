"""Podman takes the same words: `make acceptance`, as root, with ``apt-get install podman``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from nbdeploy import ContainerError
from nbdeploy.containers.engine import Engine
from nbdeploy.models.equality import assert_equal

pytestmark = [pytest.mark.containers, pytest.mark.acceptance]

# Limits that a process without CAP_SYS_RESOURCE may set; nothing of this is nbdeploy's affair.
SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/root"
runroot = "{folder}/run"
"""


@pytest.fixture(scope="module")
def podman(engine, tmp_path_factory):
    """Podman, with storage of its own and the base image of the other engine in it."""
    if shutil.which("podman") is None or os.getuid() != 0:
        pytest.skip("no podman here (apt-get install podman), or not root: it was not tested")
    folder = tmp_path_factory.mktemp("podman")
    (folder / "containers.conf").write_text(SETTINGS)
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(folder / "containers.conf"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
        base = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
        archive = folder / "base.tar"
        engine.call("save", "--output", str(archive), base)
        found = Engine("podman")
        found.call("load", "--quiet", "--input", str(archive))
        found.call("tag", f"localhost/{base}", f"docker.io/library/{base}")
        yield found
        found.call("rm", "--all", "--force")
        # What is mounted below would outlive the folder.
        subprocess.run(["podman", "system", "reset", "--force"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def built(make_bundle, penguins_code, podman):
    bundle, answers = make_bundle(penguins_code, "penguins")
    return bundle.build(engine=podman), answers


@pytest.fixture(scope="module")
def container(built, podman):
    with built[0].run(engine=podman) as container:
        yield container, built[1]


def test_it_builds_and_answers_as_in_the_notebook(container):
    running, answers = container

    assert_equal(running.predict(answers["rows"]), answers["predict"])
    assert_equal(running.predict_proba(answers["rows"]), answers["predict_proba"])
    assert running.stats()["total_predictions"] == 2
    assert any("startup complete" in line for line in running.logs())


def test_the_check_of_the_image_is_kept_and_passes(container, podman):
    # A service of the system calls it again and again, where there is one.
    podman.call("healthcheck", "run", container[0].name)


def test_it_has_no_rights(container, podman):
    name = container[0].name
    status = podman.call("exec", name, "cat", "/proc/1/status")
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert lines["Uid"].split() == ["10001"] * 4
    assert int(lines["CapEff"], 16) == 0
    with pytest.raises(ContainerError, match="Read-only file system"):
        podman.call("exec", name, "touch", "/app/model/x")


def test_running_again_replaces_it_and_it_ends_by_itself(container, built, podman):
    running, answers = container
    before = podman.inspect(running.name)["Id"]

    again = built[0].run(engine=podman)

    assert podman.inspect(again.name)["Id"] != before
    assert_equal(again.predict(answers["rows"]), answers["predict"])
    assert again.stop() == 0
    assert again.stop() is None
