"""Requests that are recorded where they are answered, and asked again of another version."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from starlette.testclient import TestClient

from nbdeploy import Client, ModelSerializer, ModelService, ModelVersionControl, deploy, stop_all
from nbdeploy.exceptions import ServingError, SignatureError
from nbdeploy.monitoring import RequestLog, request_log
from nbdeploy.monitoring.log_files import LogFiles, log_files

IRIS = load_iris(as_frame=True)
LIVE = LogisticRegression(max_iter=500).fit(IRIS.data, IRIS.target)
SHY = DecisionTreeClassifier(max_depth=1).fit(IRIS.data, IRIS.target)
LENGTH = "sepal length (cm)"
WIDTH = "petal width (cm)"


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    stop_all()
    assert not any("request-log" in thread.name for thread in threading.enumerate())


def told(folder, name="iris"):
    """Read all lines of a service, once none waits."""
    texts = [path.read_text() for path in log_files(folder / name)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def served(folder, model=LIVE, **options):
    return deploy(model, name="iris", example=IRIS.data, request_log=folder, **options)


@pytest.mark.parametrize("where", ["kernel", "process"])
def test_every_request_is_a_line_with_rows_answer_and_status(tmp_path, where):
    service = served(tmp_path, where=where)
    service.predict(IRIS.data.head(2))
    service.predict_proba(IRIS.data.head(1))
    with pytest.raises(SignatureError):
        service.predict([["a", 1, 2, 3]])
    version = service.service.route.version
    service.stop()

    lines = told(tmp_path)
    assert [(each["endpoint"], each["status"]) for each in lines] == [
        ("predict", 200),
        ("predict_proba", 200),
        ("predict", 422),
    ]
    assert lines[0]["columns"] == list(IRIS.data.columns)
    assert lines[0]["rows"] == IRIS.data.head(2).to_numpy().tolist()
    assert lines[0]["answer"] == [0, 0]
    assert lines[1]["answer"] == LIVE.predict_proba(IRIS.data.head(1)).tolist()
    assert {each["version"] for each in lines} == {version}
    assert all(0 < each["latency"] < 10 for each in lines)
    assert len({each["id"] for each in lines}) == 3


def test_no_log_costs_one_look(tmp_path):
    service = deploy(LIVE, name="iris")
    service.predict(IRIS.data.head(1))

    assert service.service.inference.request_log is None
    assert "request_log" not in service.stats()


def test_other_protocols_replicas_and_versions_are_recorded_too(tmp_path):
    service = served(tmp_path)
    with TestClient(service.service.app, base_url="http://127.0.0.1") as client:
        rows = IRIS.data.head(1).to_numpy().tolist()
        assert client.post("/v1/models/iris:predict", json={"instances": rows}).status_code == 200
    service.scale(1)
    service.predict(IRIS.data.head(1))
    service.split({"a": LIVE, "b": SHY}, weights=[0, 1])
    service.predict(IRIS.data.head(1))
    service.stop()

    lines = told(tmp_path)
    assert len(lines) == 3
    assert [each["rows"] for each in lines] == [rows] * 3
    assert lines[2]["version"] == "b"


def test_the_models_of_a_group_have_a_folder_each(tmp_path):
    log = RequestLog(tmp_path, redact=[LENGTH])
    one = pd.DataFrame({"x": [0.0, 1.0]})
    other = LogisticRegression().fit(one, [0, 1])
    group = deploy(
        {"iris": LIVE, "other": other}, example={"iris": IRIS.data, "other": one}, request_log=log
    )
    group["iris"].predict(IRIS.data.head(1))
    group["other"].predict(one)
    group.stop()

    assert told(tmp_path)[0]["redacted"] == [LENGTH]
    assert told(tmp_path, "other")[0]["columns"] == ["x"]


def test_a_cell_that_runs_again_goes_on_with_the_same_log(tmp_path):
    first = served(tmp_path)
    url = first.url
    first.predict(IRIS.data.head(1))
    again = served(tmp_path)
    again.predict(IRIS.data.head(1))
    assert again.service is first.service
    sampled = served(RequestLog(tmp_path, sample=0.5))
    sampled.predict(IRIS.data.head(1))
    plain = deploy(LIVE, name="iris", example=IRIS.data)
    plain.predict(IRIS.data.head(1))

    assert plain.url == url
    assert "request_log" not in plain.stats()
    assert len(told(tmp_path)) in {2, 3}


def test_a_cell_that_runs_again_makes_a_folder_that_was_taken_away(tmp_path):
    folder = tmp_path / "logs"
    served(folder)
    shutil.rmtree(folder)
    service = served(folder)
    service.predict(IRIS.data.head(1))
    service.stop()

    assert len(told(folder)) == 1


def test_a_typo_in_redact_or_a_folder_that_is_none_starts_nothing(tmp_path):
    with pytest.raises(ServingError, match=r"did you mean|Did you mean 'sepal length"):
        served(RequestLog(tmp_path, redact=["sepal lenght (cm)"]))
    (tmp_path / "file").write_text("")
    with pytest.raises(ServingError, match="cannot be made"):
        served(tmp_path / "file")
    with pytest.raises(ValueError, match="Expected a folder"):
        served(5)

    path = tmp_path / "iris.joblib"
    ModelSerializer.save_model(LIVE, str(path), example=IRIS.data)
    with pytest.raises(ServingError, match="which is no column"):
        ModelService(path, request_log=RequestLog(tmp_path, redact=["x"]))
    late = ModelService(path, request_log=RequestLog(tmp_path, redact=["x"]), load=False)
    late._load_in_background()
    assert late.health.has_failed


def test_a_disk_that_hangs_or_is_full_slows_and_fails_no_answer(tmp_path, monkeypatch):
    free, reached = threading.Event(), threading.Event()
    append = LogFiles.append

    def hangs(self, lines):
        reached.set()
        assert free.wait(20)
        return append(self, lines)

    monkeypatch.setattr(LogFiles, "append", hangs)
    service = served(tmp_path)
    service.predict(IRIS.data.head(1))
    assert reached.wait(10)
    for _ in range(20):
        # The disk answers nothing meanwhile: an answer that waited for it would never come.
        assert service.predict([[5.1, 3.5, 1.4, 0.2]]) == [0]
    assert service.stats()["request_log"] == {
        "written": 0, "dropped": 0, "failed": 0, "waiting": 21,
    }  # fmt: skip
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(LogFiles, "append", lambda *_: (0, full))
    assert service.predict([[5.1, 3.5, 1.4, 0.2]]) == [0]
    free.set()
    service.stop()

    statistics = service.stats()
    assert statistics["errors"] == 0
    assert statistics["request_log"]["written"] + statistics["request_log"]["failed"] == 22
    assert statistics["request_log"]["failed"] >= 1


def test_a_folder_that_vanishes_loses_lines_until_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(request_log, "_SETTLED_SECONDS", 0.0)
    folder = tmp_path / "logs"
    service = served(folder)
    log = service.service.inference.request_log
    service.predict(IRIS.data.head(1))
    log.close()
    shutil.rmtree(folder)
    assert len(service.predict(IRIS.data)) == 150
    log.close()
    folder.mkdir()
    service.predict(IRIS.data.head(3))
    log.close()

    assert service.stats()["request_log"] == {
        "written": 2, "dropped": 0, "failed": 1, "waiting": 0,
    }  # fmt: skip
    assert [each["size"] for each in told(folder)] == [3]
    words = "\n".join(service.logs())
    assert "cannot be written: No such file or directory" in words
    assert "written again; lost: 1 line." in words
    assert str(tmp_path) not in words


@pytest.mark.parametrize("where", ["kernel", pytest.param("process", marks=pytest.mark.acceptance)])
def test_a_replay_finds_the_changed_predictions_exactly(tmp_path, where):
    versions = ModelVersionControl(tmp_path / "versions" / "iris")
    for name, model in (("1.0", LIVE), ("1.1", SHY)):
        versions.save_model_version(model, name, example=IRIS.data)
    logs = tmp_path / "logs"
    service = deploy(versions["1.0"], name="iris", request_log=logs, where=where)
    rng = np.random.default_rng(0)
    with Client(service.url) as client:
        for start in range(0, 150, 10):
            client.predict(IRIS.data.iloc[start : start + 10])
        client.predict_proba(IRIS.data.head(int(rng.integers(2, 5))))
        with pytest.raises(SignatureError):
            client.predict([["a", 1, 2, 3]])
    before = service.stats()["requests"]

    found = service.shadow("1.1", replay=logs)

    then, now = LIVE.predict(IRIS.data), SHY.predict(IRIS.data)
    changed = np.flatnonzero(then != now)
    lines = {each["id"]: number for number, each in enumerate(told(logs))}
    frame = found.to_frame()
    at = frame[frame["then"].map(np.isscalar)]
    places = sorted(
        10 * lines[line] + row for line, row in zip(at["request"], at["row"], strict=True)
    )
    assert places == changed.tolist()
    assert at["now"].tolist() == now[changed].tolist()
    assert (found.requests, found.errors) == (16, 0)
    assert list(found.skipped.values()) == [1]
    # Nothing of it was live: nobody was answered, and the traffic is as it was.
    assert service.stats()["requests"] == before
    assert service._traffic.traffic.is_plain
    assert len(told(logs)) == 17
    assert service.shadow("1.0", replay=logs).changed == 0


def test_a_replay_of_redacted_requests_says_what_it_cannot_know(tmp_path):
    log = RequestLog(tmp_path, redact=[WIDTH])
    service = served(log)
    service.predict(IRIS.data)

    found = service.shadow(SHY, replay=tmp_path)

    # Without the widths some answers are others: the live version tells for which rows.
    usual = IRIS.data.assign(**{WIDTH: service.service.signature.example_row()[WIDTH]})
    same = LIVE.predict(usual) == LIVE.predict(IRIS.data)
    assert found.report.rows == same.sum()
    assert found.unclear == (~same).sum() > 0
    assert found.changed == (SHY.predict(usual) != LIVE.predict(usual))[same].sum()


def test_a_replay_without_requests_or_version_is_told(tmp_path):
    service = served(tmp_path)

    with pytest.raises(ServingError, match="no requests of 'iris'"):
        service.shadow(SHY, replay=tmp_path)
    with pytest.raises(ServingError, match="needs a version to ask"):
        service.shadow(None, replay=tmp_path)


@pytest.mark.acceptance
def test_serve_records_and_a_kill_tears_at_most_the_last_line(tmp_path):
    path = tmp_path / "iris.joblib"
    ModelSerializer.save_model(LIVE, str(path), example=IRIS.data)
    command = [sys.executable, "-m", "nbdeploy", "serve", str(path), "--port", "0"]
    command += ["--request-log", str(tmp_path / "logs"), "--request-log-redact", LENGTH]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "NBDEPLOY_TOKEN": ""}
    )
    try:
        port = int(process.stderr.readline().split("port ")[1].split(".")[0])
        with Client(f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 30
            while True:
                try:
                    client.predict(IRIS.data.head(1))
                    break
                except ServingError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            for _ in range(50):
                client.predict(IRIS.data.head(1))
            while not (tmp_path / "logs" / "iris").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()

    (file,) = log_files(tmp_path / "logs" / "iris")
    text = file.read_text()
    assert all(json.loads(line)["redacted"] == [LENGTH] for line in text.split("\n")[:-1])
    assert text.count("\n") >= 1
