import pytest
from sklearn.linear_model import LinearRegression

from nbdeploy.exceptions import RequestError, StoppedError
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.batching import MicroBatcher
from nbdeploy.serving.inference import Inference
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.served_models import ServedModels


def inference(*, is_loaded=True):
    route = route_from_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))
    return Inference(
        monitor=ModelMonitor(),
        batcher=MicroBatcher(),
        name="m",
        route=route if is_loaded else None,
    )


def test_a_model_is_found_by_its_name_and_its_version():
    churn, fraud = inference(), inference()
    models = ServedModels({"churn": churn, "fraud": fraud})

    assert models.names == ["churn", "fraud"]
    assert models.find("fraud") == ("fraud", fraud)
    assert models.find("churn", "1") == ("churn", churn)


def test_the_only_model_needs_no_name():
    only = inference()

    assert ServedModels({"m": only}).find() == ("m", only)


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("chrun", None, "no model 'chrun'. Did you mean 'churn'"),
        ("nothing", None, "has 'churn' and 'fraud'"),
        (None, None, "name one of 'churn' and 'fraud'"),
        ("churn", "2", "'churn' has no version '2'; '1' is served"),
        ("x" * 1000, None, r"no model 'x+\.\.\.\."),
    ],
)
def test_what_is_not_there_is_not_found(name, version, said):
    models = ServedModels({"churn": inference(), "fraud": inference()})

    with pytest.raises(RequestError, match=said) as caught:
        models.find(name, version)
    assert caught.value.status == 404


def test_a_version_is_not_known_while_the_model_loads():
    loading = inference(is_loaded=False)
    models = ServedModels({"m": loading})

    assert models.find("m") == ("m", loading)
    with pytest.raises(StoppedError):
        models.find("m", "1")
