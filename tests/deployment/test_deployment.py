"""deploy() as a data scientist calls it: rows in, answers or errors out."""

from __future__ import annotations

import inspect
import os
import re
import socket
import threading
import time

import httpx2
import numpy as np
import pandas as pd
import pytest
from palmerpenguins import load_penguins
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nbdeploy import Deployment, ModelSerializer, deploy, deployments, stop_all
from nbdeploy.exceptions import (
    PortInUseError,
    PredictionError,
    ScalingError,
    ServingError,
    SignatureError,
    StoppedError,
    UnfittedModelError,
    UnsupportedModelError,
    UntrustedModelError,
)
from nbdeploy.scaling import ConcurrencyPolicy
from tests.deployment.iris import IRIS, constant

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def penguins():
    frame = load_penguins()
    X, y = frame.drop(columns="species"), frame["species"]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X, y), X


def test_penguins_with_texts_and_missing_values_answer_as_the_model_itself(penguins):
    model, X = penguins

    service = deploy(model, name="penguins", example=X)

    labels, proba = service.predict(X), service.predict_proba(X)
    assert labels.tolist() == model.predict(X).tolist()
    assert labels.index.equals(X.index)
    assert np.array_equal(proba.to_numpy(), model.predict_proba(X))
    assert list(proba.columns) == model.classes_.tolist()


def test_a_typo_in_a_column_name_comes_back_as_the_error_that_names_it(penguins):
    model, X = penguins
    service = deploy(model, example=X)

    with pytest.raises(SignatureError, match="did you mean 'bill_length_mm'") as caught:
        service.predict(X.head(1).rename(columns={"bill_length_mm": "bill_lenght_mm"}))

    assert caught.value.column == "bill_lenght_mm"
    assert caught.value.suggestion == "bill_length_mm"


def test_the_form_of_the_rows_is_the_form_of_the_answer(model):
    service = deploy(model)
    rows = IRIS.data.head(2)

    assert isinstance(service.predict(rows), pd.Series)
    assert service.predict(rows.to_numpy()).tolist() == [0, 0]
    assert service.predict(rows.to_numpy().tolist()) == [0, 0]
    assert service.predict(rows.iloc[0].to_dict()) == 0
    assert service.predict(rows.iloc[0]) == 0


def test_several_names_live_side_by_side():
    one, two = deploy(constant("1"), name="one"), deploy(constant("2"), name="two")

    assert deployments() == [one, two]
    assert one.url != two.url
    one.stop()
    assert deployments() == [two]
    assert two.predict([[0.0]]) == ["2"]
    stop_all()
    assert deployments() == []


def test_a_function_of_the_rows_is_a_model_too():
    limit = 20

    def is_long(rows):
        return rows["bill"] > limit

    service = deploy(is_long, example=pd.DataFrame({"bill": [39.1, 17.2]}))

    assert service.predict(pd.DataFrame({"bill": [39.1, 17.2]})).tolist() == [True, False]
    assert "compiled" not in service.to_html()


def test_a_saved_model_is_deployed_by_its_path(model, tmp_path):
    path = tmp_path / "flowers.joblib"
    ModelSerializer.save_model(model, path, example=IRIS.data)

    service = deploy(path)

    assert service.name == "flowers"
    assert service.predict(IRIS.data[:1]).tolist() == [0]


def test_a_file_that_nobody_vouched_for_is_not_loaded(model, tmp_path):
    path = tmp_path / "foreign.joblib"
    ModelSerializer.save_model(model, path)
    (tmp_path / "foreign.joblib.manifest.json").unlink()

    with pytest.raises(UntrustedModelError) as caught:
        deploy(path)

    assert deploy(path, trust=caught.value.digest).predict(IRIS.data[:1]).tolist() == [0]


@pytest.mark.parametrize(
    ("thing", "error"),
    [
        (LogisticRegression(), UnfittedModelError),
        (LogisticRegression, UnsupportedModelError),
        (IRIS.data, UnsupportedModelError),
        (None, UnsupportedModelError),
        (3, UnsupportedModelError),
        ("no/such/file.joblib", FileNotFoundError),
    ],
)
def test_what_cannot_be_served_is_one_clear_error(thing, error):
    with pytest.raises(error):
        deploy(thing)
    assert deployments() == []


@pytest.mark.parametrize(
    "name", ["", "a/b", "../etc", "a\nb", "<script>", "x" * 65, "-x", ".x", "a\x00", 5]
)
def test_a_name_that_no_service_can_have_is_refused(model, name):
    with pytest.raises(ServingError, match="is no name of a service"):
        deploy(model, name=name)


def test_a_port_that_is_taken_is_told_in_the_cell(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortInUseError, match=str(port)):
            deploy(model, port=port)

    assert deploy(model, port=port).url.endswith(f":{port}")


class Fails:
    n_features_in_ = 1

    def predict(self, rows):
        if rows[0][0] < 0:
            return rows["no such column"]
        return [1] * len(rows)


def test_an_error_of_the_model_comes_back_with_the_models_own_behind_it():
    service = deploy(Fails())

    with pytest.raises(PredictionError, match="raised IndexError") as caught:
        service.predict([[-1.0]])

    assert isinstance(caught.value.__cause__, IndexError)
    assert caught.value.__notes__ == [f"IndexError: {caught.value.__cause__}"]
    (recorded,) = service.errors()
    assert 'rows["no such column"]' in recorded.traceback
    assert service.predict([[1.0]]) == [1]


def test_stats_are_those_of_the_monitor_and_of_http(model):
    service = deploy(model)
    service.predict(IRIS.data)

    assert service.stats().keys() == httpx2.get(f"{service.url}/stats").json().keys()
    assert service.stats()["total_predictions"] == service.monitor.get_statistics()["requests"] == 1
    assert service.stats()["rows"] == 150


def test_a_stopped_service_says_so_and_can_be_deployed_again(model):
    service = deploy(model, name="again")
    service.stop()
    service.stop()

    with pytest.raises(StoppedError, match=r"deploy\(model, name='again'\)"):
        service.predict(IRIS.data[:1])
    with pytest.raises(StoppedError):
        service.open()
    assert "stopped" in repr(service)
    assert deploy(model, name="again").predict(IRIS.data[:1]).tolist() == [0]


def test_with_a_block_it_ends_with_the_block(model):
    with deploy(model) as service:
        url = service.url
        assert httpx2.get(f"{url}/health").status_code == 200
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/health")


def test_wait_returns_when_the_service_stops(model):
    service = deploy(model)
    waiting = threading.Thread(target=service.wait)
    waiting.start()

    service.stop()
    waiting.join(5)

    assert not waiting.is_alive()


def test_the_verbs_of_a_deployment_are_these_and_no_more():
    verbs = {name for name in dir(Deployment) if not name.startswith("_")} - {"to_html", "to_text"}

    assert verbs | {"name"} == {
        "name", "service", "predict", "predict_proba", "url", "snippets", "open",
        "stats", "monitor", "logs", "errors", "dashboard", "try_it", "wait", "stop",
        "rollout", "rollback", "split", "shadow", "compare",
        "scale", "autoscale", "load_test", "bundle",
    }  # fmt: skip
    keywords = list(inspect.signature(deploy).parameters.values())[1:]
    assert all(each.kind is each.KEYWORD_ONLY for each in keywords)


def test_the_text_of_a_deployment_holds_no_address_and_the_card_does(model):
    service = deploy(model, name="flowers", example=IRIS.data)

    assert not re.search(r"\d{4,5}", str(service))
    assert "127.0.0.1" not in str(service)
    assert "petal width (cm)" in str(service)
    assert repr(deployments()) == "[<Deployment 'flowers': LogisticRegression, running>]"
    assert service.url in service.to_html()
    assert "without a token" in service.to_html()


def test_thirty_deploy_at_once_and_all_get_a_port_of_their_own(model):
    services = []

    def start(number):
        services.append(deploy(model, name=f"student {number}"))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({service.url for service in services}) == 30
    assert all(service.predict(IRIS.data[:1]).tolist() == [0] for service in services)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_no_deployments(model):
    deploy(model)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(len(deployments())).encode())
        os._exit(0)
    os.waitpid(pid, 0)

    assert os.read(reading, 10) == b"0"
    os.close(reading)
    os.close(writing)


def test_autoscaling_follows_the_load_until_a_number_is_set(model):
    policy = ConcurrencyPolicy(interval=0.1, panic_window=0.5)
    with deploy(model, name="scaled", example=IRIS.data) as service:
        scaler = service.autoscale(min_replicas=1, max_replicas=2, policy=policy)
        ends = time.monotonic() + 60
        while scaler.current_replicas < 1 and time.monotonic() < ends:
            time.sleep(0.05)
        assert scaler.current_replicas == 1
        assert scaler.history().changes[0].replicas == 0
        assert service.predict(IRIS.data[:2]).tolist() == [0, 0]

        service.scale(2)

        assert not scaler.is_running
        assert scaler.current_replicas == 2
        again = service.autoscale()
        assert again is not scaler
    assert not again.is_running


def test_a_load_test_sends_rows_and_counts_what_came(model):
    with deploy(model, name="loaded", example=IRIS.data, token="s3cret-t0ken") as service:
        result = service.load_test(20, seconds=1, rows=IRIS.data)

        assert len(result.samples) == 20
        assert result.errors == {}
        assert list(result.versions) == [service.service.route.version]
        assert service.stats()["requests"] == 20
        assert service.load_test(concurrency=1, seconds=0.2).error_rate == 0
        with pytest.raises(ScalingError, match="searches for the rate by itself"):
            service.load_test(goal_p95=0.1, concurrency=3)
    with pytest.raises(StoppedError):
        service.load_test(1)
