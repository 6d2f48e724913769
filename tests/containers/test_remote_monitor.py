"""What runs elsewhere counts, and the notebook reads it as from its own monitor."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_iris

from nbdeploy import ContainerError, ModelMonitor, deploy
from nbdeploy.client import Client
from nbdeploy.containers.remote_monitor import remote_monitor

X = load_iris(return_X_y=True, as_frame=True)[0]


@pytest.fixture
def service(model):
    with deploy(model, name="elsewhere", example=X) as service:
        yield service


@pytest.fixture
def client(service):
    with Client(service.url) as client:
        yield client


def test_it_has_the_counts_and_the_drift_of_the_one_that_is_asked(service, client):
    client.predict(X)
    client.predict_proba(X[:5])

    told = remote_monitor([client])

    own = service.monitor.get_statistics()
    for key in ("total_predictions", "requests", "rows", "error_rate", "by_status"):
        assert told.get_statistics()[key] == own[key], key
    assert told.get_statistics()["avg_latency"] == pytest.approx(own["avg_latency"])
    assert told.drift() == service.monitor.drift()
    with pytest.raises(TypeError, match="cannot be changed"):
        told.log_prediction([1.0], 0, latency=0.1)


def test_those_of_several_add_up(service, client):
    client.predict(X[:4])
    with Client(service.url) as other:
        both = remote_monitor([client, other])

    assert both.get_statistics()["rows"] == 8
    with pytest.raises(TypeError, match="counts add up"):
        both.drift()


def test_nothing_to_compare_with_is_told_as_in_the_notebook(model):
    with deploy(model, name="bare") as service, Client(service.url) as client:
        here, there = service.monitor.drift(), remote_monitor([client]).drift()

    assert there == here
    assert there.verdict == here.verdict


@pytest.mark.parametrize("counts", [{"total_predictions": 1}, {"format": 2}, [], None])
def test_counts_of_another_version_are_told_apart(client, monkeypatch, counts):
    monkeypatch.setattr(ModelMonitor, "to_dict", lambda _: counts)

    with pytest.raises(ContainerError, match="knows stats\\(\\) only"):
        remote_monitor([client])


def test_a_service_that_does_not_know_the_question_is_older(client, monkeypatch):
    monkeypatch.setattr("nbdeploy.containers.remote_monitor._COUNTS", "/no/such/page")

    with pytest.raises(ContainerError, match="knows stats\\(\\) only"):
        remote_monitor([client])
