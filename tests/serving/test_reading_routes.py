from __future__ import annotations

from starlette.testclient import TestClient

from nbdeploy import ModelMonitor, ModelService
from nbdeploy.serving.routing import route_from_model


def double(rows):
    return rows[:, 0] * 2


def test_the_counts_of_several_services_add_up():
    monitors = []
    for number in (1, 2):
        route = route_from_model(double, example=[[0.0], [1.5]])
        client = TestClient(ModelService(route, name="double", token=None).app)
        for _ in range(number):
            client.post("/predict", json={"features": [3.0]})
        monitors.append(ModelMonitor.from_dict(client.get("/stats?snapshot=true").json()))
    assert ModelMonitor.merged(monitors).get_statistics()["total_predictions"] == 3
