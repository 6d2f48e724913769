"""A real engine builds and runs what nbdeploy writes: `make test-containers`.

The base image is a stand-in that `engine/base_image.sh` makes where no registry of images can be
reached: the same Python on the same Debian, but not the bytes of ``python:3.X-slim``.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from nbdeploy import ContainerError
from nbdeploy.display.progress import ProgressBar
from nbdeploy.models.equality import assert_equal

pytestmark = pytest.mark.containers

COMPOSE = Path(sys.executable).with_name("docker-compose")
RIGHTS = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]

XGBOOST = """
from sklearn.datasets import load_breast_cancer
from xgboost import XGBClassifier
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
model = XGBClassifier(n_estimators=20, n_jobs=1).fit(X, y)
"""

ENSEMBLE = """
from lightgbm import LGBMClassifier
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from nbdeploy import Ensemble
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X.columns = X.columns.str.replace(" ", "_")
members = {
    "lgbm": LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1).fit(X, y),
    "logistic": LogisticRegression(max_iter=10000).fit(X, y),
}
model = Ensemble(members, combine="soft_vote")
"""


def assert_answers_equal(container, answers):
    assert_equal(container.predict(answers["rows"]), answers["predict"])
    assert_equal(container.predict_proba(answers["rows"]), answers["predict_proba"])


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_a_pipeline_with_code_of_the_notebook_answers_as_it_does_there(container, penguins):
    assert_answers_equal(container, penguins[1])
    assert container.stats()["total_predictions"] == 2
    assert container.monitor.get_statistics()["total_predictions"] == 2
    assert len(container.monitor.drift().rows) > 0


def test_buildkit_and_its_steps_are_understood(penguins, buildkit, engine, monkeypatch):
    if not buildkit.is_there:
        pytest.skip("this client has no BuildKit: the images were built by the classic builder")
    told = []
    monkeypatch.setattr(ProgressBar, "update", lambda _, share, what: told.append((share, what)))

    again = buildkit(penguins[0], "birds:again")

    kinds = engine.call("system", "df", "--format", "{{.Type}} {{.TotalCount}}").splitlines()
    assert "Build Cache 0" not in kinds
    assert again.image == "birds:again"
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert any("pip install" in what for _, what in told)


def test_another_model_adds_a_layer_and_installs_nothing(
    penguins, penguins_code, make_bundle, buildkit, engine
):
    other, _ = make_bundle(penguins_code.replace("max_iter=2000", "max_iter=1999"), "birds")
    assert other.digest != penguins[0].digest

    built = buildkit(other)

    def layers(image):
        found = engine.call("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)
        return json.loads(found)

    mine, others = layers(penguins[0].image), layers(built.image)
    assert mine[:-1] == others[:-1]
    assert mine[-1] != others[-1]


def test_it_becomes_healthy_by_the_engines_own_check(container):
    wait_for(lambda: container.health() == "healthy")


def test_it_runs_as_nobody_with_no_rights_on_a_file_system_that_it_cannot_write(container, engine):
    facts = engine.inspect(container.name)

    assert facts["HostConfig"]["ReadonlyRootfs"]
    assert facts["HostConfig"]["CapDrop"] == ["ALL"]
    status = engine.call("exec", container.name, "cat", "/proc/1/status")
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert lines["Uid"].split() == ["10001"] * 4
    assert int(lines["CapEff"], 16) == 0
    assert lines["NoNewPrivs"] == "1"
    with pytest.raises(ContainerError, match="Read-only file system"):
        engine.call("exec", container.name, "touch", "/app/model/x")


def test_what_a_service_can_its_container_can_too(container, penguins, engine):
    answers = penguins[1]
    curl = subprocess.run(
        ["bash", "-c", container.snippets().curl],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(curl.stdout)["prediction"][0] in {"Adelie", "Chinstrap", "Gentoo"}
    load = container.load_test(rps=20, seconds=1, rows=answers["rows"][:5])
    assert (load.errors, load.error_rate) == ({}, 0.0)
    assert "requests/s" in container.dashboard().to_html()
    assert any("startup complete" in line for line in container.logs())
    assert "NBDEPLOY_TOKEN" in str(engine.inspect(container.name)["Config"]["Env"])


def test_nobody_is_answered_without_the_token(container):
    assert httpx2.post(f"{container.url}/predict", json={"features": []}).status_code == 401
    assert httpx2.get(f"{container.url}/health/ready").status_code == 200


def test_the_image_holds_what_serving_needs_and_nothing_of_the_notebook(penguins, engine):
    code = (
        "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    )
    said = engine.call(
        "run", "--rm", "--entrypoint", "python", penguins[0].image, "-c", code
    ).split()

    locked = {
        line.partition("==")[0] for line in penguins[0].requirements.splitlines() if "==" in line
    }
    installed = {name.replace("_", "-") for name in said} - {"pip", "setuptools", "wheel"}
    assert installed == locked | {"nbdeploy"}
    assert not {"jupyterlab", "ipykernel", "ipywidgets", "matplotlib", "kubernetes"} & installed
    listed = engine.call(
        "run", "--rm", "--entrypoint", "python", penguins[0].image, "-c",
        "import os; print(os.listdir('/app'), os.listdir('/app/model'))",
    )  # fmt: skip
    assert "rehearsal" not in listed


def test_it_does_not_start_without_a_token_or_a_clear_word(penguins, engine):
    image = penguins[0].image
    with pytest.raises(ContainerError, match="Set NBDEPLOY_TOKEN"):
        engine.call("run", "--rm", *RIGHTS, image)

    name = "nbdeploy-test-no-token"
    try:
        engine.call("run", "--detach", "--name", name, *RIGHTS, image, "serve", "--no-token")
        ask = "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/stats')"

        def answers():
            try:
                engine.call("exec", name, "python", "-c", ask)
            except ContainerError:
                return False
            return True

        wait_for(answers)
    finally:
        engine.call("rm", "--force", name)


@pytest.fixture
def started(penguins, engine):
    """Start the image as a platform does; what it is called, and where it answers."""
    name = "nbdeploy-test-platform"

    def start(*options, inside, words=()):
        port = free_port()
        engine.call(
            "run", "--detach", "--name", name, *RIGHTS, "--publish", f"127.0.0.1:{port}:{inside}",
            *options, penguins[0].image, *words,
        )  # fmt: skip
        return name, f"http://127.0.0.1:{port}"

    yield start
    engine.call("rm", "--force", name)


def is_answered(url):
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def test_sagemaker_starts_it_with_serve_and_asks_at_its_own_port(penguins, started, engine):
    name, url = started("--env=NBDEPLOY_NO_TOKEN=1", inside=8080, words=["serve"])

    wait_for(lambda: is_answered(f"{url}/ping"))

    answers = penguins[1]
    answer = httpx2.post(f"{url}/invocations", json={"instances": answers["rows"][:3]}).json()
    assert answer["predictions"] == answers["predict"][:3]
    # The port of the image is still there: its own check asks at it.
    engine.call("exec", name, *engine.inspect(name)["Config"]["Healthcheck"]["Test"][1:])


def test_vertexs_variables_are_followed(penguins, started, engine):
    name, url = started(
        "--env=NBDEPLOY_NO_TOKEN=1", "--env=AIP_HTTP_PORT=9090",
        "--env=AIP_HEALTH_ROUTE=/v1/alive", "--env=AIP_PREDICT_ROUTE=/v1/ask", inside=9090,
    )  # fmt: skip

    wait_for(lambda: is_answered(f"{url}/v1/alive"))

    answers = penguins[1]
    answer = httpx2.post(f"{url}/v1/ask", json={"instances": answers["rows"][:3]}).json()
    assert answer["predictions"] == answers["predict"][:3]
    engine.call("exec", name, *engine.inspect(name)["Config"]["Healthcheck"]["Test"][1:])


def test_stopping_answers_what_is_in_flight_and_exits_with_0(penguins, engine):
    row = {**penguins[1]["rows"][0], "body_mass_g": 123456.0}
    with penguins[0].run(engine=engine) as container:
        container.predict([penguins[1]["rows"][0]])
        answers = []
        asking = threading.Thread(target=lambda: answers.append(container.predict([row])))
        asking.start()
        wait_for(lambda: container.stats()["in_flight"] >= 1, seconds=20)

        start = time.monotonic()
        engine.call("stop", "--time", "10", container.name)
        seconds = time.monotonic() - start
        asking.join()

        state = engine.inspect(container.name)["State"]
        assert len(answers) == 1
        assert state["ExitCode"] == 0
        assert seconds < 10


def test_running_again_replaces_the_container(penguins, engine):
    first = engine.inspect(penguins[0].run(engine=engine).name)["Id"]
    again = penguins[0].run(engine=engine)

    assert engine.inspect(again.name)["Id"] != first
    assert_answers_equal(again, penguins[1])
    assert again.stop() == 0
    assert again.stop() is None


def test_compose_brings_it_up_and_waits(penguins, engine, tmp_path):
    bundle, answers = penguins
    port = free_port()
    text = bundle.compose.replace("8000:8000", f"{port}:8000")
    (tmp_path / "compose.yaml").write_text(text)
    environment = {**os.environ, "NBDEPLOY_TOKEN": "t0ken-of-the-test"}
    command = [COMPOSE, "--project-name", "nbdeploy-test", "--project-directory", tmp_path]

    def compose(*arguments):
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    try:
        up = compose("up", "--detach", "--wait", "--wait-timeout", "120", "--no-build")
        assert up.returncode == 0, up.stderr
        answer = httpx2.post(
            f"http://127.0.0.1:{port}/predict",
            json={"features": answers["rows"][:5]},
            headers={"X-API-Key": "t0ken-of-the-test"},
        )
        assert answer.json() == {"prediction": answers["predict"][:5]}
    finally:
        down = compose("down")
    assert down.returncode == 0, down.stderr


@pytest.mark.acceptance
@pytest.mark.parametrize(("code", "name"), [(XGBOOST, "xgboost"), (ENSEMBLE, "ensemble")])
def test_models_of_other_libraries_answer_as_in_the_notebook(make_bundle, engine, code, name):
    bundle, answers = make_bundle(code, name)
    with bundle.run(engine=engine) as container:
        assert_answers_equal(container, answers)
