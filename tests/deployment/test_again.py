"""Deploying again under a name that is taken: the model changes, the service stays."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack

import httpx2
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from nbdeploy import deploy, deployments, stop_all
from nbdeploy.exceptions import PortInUseError, UnfittedModelError
from tests.deployment.iris import IRIS, constant

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_the_same_name_again_swaps_the_model_behind_the_same_url(model):
    first = deploy(constant("old"), name="swap")
    url = first.url

    second = deploy(constant("new"), name="swap")

    assert second.url == url
    assert first.predict([[1.0]]) == second.predict([[1.0]]) == ["new"]
    assert len(deployments()) == 1


def test_swapping_under_load_loses_no_request_and_mixes_no_two_models():
    models = {label: constant(label) for label in ("a", "b")}
    service = deploy(models["a"], name="swap")
    versions, wrong = {}, []
    stop, answered = threading.Event(), threading.Semaphore(0)

    def ask():
        with httpx2.Client(base_url=service.url, verify=False) as client:
            while not stop.is_set():
                response = client.post("/predict", json={"features": [1.0]})
                if response.status_code != 200:
                    wrong.append(response.text)
                (label,) = response.json()["prediction"]
                version = response.headers["X-Model-Version"]
                if versions.setdefault(version, label) != label:
                    wrong.append(version)
                answered.release()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(20):
        assert all(answered.acquire(timeout=10) for _ in range(5))
        deploy(models["ab"[turn % 2]], name="swap")
        if turn == 10:
            with pytest.raises(UnfittedModelError):
                deploy(LogisticRegression(), name="swap")
    stop.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert sorted(versions.values()) == ["a", "b"]
    assert service.stats()["errors"] == 0


def test_fitting_again_changes_no_answer_until_the_next_deploy():
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    service = deploy(model)

    model.fit([[0.0], [1.0]], [0.0, 100.0])

    assert service.predict([[1.0]]) == pytest.approx([1.0])
    assert deploy(model).predict([[1.0]]) == pytest.approx([100.0])


def test_without_a_copy_the_object_itself_answers():
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    service = deploy(model, copy=False)

    model.fit([[0.0], [1.0]], [0.0, 100.0])

    assert service.predict([[1.0]]) == pytest.approx([100.0])


def test_an_unnamed_model_takes_the_name_of_its_class_and_says_when_it_replaces(model):
    deploy(model)
    again = deploy(model)

    assert again.name == "logistic-regression"
    assert "Pass name= to keep several at once" in again.to_html()


def test_a_redeployment_to_a_taken_port_leaves_the_old_service_alive(model):
    service = deploy(model, name="kept")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortInUseError):
        deploy(model, name="kept", port=taken.getsockname()[1])

    assert service.predict(IRIS.data[:1]).tolist() == [0]


def test_a_redeployment_may_move_to_another_port(model):
    service = deploy(model, name="moved")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    moved = deploy(model, name="moved", port=port)

    assert moved is service
    assert moved.url.endswith(f":{port}")
    assert moved.predict(IRIS.data[:1]).tolist() == [0]
    assert "address changed" in moved.to_html()


def test_deploying_one_name_from_many_threads_leaves_one_service():
    with ExitStack() as stack:
        stack.callback(stop_all)
        threads = [
            threading.Thread(target=deploy, args=(constant(str(number)),), kwargs={"name": "one"})
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(deployments()) == 1
        assert deployments()[0].predict([[0.0]])[0] in set("01234567")
