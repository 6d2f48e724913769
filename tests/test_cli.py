import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import nbdeploy
from nbdeploy import Client, ModelSerializer, cli
from nbdeploy.cli import main

X, Y = load_iris(return_X_y=True)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path / "config"))
    path = tmp_path / "iris.joblib"
    ModelSerializer.save_model(LogisticRegression(max_iter=500).fit(X, Y), path)
    return path


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Served:
    def __init__(self, *arguments, **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "nbdeploy",
                "serve",
                *map(str, arguments),
                f"--port={self.port}",
            ],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait_for(self, url, status):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if httpx2.get(self.url + url).status_code == status:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        raise AssertionError(self.process.communicate(timeout=1)[0])


def test_serve_answers_until_it_is_told_to_stop(path):
    with Served(path, "--name", "flowers") as served:
        served.wait_for("/health/ready", 200)
        answer = httpx2.post(f"{served.url}/predict", json={"features": X[0].tolist()})
        info = httpx2.get(f"{served.url}/model/info").json()
        served.process.send_signal(signal.SIGTERM)
        said, _ = served.process.communicate(timeout=15)

    assert answer.json() == {"prediction": [0]}
    assert info["name"] == "flowers"
    assert f"flowers listens on 127.0.0.1, port {served.port}." in said
    assert "Traceback" not in said
    # An engine of containers takes anything but 0 for a failure.
    assert served.process.returncode == 0


def test_serve_records_what_it_is_asked_until_it_is_told_to_stop(path, tmp_path):
    with Served(path, "--request-log", tmp_path / "logs", "--request-log-redact", "0") as served:
        served.wait_for("/health/ready", 200)
        httpx2.post(f"{served.url}/predict", json={"features": X[0].tolist()})
        served.process.send_signal(signal.SIGTERM)
        served.process.communicate(timeout=15)

    (file,) = (tmp_path / "logs" / "iris").iterdir()
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["rows"] == [X[0, 1:].tolist()]
    assert json.loads(line)["answer"] == [0]


def test_serve_tells_of_a_share_that_is_none(path, tmp_path, capsys):
    options = ["--port=0", f"--request-log={tmp_path}", "--request-log-sample=5"]

    assert main(["serve", str(path), *options]) == 1
    assert "sample is 5.0. Expected a share" in capsys.readouterr().err


def test_serve_finds_in_the_environment_what_a_platform_cannot_pass(path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_MODEL", str(path))
    monkeypatch.setenv("NBDEPLOY_HOST", "0.0.0.0")
    monkeypatch.setenv("NBDEPLOY_PORT", "8001")

    plain = cli._parser().parse_args(["serve"])
    assert (plain.path, plain.host, plain.port, plain.no_token) == (path, "0.0.0.0", 8001, False)
    assert cli._parser().parse_args(["serve", "other", "--port", "1"]).port == 1

    monkeypatch.setenv("NBDEPLOY_NO_TOKEN", "1")
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "8080")
    assert cli._parser().parse_args(["serve"]).port == 8080
    assert cli._parser().parse_args(["serve"]).no_token

    monkeypatch.setenv("AIP_HTTP_PORT", "8090")
    assert cli._parser().parse_args(["serve"]).port == 8090


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        (["serve"], {}, True),
        (["serve", "model.joblib"], {}, False),
        (["serve", "--no-token"], {}, False),
        (["serve"], {"NBDEPLOY_HOST": ""}, False),
        (["serve"], {"NBDEPLOY_MODEL": ""}, False),
        (["serve"], {"AIP_HTTP_PORT": "9000"}, False),
        (["serve"], {"SAGEMAKER_BIND_TO_PORT": "9000"}, False),
        (["serve"], {"NBDEPLOY_PORT": "8080"}, False),
    ],
)
def test_only_an_image_that_is_asked_for_nothing_else_also_listens_for_sagemaker(
    words, environment, expected, path, monkeypatch
):
    image = {"NBDEPLOY_MODEL": str(path), "NBDEPLOY_HOST": "0.0.0.0", "NBDEPLOY_PORT": "8000"}
    for name, value in {**image, **environment}.items():
        monkeypatch.setenv(name, value)
    seen = []
    monkeypatch.setattr(
        cli, "_serve", lambda options: seen.append(cli._is_started_by_sagemaker(options))
    )

    main(words if environment.get("NBDEPLOY_MODEL") is None else [*words, str(path)])

    assert seen == [expected]


def test_serve_in_a_container_refuses_to_start_without_a_token(path, capsys, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_MODEL", str(path))
    monkeypatch.setenv("NBDEPLOY_HOST", "0.0.0.0")
    monkeypatch.delenv("NBDEPLOY_TOKEN", raising=False)

    assert main(["serve"]) == 1
    assert "--no-token" in capsys.readouterr().err


def test_serve_asks_for_the_token_of_the_environment(path):
    with Served(path, NBDEPLOY_TOKEN="s3cret-t0ken") as served:
        served.wait_for("/health/ready", 200)
        assert httpx2.get(f"{served.url}/stats").status_code == 401
        allowed = httpx2.get(f"{served.url}/stats", headers={"X-API-Key": "s3cret-t0ken"})
        assert allowed.status_code == 200
        served.process.terminate()
        said, _ = served.process.communicate(timeout=15)

    assert "s3cret-t0ken" not in said


def test_serve_ends_with_the_reason_when_the_file_is_not_trusted(path):
    (path.parent / "iris.joblib.manifest.json").unlink()
    with Served(path) as served:
        said, _ = served.process.communicate(timeout=30)

    assert served.process.returncode == 1
    assert ModelSerializer.inspect(path).digest in said
    assert "Traceback" not in said


def test_serve_takes_a_digest_as_trust(path):
    digest = ModelSerializer.inspect(path).digest
    (path.parent / "iris.joblib.manifest.json").unlink()

    with Served(path, "--trust", digest) as served:
        served.wait_for("/health/ready", 200)


def test_serve_to_other_machines_needs_a_token_or_a_clear_word(path, capsys, monkeypatch):
    monkeypatch.delenv("NBDEPLOY_TOKEN", raising=False)

    assert main(["serve", str(path), "--host", "0.0.0.0"]) == 1

    assert "--no-token" in capsys.readouterr().err


def test_serve_tells_who_holds_the_port(path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(path), "--port", str(port)]) == 1

    assert f"Port {port} on 127.0.0.1 is taken" in capsys.readouterr().err


def test_serve_tells_of_a_missing_file(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "nowhere.joblib")]) == 1
    assert "nowhere.joblib" in capsys.readouterr().err


def test_trust_records_the_models_of_a_folder_once(path, capsys):
    (path.parent / "iris.joblib.manifest.json").unlink()

    assert main(["trust", str(path.parent)]) == 0

    assert capsys.readouterr().out.strip() == ModelSerializer.inspect(path).digest
    assert ModelSerializer.load_model(path).predict(X[:1]).tolist() == [0]


def test_trust_of_a_folder_without_models_is_an_error(tmp_path, capsys):
    assert main(["trust", str(tmp_path)]) == 1
    assert "no saved model" in capsys.readouterr().err


def test_ready_tells_what_this_machine_has(capsys):
    code = main(["ready"])

    said = capsys.readouterr().out
    assert code in {0, 1}
    assert "Python" in said
    assert ("problem" in said) == (code == 1)


@pytest.mark.parametrize("command", ["serve", "demo", "lab", "ready", "trust"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    assert f"nbdeploy {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["nope"], ["serve"], ["serve", "x", "--port", "y"], ["serve", "x", "--port", "99999"]],
)
def test_a_wrong_call_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage: nbdeploy" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f"nbdeploy {nbdeploy.__version__}"


@pytest.mark.parametrize("command", ["demo", "lab"])
def test_the_notebooks_say_what_to_install(command, monkeypatch, capsys):
    monkeypatch.setattr("nbdeploy.cli.find_spec", lambda name: None if name == "ipykernel" else 1)

    assert main([command]) == 1

    assert "ipykernel, which is not installed here. Run: pip install" in capsys.readouterr().err


def test_the_lab_opens_the_index_of_the_course(monkeypatch):
    started = []
    monkeypatch.setattr("os.execv", lambda _, command: started.append(command))
    monkeypatch.setattr("nbdeploy.cli._require_jupyter", lambda: None)

    main(["lab", "--", "--no-browser"])

    (command,) = started
    folder = next(word for word in command if word.startswith("--ServerApp.root_dir="))
    page = next(word for word in command if word.startswith("--LabApp.default_url=/lab/tree/"))
    assert Path(folder.partition("=")[2], page.partition("/lab/tree/")[2]).is_file()
    assert command[-1] == "--no-browser"


def test_the_demo_tells_first_that_it_cannot_write_the_page(tmp_path, capsys):
    (tmp_path / "file").touch()

    assert main(["demo", "--output", str(tmp_path / "file" / "page.html")]) == 1

    said = capsys.readouterr()
    assert "cannot be written" in said.err
    assert said.out == ""


def test_the_demo_runs_the_quickstart_and_writes_the_page(tmp_path, capsys):
    page = tmp_path / "out" / "quickstart.html"

    assert main(["demo", "--output", str(page)]) == 0

    said = capsys.readouterr().out
    assert "did you mean" in said
    assert "Adelie" in said
    assert "<html" in page.read_text()


def test_a_container_needs_only_what_serving_needs(path):
    """Serve with widgets, plots, clusters and Jupyter unimportable."""
    blocked = ["ipywidgets", "matplotlib", "kubernetes", "IPython", "ipykernel", "jupyterlab",
               "nest_asyncio", "nbclient", "nbconvert", "jupytext", "palmerpenguins"]  # fmt: skip
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from starlette.testclient import TestClient\n"
        "from nbdeploy import ModelService\n"
        f"client = TestClient(ModelService({str(path)!r}).app)\n"
        f"print(client.post('/predict', json={{'features': {X[0].tolist()}}}).text)"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert json.loads(run.stdout) == {"prediction": [0]}


def test_serve_speaks_https_with_a_certificate(path, tmp_path):
    files = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=t"]
    try:
        subprocess.run(
            [*command, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    options = [f"--ssl-certfile={files[0]}", f"--ssl-keyfile={files[1]}"]
    with Served(path, *options) as served:
        client = Client(served.url.replace("http:", "https:"), certificate=files[0])
        end = time.monotonic() + 30
        while not client.is_ready() and time.monotonic() < end:
            time.sleep(0.1)

        assert client.predict(X[:2].tolist()) == [0, 0]
        client.close()


def test_serve_tells_of_a_certificate_that_cannot_be_used(path, capsys):
    assert main(["serve", str(path), "--ssl-certfile", "nothing.pem"]) == 1
    assert "nothing.pem" in capsys.readouterr().err
