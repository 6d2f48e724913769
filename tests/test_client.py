import asyncio
import gc
import socket
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbdeploy import Client, deploy, stop_all
from nbdeploy.exceptions import (
    DeadlineError,
    OverloadedError,
    RequestError,
    ScalingError,
    SignatureError,
    UnreachableError,
)

FRAME = pd.DataFrame({"a": [-1.0, 1.0], "b": [0.5, -0.5]}, index=["x", "y"])


@pytest.fixture(scope="module")
def service():
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, ["no", "yes"])
    with deploy(model, name="client", example=FRAME) as service:
        yield service


@pytest.fixture
def client(service):
    with Client(service.url) as client:
        yield client


def test_rows_of_every_form_are_answered_in_their_form(client):
    assert client.predict(FRAME).to_dict() == {"x": "no", "y": "yes"}
    assert client.predict(FRAME.to_numpy()).tolist() == ["no", "yes"]
    assert client.predict([[-1, 0.5], [1, -0.5]]) == ["no", "yes"]
    assert client.predict({"a": 1.0, "b": -0.5}) == "yes"
    assert client.predict({"b": [0.5, -0.5], "a": [-1, 1]}) == ["no", "yes"]
    assert client.predict(FRAME.loc["y"]) == "yes"


def test_probabilities_have_the_classes_as_columns(client, service):
    proba = client.predict_proba(FRAME)

    assert list(proba.columns) == ["no", "yes"]
    assert list(proba.index) == ["x", "y"]
    assert np.array_equal(proba, service.service.model.predict_proba(FRAME))


def test_the_classes_are_those_of_the_model_that_answered():
    first = LogisticRegression().fit(FRAME, ["no", "yes"])
    second = LogisticRegression().fit(FRAME, ["down", "up"])
    service = deploy(first, name="classes")
    client = Client(service.url)

    before = list(client.predict_proba(FRAME).columns)
    deploy(second, name="classes")

    assert before == ["no", "yes"]
    assert list(client.predict_proba(FRAME).columns) == ["down", "up"]
    service.stop()


def test_any_method_of_the_model_can_be_called(client):
    assert client.call("decision_function", FRAME).shape == (2,)
    with pytest.raises(RequestError, match="no method of a model"):
        client.call("../stats", FRAME)
    with pytest.raises(RequestError, match="has no 'transform'"):
        client.call("transform", FRAME)


def test_a_series_of_texts_is_many_rows_for_a_model_of_texts():
    texts = pd.Series(["good good", "bad"], index=[7, 9])
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, [1, 0])
    with deploy(model, name="texts", example=texts) as service:
        assert Client(service.url).predict(texts).to_dict() == {7: 1, 9: 0}
        assert Client(service.url).predict(["bad", "good"]) == [0, 1]


def test_the_servers_error_is_the_same_python_error(client):
    with pytest.raises(SignatureError) as caught:
        client.predict(FRAME.rename(columns={"a": "aa"}))
    assert caught.value.suggestion == "a"
    with pytest.raises(SignatureError) as caught:
        client.predict({"a": "wide", "b": 1.0})
    assert (caught.value.row, caught.value.column) == (0, "a")


def test_infinity_is_refused_and_not_taken_for_missing(client):
    with pytest.raises(SignatureError):
        client.predict(FRAME.replace(1.0, np.inf))


def test_info_and_stats_are_those_of_the_service(client, service):
    assert client.info() == service.service.info()
    assert client.stats().keys() == service.stats().keys()
    assert client.is_ready()


def test_many_threads_share_a_client(client):
    answers = []

    def ask(number):
        answers.append((number, client.predict([[number, 0.0]] * (number + 1))))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(len(answer) == number + 1 for number, answer in answers)
    assert len(answers) == 12


def test_asynchronous_callers_do_not_wait_for_each_other(client):
    async def ask():
        return await asyncio.gather(
            client.predict_async(FRAME), client.call_async("predict_proba", FRAME.to_numpy())
        )

    labels, proba = asyncio.run(ask())

    assert labels.tolist() == ["no", "yes"]
    assert proba.shape == (2, 2)


def test_nobody_at_the_address_is_told():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"

    client = Client(url)

    with pytest.raises(UnreachableError, match="Is the service running"):
        client.predict([[1]])
    assert not client.is_ready()


def test_a_server_that_does_not_answer_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeadlineError, match=r"within 0\.2 s"):
            Client(url, timeout=0.2).predict([[1]])


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "8000"])
def test_what_is_no_address_is_told(url):
    with pytest.raises(RequestError, match="http://host:port"):
        Client(url)


def test_the_token_may_come_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_CONFIG_DIR", str(tmp_path))
    file = Path(tmp_path / "token")
    file.write_text("s3cret-t0ken\n")
    with deploy(LogisticRegression().fit(FRAME, [0, 1]), token="s3cret-t0ken") as service:
        assert Client(service.url, token=file).info()["feature_count"] == 2
        assert Client(service.url, token="s3cret-t0ken").info()["feature_count"] == 2
        with pytest.raises(RequestError, match="Send the token"):
            Client(service.url).info()
        monkeypatch.setenv("NBDEPLOY_TOKEN", "s3cret-t0ken")
        client = Client(service.url)
        assert client.info()["feature_count"] == 2
        assert "s3cret" not in repr(client)


class Slow:
    n_features_in_ = 1

    def __init__(self):
        self.go_on = threading.Event()

    def predict(self, rows):
        # The first row is the one that warms up.
        assert rows[0][0] == 0 or self.go_on.wait(10)
        return [0] * len(rows)


def test_a_full_queue_refuses_at_once_and_a_late_answer_is_given_up():
    model = Slow()
    service = deploy(model, copy=False, max_concurrency=1, max_queue=1, timeout=1.0)
    outcomes = []

    def ask():
        try:
            Client(service.url).predict([[1.0]])
        except (OverloadedError, DeadlineError) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    model.go_on.set()

    refused = [error for error in outcomes if isinstance(error, OverloadedError)]
    assert len(refused) == 10
    assert len(outcomes) == 12
    assert all(error.retry_after >= 1 for error in refused)
    service.stop()


def test_a_forgotten_client_leaves_no_open_socket(service):
    client = Client(service.url)
    client.predict(FRAME)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del client
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def nothing_left():
    yield
    stop_all()


def test_several_services_answer_as_one():
    model = LogisticRegression().fit(FRAME, ["no", "yes"])
    services = [deploy(model, name=f"one-of-three-{number}") for number in range(3)]
    urls = [service.url for service in services]

    with Client(urls, strategy="round_robin") as client:
        answers = [client.predict(FRAME).tolist() for _ in range(6)]
        counts = [fact.requests for fact in client.balancer.facts()]
        assert [service.stats()["total_predictions"] for service in services] == [2, 2, 2]
        services[1].stop()
        answers += [client.predict(FRAME).tolist() for _ in range(9)]

    assert answers == [["no", "yes"]] * 15
    assert counts == [2, 2, 2]
    assert repr(client) == f"<Client of {' and '.join(urls)}>"
    services[0].stop()
    services[2].stop()
    with Client(urls) as client, pytest.raises(UnreachableError, match="Nobody answers"):
        client.predict(FRAME)


def test_nobody_and_an_unknown_strategy_are_told():
    with pytest.raises(RequestError, match="has nobody to ask"):
        Client([])
    with pytest.raises(ScalingError, match="Did you mean 'random'"):
        Client(["http://a:1"], strategy="randm")
