"""A container comes up with few rights, or leaves nothing behind and says why."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nbdeploy import ContainerError
from nbdeploy.containers.engine import Engine

NOT_OURS = json.dumps([{"Config": {"Labels": {}}, "State": {"Running": True}}])
OURS = NOT_OURS.replace("{}", '{"org.nbdeploy.container": "1"}')


def test_a_container_of_somebody_else_is_not_replaced(written, fake_docker):
    asked = fake_docker(f"[ \"$1\" = container ] && echo '{NOT_OURS}'; exit 0")

    with pytest.raises(ContainerError, match="that nbdeploy did not start"):
        replace(written, image="iris:1").run(engine=Engine("docker"))

    assert "rm" not in asked.read_text().split()


def test_one_that_ends_while_it_starts_is_told_with_its_log_and_removed(written, fake_docker):
    ended = json.dumps([{"State": {"Running": False}, "NetworkSettings": {"Ports": {}}}])
    asked = fake_docker(
        f"""case "$1" in
          container) [ -f {written.folder.parent}/started ] && echo '{ended}' || exit 1;;
          run) touch {written.folder.parent}/started; echo 0123;;
          ps) echo 0123;;
          logs) echo 'nbdeploy: --host 0.0.0.0 lets other machines call';;
        esac"""
    )

    with pytest.raises(ContainerError, match="'nbdeploy-iris' ended while it started") as told:
        replace(written, image="iris:1").run(engine=Engine("docker"), token="s3cret")

    assert "lets other machines call" in str(told.value)
    lines = asked.read_text().splitlines()
    assert lines[-1] == "rm --force 0123"
    (run,) = [line for line in lines if line.startswith("run")]
    assert "--read-only" in run
    assert "--cap-drop ALL" in run
    assert "--publish 127.0.0.1::8000" in run
    assert "s3cret" not in asked.read_text()


def test_what_one_of_before_has_in_flight_is_answered(written, fake_docker):
    asked = fake_docker(f"""case "$1" in
      container) echo '{OURS}';;
      run) echo 'port is already allocated' >&2; exit 125;;
    esac""")

    with pytest.raises(ContainerError, match="Port 8000 of this machine is taken"):
        replace(written, image="iris:1").run(port=8000, engine=Engine("docker"))

    told = asked.read_text()
    assert told.index("stop --time 15 nbdeploy-iris") < told.index("rm --force nbdeploy-iris")


def test_one_that_cannot_start_removes_what_was_made_for_it_and_nothing_else(written, fake_docker):
    asked = fake_docker("""case "$1" in
      container) exit 1;;
      run) echo 'the name is already in use' >&2; exit 125;;
    esac""")

    with pytest.raises(ContainerError, match="the name is already in use"):
        replace(written, image="iris:1").run(engine=Engine("docker"))

    assert "rm" not in asked.read_text().split()


@pytest.mark.parametrize("port", [0, -1, 65536, "8000", 80.0, True, "8000 --privileged"])
def test_what_is_no_port_is_refused_before_anything_is_done(written, fake_docker, port):
    asked = fake_docker("exit 0")

    with pytest.raises(ContainerError, match="is no port of this machine"):
        replace(written, image="iris:1").run(port=port, engine=Engine("docker"))

    assert not asked.exists()


@pytest.mark.parametrize("token", ["", "  ", "a\nb", "tökén", 5, b"bytes"])
def test_what_can_be_no_token_is_refused_and_not_shown(written, fake_docker, token):
    asked = fake_docker("exit 0")

    with pytest.raises(ContainerError, match="token= must be printable ASCII") as refused:
        replace(written, image="iris:1").run(token=token, engine=Engine("docker"))

    assert not asked.exists()
    assert str(token).strip() in ("", "5") or str(token) not in str(refused.value)
