"""What the handle of a container can do, and what it says about the rest."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nbdeploy import ContainerError, Deployment, deploy
from nbdeploy.containers.container import Container, remember
from nbdeploy.containers.engine import Engine


@pytest.fixture
def container(written):
    made = Container(
        replace(written, image="iris:1"), Engine("docker"), "nbdeploy-iris",
        "http://127.0.0.1:1", "t0ken",
    )  # fmt: skip
    yield made
    made._client.close()


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


def test_a_handle_of_before_does_not_end_the_container_of_now(written, fake_docker):
    alive = json.dumps([{"State": {"Running": False, "ExitCode": 0}}])
    asked = fake_docker(f"[ \"$1\" = container ] && echo '{alive}'\nexit 0")
    made = [
        Container(
            replace(written, image="iris:1"), Engine("docker"), "nbdeploy-iris",
            "http://127.0.0.1:1", "t0ken", identity=identity,
        )
        for identity in ("0ld", "n3w")
    ]  # fmt: skip
    remember(made[0])
    remember(made[1])

    made[0].stop()

    assert "0ld" in asked.read_text()
    assert "n3w" not in asked.read_text()
    # The curl of the new one's card still finds its token.
    assert made[1]._token_file.exists()
    made[1].stop()
    assert not made[1]._token_file.exists()


def test_a_kernel_that_ends_takes_its_containers_with_it(run_script, written, fake_docker):
    alive = json.dumps([{"State": {"Running": True, "ExitCode": 0}}])
    asked = fake_docker(f"[ \"$1\" = container ] && echo '{alive}'\nexit 0")

    run_script(
        f"""
        from dataclasses import replace
        from nbdeploy import Bundle
        from nbdeploy.containers.container import Container, remember
        from nbdeploy.containers.engine import Engine

        bundle = replace(Bundle.open({str(written.folder)!r}), image="iris:1")
        remember(Container(bundle, Engine("docker"), "nbdeploy-x", "http://127.0.0.1:1", None))
        print("the last cell")
        """
    )

    lines = asked.read_text().splitlines()
    assert "stop --time 2 nbdeploy-x" in lines
    assert lines[-1] == "rm --force nbdeploy-x"


def test_waiting_ends_with_the_container_or_with_the_users_patience(container, monkeypatch):
    answers = iter([True, True, False])
    monkeypatch.setattr(Container, "_is_running", lambda _: next(answers))
    monkeypatch.setattr("nbdeploy.containers.container.time.sleep", lambda _: None)
    container.wait()
    assert next(answers, "asked until it had ended") == "asked until it had ended"

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Container, "_is_running", interrupted)
    container.wait()
