"""The chapter's two calls, and what the files look like."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy import DockerConfig, ModelSerializer
from nbdeploy.containers.docker import default_base_image

GOLDEN = Path(__file__).parent / "golden"
HADOLINT = Path(sys.executable).with_name("hadolint")
COMPOSE = Path(sys.executable).with_name("docker-compose")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
ports = st.integers(1024, 65535)
values = st.from_regex(r"[A-Za-z0-9 _.,:;/@%+=~()\[\]{}-]{0,20}", fullmatch=True)
variables = st.dictionaries(
    st.from_regex(r"[A-Z]_[A-Z0-9]{0,8}", fullmatch=True), values, max_size=3
)
labels = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}", fullmatch=True), values, max_size=3
)


def needs(tool):
    return pytest.mark.skipif(not tool.exists(), reason=f"{tool.name} is not installed here")


def instructions(text):
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def same_as_golden(text, name):
    # The versions of Python differ from machine to machine, and nothing else does.
    shown = text.replace(f"python:{PYTHON}-slim", "python:3.X-slim")
    shown = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", shown)
    shown = re.sub(r"nbdeploy-[0-9][^-]*-py3", "nbdeploy-VERSION-py3", shown)
    shown = shown.replace(f'"python": "{PYTHON}"', '"python": "3.X"')
    shown = re.sub(r":[0-9a-f]{12}\b", ":DIGEST", shown).replace(f"Python {PYTHON}", "Python 3.X")
    file = GOLDEN / name
    if os.environ.get("NBDEPLOY_UPDATE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(shown)
    return shown == file.read_text()


def test_the_chapters_calls_give_texts():
    dockerfile = DockerConfig.generate_dockerfile("requirements.txt", "model/model.joblib")
    compose = DockerConfig.generate_compose_file("churn", "churn:1.1")

    assert isinstance(dockerfile, str)
    assert isinstance(compose, str)
    assert "EXPOSE 8000" in dockerfile
    assert "8000:8000" in compose
    assert (dockerfile.name, compose.name) == ("Dockerfile", "compose.yaml")
    assert DockerConfig.generate_dockerfile("r.txt", "m.joblib", 9000).count("9000") == 2
    assert DockerConfig.generate_compose_file("churn", "churn:1.1", port=9000).count("9000") == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", DockerConfig.generate_dockerfile("requirements.txt", "model/model.joblib")),
        (
            "Dockerfile.options",
            DockerConfig.generate_dockerfile(
                "build/requirements.txt",
                "build/model.pkl",
                9000,
                base_image="registry.example:5000/python:3.13-slim",
                labels={"org.example.team": "data science, 2"},
                environment={"OMP_NUM_THREADS": "1"},
            ),
        ),
        ("compose.yaml", DockerConfig.generate_compose_file("churn", "churn:1.1")),
        (
            "compose.options.yaml",
            DockerConfig.generate_compose_file(
                "churn",
                "registry.example:5000/churn:1.1",
                9000,
                environment={"GREETING": "yes: {no}"},
                labels={"org.example.team": "@data"},
                memory="512m",
            ),
        ),
    ],
)
def test_the_files_are_those_that_were_looked_at(name, text):
    assert same_as_golden(text, name)


def test_the_files_of_a_bundle_are_those_that_were_looked_at(written):
    for name in ("Dockerfile", "compose.yaml", "README.md", ".dockerignore", "bundle.json"):
        assert same_as_golden((written.folder / name).read_text(), f"bundle/{name}"), name


def test_the_image_is_built_in_stages_and_runs_as_nobody():
    lines = instructions(DockerConfig.generate_dockerfile("requirements.txt", "model.joblib"))
    words = [line.split()[0] for line in lines]

    assert words.count("FROM") == 2
    assert lines[0] == f"FROM python:{PYTHON}-slim AS build"
    assert "USER 10001:10001" in lines
    assert [word for word in words if word in ("HEALTHCHECK", "STOPSIGNAL", "EXPOSE")] != []
    # What changes most comes last, or every new model would install everything again.
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert copied == ["requirements.txt", "wheels/", "--from=build", "model.joblib"]


def test_nothing_that_changes_with_the_model_stands_above_the_packages(written):
    above = written.dockerfile.partition("COPY --from=build")[0]

    assert "LABEL" in written.dockerfile
    assert written.digest not in above


def test_only_plain_instructions_that_every_builder_takes():
    text = DockerConfig.generate_dockerfile("requirements.txt", "model.joblib")

    assert re.search(r"#\s*syntax|--mount|<<", text) is None
    for line in instructions(text):
        if line.startswith(("CMD", "ENTRYPOINT")):
            assert isinstance(json.loads(line.partition(" ")[2]), list)


def test_the_start_command_carries_the_digest_of_a_model_that_is_there(
    model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = DockerConfig.generate_dockerfile("requirements.txt", "model.joblib")
    ModelSerializer.save_model(model, "model.joblib")
    after = DockerConfig.generate_dockerfile("requirements.txt", "model.joblib")

    digest = ModelSerializer.inspect("model.joblib").digest
    assert instructions(before)[-1] == 'CMD ["serve", "/app/model/model.joblib"]'
    assert "NBDEPLOY_TRUST" not in before
    assert instructions(after)[-1].endswith(f'"--trust", "{digest}"]')


def test_lightgbm_in_the_lock_brings_the_library_that_its_wheel_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("requirements.txt").write_text("lightgbm==4.6.0\nnumpy==2.4.6\n")

    text = DockerConfig.generate_dockerfile("requirements.txt", "model.joblib")

    assert "apt-get install --yes --no-install-recommends libgomp1" in text
    assert "libgomp1" not in DockerConfig.generate_dockerfile("other.txt", "model.joblib")


def test_compose_takes_the_token_from_outside_and_gives_few_rights():
    text = DockerConfig.generate_compose_file("churn", "churn:1.1")
    service = yaml.safe_load(text)["services"]["churn"]

    assert service["environment"]["NBDEPLOY_TOKEN"].startswith("${NBDEPLOY_TOKEN:?")
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["ports"] == ["${NBDEPLOY_BIND:-127.0.0.1}:8000:8000"]
    assert "privileged" not in service


def test_the_base_image_has_the_python_that_runs_here():
    assert default_base_image() == f"python:{PYTHON}-slim"


options = st.fixed_dictionaries(
    {
        "port": ports,
        "labels": labels,
        "environment": variables,
        "base_image": st.sampled_from(
            [None, "python:3.12-slim-bookworm", "registry.example:5000/python:3.13-slim",
             "python@sha256:" + "0" * 64]
        ),
    }
)  # fmt: skip
paths = st.from_regex(r"[a-z0-9][a-z0-9_.+-]{0,8}(/[a-z0-9][a-z0-9_.+-]{0,8})?", fullmatch=True)


# The linter takes most of its time to start: each example is many files.
@needs(HADOLINT)
@settings(max_examples=3)
@given(
    files=st.lists(st.tuples(options, paths, paths, st.booleans()), min_size=10, max_size=16),
)
def test_hadolint_finds_nothing_whatever_the_options(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("linted")
    written = []
    for number, (told, model, requirements, lightgbm) in enumerate(files):
        place = folder / str(number)
        lock = place / requirements
        lock.parent.mkdir(parents=True)
        lock.write_text("lightgbm==4.6.0\n" if lightgbm else "")
        with contextlib.chdir(place):
            text = DockerConfig.generate_dockerfile(requirements, model, **told)
        assert ("libgomp1" in text) == lightgbm
        file = place / "Dockerfile.linted"
        file.write_text(text)
        written.append(file)

    done = subprocess.run([HADOLINT, *written], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@needs(HADOLINT)
def test_hadolint_would_have_found_something():
    text = DockerConfig.generate_dockerfile("requirements.txt", "model.joblib")
    spoilt = text.replace("USER 10001:10001", "USER root").replace("WORKDIR /app", "WORKDIR app")

    done = subprocess.run(
        [HADOLINT, "-"], input=spoilt, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert {"DL3000", "DL3002"} <= set(re.findall(r"DL\d+", done.stdout))


@needs(COMPOSE)
@settings(max_examples=12)
@given(
    service=names,
    image=names,
    port=ports,
    environment=variables,
    labels=labels,
    memory=st.sampled_from([None, "512m", "2g"]),
)
def test_compose_takes_the_file_whatever_the_options(
    service, image, port, environment, labels, memory
):
    text = DockerConfig.generate_compose_file(
        service, image, port, environment=environment, labels=labels, memory=memory
    )

    done = subprocess.run(
        [COMPOSE, "--file", "-", "--project-name", "test", "config", "--format", "json"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NBDEPLOY_TOKEN": "s3cret"},
    )

    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)["services"][service]
    assert read["environment"] == {
        **environment, "NBDEPLOY_PORT": str(port), "NBDEPLOY_TOKEN": "s3cret"
    }  # fmt: skip
    assert read.get("labels", {}) == labels


@needs(COMPOSE)
def test_compose_refuses_to_start_without_a_token(tmp_path):
    (tmp_path / "compose.yaml").write_text(DockerConfig.generate_compose_file("churn", "churn:1"))
    environment = {key: os.environ[key] for key in os.environ if key != "NBDEPLOY_TOKEN"}

    done = subprocess.run(
        [COMPOSE, "config", "-q"], capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment,
    )  # fmt: skip

    assert done.returncode != 0
    assert "set it to the secret that callers send" in done.stderr
