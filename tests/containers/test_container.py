"""What the handle of a container can do, and what it says about the rest."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nbdeploy import ContainerError, Deployment, deploy
from nbdeploy.containers.container import Container
from nbdeploy.containers.engine import Engine


@pytest.fixture
def container(written):
    made = Container(
        replace(written, image="iris:1"), Engine("docker"), "nbdeploy-iris",
        "http://127.0.0.1:1", "t0ken",
    )  # fmt: skip
    yield made
    made._client.close()


NOT_OURS = json.dumps([{"Config": {"Labels": {}}, "State": {"Running": True}}])


def test_each_verb_of_a_service_works_or_says_what_to_do_instead(container):
    verbs = {name for name in dir(Deployment) if not name.startswith("_")} - {"to_text", "service"}
    missing = set()
    for verb in verbs - set(dir(Container)) - {"url", "name"}:
        with pytest.raises(ContainerError, match=f"A container has no {verb}. ."):
            getattr(container, verb)
        missing.add(verb)

    assert missing == {
        "scale", "autoscale", "rollout", "rollback", "split", "shadow", "compare", "errors",
        "bundle",
    }  # fmt: skip
    with pytest.raises(AttributeError):
        _ = container.predcit


def test_texts_hold_no_address_and_no_token_and_the_card_reads_it_from_its_file(container):
    assert repr(container) == "<Container 'nbdeploy-iris' of iris:1>"
    html = container.to_html()
    assert "http://127.0.0.1:1" in html
    assert "t0ken" not in html
    assert "$(cat " in container.snippets().curl


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
          logs) echo 'nbdeploy: --host 0.0.0.0 lets other machines call';;
        esac"""
    )

    with pytest.raises(ContainerError, match="ended while it started") as told:
        replace(written, image="iris:1").run(engine=Engine("docker"), token="s3cret")

    assert "lets other machines call" in str(told.value)
    lines = asked.read_text().splitlines()
    assert lines[-1] == "rm --force nbdeploy-iris"
    (run,) = [line for line in lines if line.startswith("run")]
    assert "--read-only" in run
    assert "--cap-drop ALL" in run
    assert "--publish 127.0.0.1::8000" in run
    assert "s3cret" not in asked.read_text()


def test_a_running_one_answers_counts_and_stops(written, model, fake_docker):
    from sklearn.datasets import load_iris

    X = load_iris(return_X_y=True, as_frame=True)[0]
    with deploy(model, name="behind", example=X, token="t0ken-of-the-test") as service:
        port = service.url.rpartition(":")[2]
        running = json.dumps(
            [{"State": {"Running": True, "ExitCode": 0, "Health": {"Status": "healthy"}},
              "Config": {"Labels": {"org.nbdeploy.container": "1"}},
              "NetworkSettings": {"Ports": {"8000/tcp": [{"HostPort": port}]}}}]
        )  # fmt: skip
        asked = fake_docker(
            f'[ "$1" = container ] && echo \'{running}\'\n[ "$1" = logs ] && echo line >&2\nexit 0'
        )
        built = replace(written, image="iris:1")
        with built.run(engine=Engine("docker"), token="t0ken-of-the-test") as container:
            assert (container.predict(X).to_numpy() == model.predict(X)).all()
            assert container.predict_proba(X[:3]).shape == (3, 3)
            assert container.stats()["total_predictions"] == 2
            assert container.health() == "healthy"
            assert container.logs() == ["line"]
            assert "requests/s" in container.dashboard().to_html()
            assert container.try_it().row == service.try_it().row
        assert container.stop() == 0

    assert "stop --time 15 nbdeploy-iris" in asked.read_text()
