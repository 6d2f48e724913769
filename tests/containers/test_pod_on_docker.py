from __future__ import annotations

import importlib.util
from pathlib import Path

from nbdeploy.containers.manifests import Manifests

_SPEC = importlib.util.spec_from_file_location(
    "pod_on_docker", Path(__file__).with_name("pod_on_docker.py")
)
pod_on_docker = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(pod_on_docker)

TOKEN = "a-token-that-nobody-shall-see"
OBJECTS = Manifests(
    name="churn", image="churn:1.1", token=TOKEN, port=9000, env={"LOG_LEVEL": "info"}
).objects()


def test_the_pod_becomes_a_command_without_its_secret():
    arguments = pod_on_docker.docker_run_arguments(OBJECTS, publish="127.0.0.1:0")
    said = " ".join(arguments)
    for told in (
        "--user 10001:10001", "--read-only", "--cap-drop ALL", "no-new-privileges",
        f"--memory {512 * 2**20} ", "--cpus 1 ", f"--tmpfs /tmp:size={64 * 2**20},mode=1777",
        "--env NBDEPLOY_PORT=9000", "--env LOG_LEVEL=info", "--env NBDEPLOY_TOKEN ",
        "--publish 127.0.0.1:0:9000", "--stop-timeout 45",
    ):  # fmt: skip
        assert told in said
    assert arguments[-1] == "churn:1.1"
    assert TOKEN not in said
    assert pod_on_docker.secret_variables(OBJECTS) == {"NBDEPLOY_TOKEN": TOKEN}
    assert pod_on_docker.probes(OBJECTS)["readinessProbe"] == ("/health/ready", 9000)
