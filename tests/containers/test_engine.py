"""The engine is asked through its command, and what it says is passed on."""

from __future__ import annotations

import json

import pytest

from nbdeploy import ContainerError
from nbdeploy.containers.engine import Engine, find_engine, step_of

BUILDKIT = """
echo '#1 [internal] load build definition from Dockerfile'
echo '#5 [build 1/4] FROM python:3.11-slim'
echo '#6 [build 3/4] RUN pip install'
echo '#7 [stage-1 2/4] WORKDIR /app'
echo '#8 DONE 0.1s'
"""
CLASSIC = """
echo 'Step 1/2 : FROM python:3.11-slim'
echo ' ---> 0123456789ab'
echo 'Step 2/2 : USER 10001:10001'
"""


def test_the_steps_are_told_as_the_builder_reports_them_and_never_go_back(fake_docker, tmp_path):
    for script, expected in (
        (BUILDKIT, [(0, "FROM"), (0.5, "RUN"), (0.5, "WORKDIR")]),
        (CLASSIC, [(0, "FROM"), (0.5, "USER")]),
    ):
        asked = fake_docker(script)
        told = []

        Engine("docker").build(
            tmp_path, "churn:1", progress=lambda share, what, told=told: told.append((share, what))
        )

        assert [(share, what.split()[0]) for share, what in told] == expected
        assert asked.read_text().splitlines()[-1] == f"build --tag churn:1 {tmp_path}"


@pytest.mark.parametrize(
    "said",
    ["no basic auth credentials", "unauthorized: authentication required", "denied: requested"],
)
def test_a_registry_that_refuses_is_told_with_the_words_for_a_login(fake_docker, said):
    fake_docker(f'[ "$1" = push ] && echo "{said}" && exit 1; exit 0')

    with pytest.raises(ContainerError, match="is not pushed") as refused:
        Engine("docker").push("a:1", "registry.example:5000/a:1", progress=lambda *_: None)

    assert str(refused.value).endswith("docker login registry.example:5000")


@pytest.mark.parametrize("line", ["", "Step", "#8 DONE 0.1s", "Step 1/0 : x", "#1 [internal] load"])
def test_a_line_that_is_no_step_is_none(line):
    assert step_of(line) is None


def test_podmans_steps_are_steps_too():
    assert step_of("STEP 3/4: RUN x") == (0.5, "RUN x")
    assert step_of("[2/2] STEP 1/4: FROM x") is None


def test_a_build_that_fails_ends_with_what_the_engine_said(fake_docker, tmp_path):
    colour = "\\033[91m"
    fake_docker(f"echo 'Step 1/2 : FROM x'\nprintf '{colour}ERROR: no such package' >&2\nexit 1")

    with pytest.raises(ContainerError, match="churn:1 cannot be built") as failed:
        Engine("docker").build(tmp_path, "churn:1", progress=lambda *_: None)

    assert str(failed.value).endswith("\n  ERROR: no such package")


def test_without_any_engine_the_error_says_what_still_works(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ContainerError, match="Neither docker nor podman is installed") as told:
        find_engine()

    assert "bundle.check()" in str(told.value)


def test_a_command_without_an_engine_behind_it_is_told_apart(fake_docker, monkeypatch, tmp_path):
    fake_docker("echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(ContainerError, match="No engine answers") as told:
        find_engine()

    assert "Start it" in str(told.value)
    assert "bundle.check()" in str(told.value)


def test_podman_is_taken_where_docker_does_not_answer(fake_docker):
    fake_docker("exit 1")
    fake_docker("echo 4.3.1", name="podman")

    assert repr(find_engine()) == "<Engine podman>"


def test_a_push_gives_the_name_with_the_digest_of_the_registry(fake_docker):
    digests = json.dumps(["other/x@sha256:1", "registry.example:5000/churn@sha256:2"])
    asked = fake_docker(f"[ \"$1\" = inspect ] && echo '{digests}'\nexit 0")

    pushed = Engine("docker").push(
        "churn:1", "registry.example:5000/churn:1", progress=lambda *_: None
    )

    assert pushed == "registry.example:5000/churn@sha256:2"
    assert asked.read_text().splitlines()[:2] == [
        "tag churn:1 registry.example:5000/churn:1",
        "push registry.example:5000/churn:1",
    ]


def test_a_secret_goes_by_the_environment_and_not_by_the_command(fake_docker):
    asked = fake_docker('[ "$NBDEPLOY_TOKEN" = s3cret ] && echo yes')

    said = Engine("docker").call(
        "run", "--env", "NBDEPLOY_TOKEN", environment={"NBDEPLOY_TOKEN": "s3cret"}
    )

    assert said == "yes\n"
    assert "s3cret" not in asked.read_text()


def test_a_command_that_hangs_is_given_up(fake_docker):
    fake_docker("sleep 30")

    with pytest.raises(ContainerError, match="docker version failed"):
        Engine("docker").call("version", timeout=0.2)


def test_what_is_unknown_to_the_engine_is_empty(fake_docker):
    fake_docker("exit 1")
    assert Engine("docker").inspect("nobody") == {}
