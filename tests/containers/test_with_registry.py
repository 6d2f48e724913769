"""Images go to a registry and come back: Debian's ``docker-registry``, on this machine alone."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from dataclasses import replace

import httpx2
import pytest
import yaml

from nbdeploy import ContainerError
from nbdeploy.models.equality import assert_equal

pytestmark = pytest.mark.containers

LABEL = "org.example.made-by=a test"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def start_registry(tmp_path):
    """Start registries; engines speak plain http with those on a loopback address."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no docker-registry here (apt-get install docker-registry): nothing is pushed")
    running = []

    def start(**options):
        address = f"127.0.0.1:{free_port()}"
        configuration = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
            "http": {"addr": address},
            **options,
        }
        file = tmp_path / f"registry-{len(running)}.yaml"
        file.write_text(yaml.safe_dump(configuration))
        log = (tmp_path / f"{file.stem}.log").open("w")
        with log:
            running.append(subprocess.Popen([program, "serve", file], stdout=log, stderr=log))
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                httpx2.get(f"http://{address}/v2/")
            except httpx2.TransportError:
                time.sleep(0.05)
            else:
                return address
        raise AssertionError((tmp_path / f"{file.stem}.log").read_text())

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


@pytest.fixture
def small(written, engine, tmp_path):
    """Give a bundle whose image is a few bytes: a registry does not look into it."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY some /some\n")
    (tmp_path / "some").write_text("bytes")
    image = "nbdeploy-small:1.0"
    engine.call("build", "--quiet", "--label", LABEL, "--tag", image, str(tmp_path))
    yield replace(written, image=image)
    engine.call("rmi", "--force", image)


def test_what_is_pushed_has_the_digest_of_the_registry_and_can_be_pulled(
    small, start_registry, engine
):
    address = start_registry()

    pushed = small.push(f"{address}/team/small:1.0", engine=engine)

    told = httpx2.head(
        f"http://{address}/v2/team/small/manifests/1.0",
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
    )
    assert pushed == f"{address}/team/small@{told.headers['Docker-Content-Digest']}"
    engine.call("rmi", f"{address}/team/small:1.0")
    engine.call("pull", pushed)
    labels = engine.call("image", "inspect", "--format", "{{json .Config.Labels}}", pushed)
    assert "a test" in labels
    # Again, it is the same.
    assert small.push(f"{address}/team/small:1.0", engine=engine) == pushed


def test_a_registry_that_wants_a_login_is_told_with_the_words_for_it(
    small, start_registry, engine, tmp_path, monkeypatch
):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "htpasswd").write_text("")
    address = start_registry(auth={"htpasswd": {"realm": "r", "path": f"{tmp_path}/htpasswd"}})

    with pytest.raises(ContainerError, match="is not pushed") as refused:
        small.push(f"{address}/team/small:1.0", engine=engine)

    assert f"docker login {address}" in str(refused.value)


def test_no_registry_at_all_is_told_by_its_address(small, engine):
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(ContainerError, match="connection refused") as refused:
        small.push(f"{address}/small:1.0", engine=engine)

    assert address in str(refused.value)
    assert "docker login" not in str(refused.value)


@pytest.mark.acceptance
def test_the_image_of_a_bundle_is_pushed_pulled_and_answers(penguins, start_registry, engine):
    bundle, answers = penguins
    address = start_registry()

    pushed = bundle.push(f"{address}/team/penguins:1.0", engine=engine)

    engine.call("rmi", f"{address}/team/penguins:1.0")
    engine.call("pull", pushed, timeout=300)
    with replace(bundle, image=pushed).run(engine=engine) as container:
        assert_equal(container.predict(answers["rows"]), answers["predict"])
