"""The pod that a manifest asks for, run for real: manifest and image are proven together."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path

import pytest

from nbdeploy.client import Client
from nbdeploy.containers.manifests import Manifests
from nbdeploy.containers.manifests_resources import Resources
from nbdeploy.models.equality import assert_equal

pytestmark = pytest.mark.containers

_SPEC = importlib.util.spec_from_file_location(
    "pod_as_container", Path(__file__).with_name("pod_as_container.py")
)
pod_as_container = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(pod_as_container)

TOKEN = "t0ken-of-the-secret-of-the-test"
NAME = "nbdeploy-test-pod"


@pytest.fixture(scope="module")
def pod(penguins):
    made = Manifests(
        name="penguins",
        image=penguins[0].image,
        token=TOKEN,
        port=9000,
        env={"OMP_NUM_THREADS": "1"},
        resources=Resources(cpu_limit="1500m", memory_limit="640Mi"),
        drain=10,
    )
    return pod_as_container.pod_of(made.objects())


@pytest.fixture(scope="module")
def running(pod, engine):
    """Start the container of the pod; what the node knows of it."""
    arguments, environment = pod_as_container.run_arguments(pod, {"penguins": {"token": TOKEN}})
    try:
        engine.call("run", "--detach", "--name", NAME, *arguments, environment=environment)
        ports = engine.inspect(NAME)["NetworkSettings"]["Ports"]
        url = f"http://127.0.0.1:{ports['9000/tcp'][0]['HostPort']}"
        yield pod_as_container.Kubelet(pod, url), url
    finally:
        engine.call("rm", "--force", NAME)


@pytest.fixture(scope="module")
def client(running):
    kubelet, url = running
    assert kubelet.starts()
    with Client(url, token=TOKEN) as client:
        yield client


def test_every_probe_passes_and_needs_no_token(running, client):
    assert client.is_ready()
    kubelet, _ = running
    assert {probe: kubelet.passes(probe) for probe in pod_as_container.PROBES} == dict.fromkeys(
        pod_as_container.PROBES, True
    )


def test_the_pod_answers_as_the_notebook(client, penguins):
    rows = penguins[1]["rows"]
    assert_equal(client.predict(rows), penguins[1]["predict"])
    assert_equal(client.predict_proba(rows), penguins[1]["predict_proba"])


def test_limits_user_and_rights_are_those_of_the_manifest(client, engine):
    assert client.is_ready()
    facts = engine.inspect(NAME)
    host = facts["HostConfig"]

    assert (host["NanoCpus"], host["Memory"]) == (1_500_000_000, 640 * 1024**2)
    assert facts["Config"]["User"] == "10001:10001"
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    status = engine.call("exec", NAME, "cat", "/proc/1/status")
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert lines["Uid"].split() == ["10001"] * 4
    assert int(lines["CapEff"], 16) == 0
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")
    # The one place that can be written is as large as the volume.
    engine.call("exec", NAME, "python", "-c", "open('/tmp/x', 'w').write('x')")
    mounts = engine.call("exec", NAME, "cat", "/proc/mounts").splitlines()
    (scratch,) = [line for line in mounts if " /tmp " in line]
    assert "size=65536k" in scratch


def test_the_end_of_a_pod_answers_what_is_in_flight(running, client, penguins, engine):
    kubelet, url = running
    slow = {**penguins[1]["rows"][0], "body_mass_g": 123456.0}
    answers, codes = [], []

    def ask():
        with Client(url, token=TOKEN) as other:
            answers.append(other.predict([slow]))

    def stop(grace):
        asking = threading.Thread(target=ask)
        asking.start()
        end = time.monotonic() + 20
        while client.stats()["in_flight"] < 1 and time.monotonic() < end:
            time.sleep(0.05)
        engine.call("stop", "--time", str(grace), NAME, timeout=grace + 30)
        asking.join()
        codes.append(engine.inspect(NAME)["State"]["ExitCode"])

    kubelet.end(stop)

    assert len(answers) == 1
    assert codes == [0]
