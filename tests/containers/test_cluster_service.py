"""The handle of a model in a cluster: the pods' requests end in real services of nbdeploy."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from sklearn.datasets import load_iris

from nbdeploy import Client, deploy
from nbdeploy.containers.bundle_manifests import signature_of
from nbdeploy.containers.cluster_token import kept_token
from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests import Manifests
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import ClusterError, RequestError
from nbdeploy.scaling.threshold import ThresholdPolicy

X, _ = load_iris(return_X_y=True, as_frame=True)
TOKEN = "a-token-that-nobody-shall-see"
IMAGE = "registry.example/iris:1.0"


@pytest.fixture(scope="module")
def pods(model):
    """Two services, which stand for what two pods run."""
    with (
        deploy(model, name="pod-one", example=X, token=TOKEN) as one,
        deploy(model, name="pod-two", example=X, token=TOKEN) as two,
    ):
        yield one, two


@pytest.fixture
def server(contract):
    running = contract.ContractServer()
    yield running
    running.close()


@pytest.fixture
def cluster(server):
    return server.cluster


@pytest.fixture
def deployer(server, tmp_path, write_kubeconfig):
    return KubernetesDeployer(kubeconfig=write_kubeconfig(tmp_path / "config", server.url))


@pytest.fixture
def service(deployer, cluster, written, pods):
    for pod in pods:
        pod.monitor.reset()
    made = Manifests(
        name="iris", image=IMAGE, replicas=2, token=TOKEN, signature=signature_of(written)
    )
    applied = made.apply(deployer)
    names = [each["metadata"]["name"] for each in deployer.ready_pods("iris")]
    for name, pod in zip(names, pods, strict=True):
        address = urlsplit(pod.url)
        cluster.backends[name] = (address.hostname, address.port)
    yield applied
    applied.close()


def test_it_predicts_as_the_model_does(service, model):
    assert list(service.predict(X)) == list(model.predict(X))
    assert service.predict_proba(X[:3]).shape == (3, 3)
    assert service.try_it().row is not None
    assert service.open() == f"{service.url}/docs"


def test_stats_are_asked_from_each_pod_and_added_up(service, pods):
    for number, pod in enumerate(pods, start=1):
        with Client(pod.url, token=TOKEN) as client:
            for _ in range(2 * number):
                client.predict(X[:5])
    stats = service.stats()
    assert stats["total_predictions"] == stats["requests"] == 6
    assert stats["rows"] == 30
    assert stats["replicas"] == {"ready": 2, "wanted": 2}
    assert service.monitor.get_statistics()["total_predictions"] == 6
    drawn = service.dashboard().to_html()
    assert "2 of 2" in drawn
    assert "<svg" in drawn


def test_each_connection_goes_to_another_pod(service, pods):
    for _ in range(4):
        with Client(service.url, token=TOKEN) as client:
            client.predict(X[:1])
    assert [pod.stats()["total_predictions"] for pod in pods] == [2, 2]


def test_the_snippets_read_the_token_from_a_file(service):
    assert TOKEN not in str(service.snippets())
    assert f"{service.url}/predict" in service.snippets().curl


def test_a_load_is_measured_through_the_tunnel(service):
    result = service.load_test(20, seconds=0.5)
    assert result.errors == {}


def test_a_wrong_token_is_the_services_answer_and_not_the_clusters(deployer, service, cluster):
    other = Manifests(name="iris", image=IMAGE, replicas=2, token="another-token-entirely")
    handle = type(service)(other, deployer)
    with pytest.raises(RequestError):
        handle.predict(X[:1])
    with pytest.raises(ClusterError, match="does not tell what it counted") as caught:
        handle.stats()
    assert "another-token-entirely" not in str(caught.value)
    handle.close()


def test_scale_ends_autoscaling_and_autoscale_keeps_the_pods(service, deployer):
    assert service.scale(3) == 3
    made = service.autoscale(policy=ThresholdPolicy(min_replicas=1, max_replicas=5))
    assert "HorizontalPodAutoscaler" in [each["kind"] for each in made.objects()]
    assert deployer.replicas("iris") == 3
    for named in ("hpa", "threshold", "concurrency"):
        made = service.autoscale(policy=named, min_replicas=2)
        assert made.autoscale.min_replicas == 2
    with pytest.raises(ClusterError, match="autoscale 'fast'"):
        service.autoscale(policy="fast")
    assert service.scale(2) == 2
    assert not deployer.has_own_autoscaler("iris")
    assert deployer.replicas("iris") == 2


def test_a_rollout_and_a_rollback_are_the_clusters(service, deployer):
    assert service.rollout("registry.example/iris:2.0", timeout=0).done
    assert [each.image for each in service.history()] == ["registry.example/iris:2.0", IMAGE]
    assert service.rollback().done
    assert service.image == IMAGE
    # Sizing afterwards does not bring the image back that was left.
    service.scale(3)
    assert deployer.history("iris")[0].image == IMAGE
    # And it is no rollout: the pods that run stay.
    assert [each.number for each in deployer.history("iris")] == [3, 2]


def test_no_pod_is_told_with_the_reason(service, cluster):
    service.rollout("registry.example/missing:3.0", timeout=0)
    for path in [path for path, each in cluster.objects.items() if each.get("ready")]:
        del cluster.objects[path]
    with pytest.raises(ClusterError, match="ImagePullBackOff"):
        service.stats()
    service.close()
    with pytest.raises(ClusterError, match="docker push"):
        service.predict(X[:1])


def test_pods_that_go_away_are_replaced_on_the_way(service, cluster, pods):
    service.predict(X[:1])
    (gone, *_) = [path for path, each in cluster.objects.items() if each["kind"] == "Pod"]
    del cluster.objects[gone]
    for _ in range(3):
        with Client(service.url, token=TOKEN) as client:
            assert list(client.predict(X[:1])) == [0]


def test_logs_come_with_their_pod_in_the_order_of_time_without_the_token(service, cluster):
    one, two = [each["metadata"]["name"] for each in service.deployer.ready_pods("iris")]
    cluster.logs[one] = ["2026-11-26T12:00:00Z starts", f"2026-11-26T12:00:02Z said {TOKEN}"]
    cluster.logs[two] = ["2026-11-26T12:00:01Z starts"]
    assert service.logs() == [f"{one}: starts", f"{two}: starts", f"{one}: said •••"]


@pytest.mark.parametrize("verb", ["split", "shadow", "compare", "errors", "bundle"])
def test_a_verb_that_a_cluster_has_not_says_what_to_do(service, verb):
    with pytest.raises(ClusterError, match=rf"no {verb}\. "):
        getattr(service, verb)
    with pytest.raises(AttributeError):
        _ = service.splitt


THERE = (
    "predict", "predict_proba", "url", "snippets", "open", "stats", "monitor", "logs", "dashboard",
    "try_it", "rollout", "rollback", "scale", "autoscale", "load_test", "wait", "stop",
)  # fmt: skip


def test_every_other_verb_of_a_service_is_there(service):
    assert [verb for verb in THERE if getattr(service, verb) is None] == []


def test_stop_deletes_it_and_a_second_time_does_nothing(service, cluster):
    assert "Deployment/iris" in service.stop()
    assert service.stop() == ()
    assert cluster.objects == {}
    service.wait()


def test_nothing_that_a_saved_notebook_may_hold_tells_the_token(service, deployer):
    made = service.manifests
    other = replace(made, token="another-token-entirely", replicas=1)
    shown = [repr(vars(service)), repr(vars(deployer)), repr(made.notes)]
    shown += [repr(other.diff(deployer)), str(list(map(str, other.diff(deployer))))]
    for each in (service, made, service.status(), service.history(), service.dashboard()):
        shown += [repr(each), each.to_html(), *(ReprMixin._repr_mimebundle_(each).values())]
    shown += [str(each) for each in made.objects() if each["kind"] != "Secret"]
    shown += [str(deployer.apply(made.objects())), made.to_yaml(), *service.logs()]
    assert "data.token" in str(shown)
    for token in (TOKEN, other.token):
        for text in (token, base64.b64encode(token.encode()).decode()):
            assert not [each for each in shown if text in each]
    assert "status(timeout=300)" in service.to_html()


def test_a_difference_to_the_cluster_needs_no_file(service, deployer):
    assert service.manifests.diff(deployer) == ()
    (change,) = replace(service.manifests, replicas=5).diff(deployer)
    assert str(change) == "Deployment/iris spec.replicas: 2 -> 5"


def test_without_a_bundle_a_row_is_unknown(deployer, service):
    handle = type(service)(Manifests(name="iris", image=IMAGE), deployer)
    with pytest.raises(ClusterError, match=r"bundle\.kubernetes"):
        handle.load_test(1, seconds=0.1)


def test_a_bundle_goes_to_the_cluster_in_one_line(written, deployer, cluster):
    made = written.kubernetes(IMAGE, replicas=2)
    with made.apply(deployer.in_namespace("default"), wait=1) as handle:
        assert handle.manifests.token == kept_token("default", "iris")
    assert cluster.objects == {}


def test_two_at_once_end_in_one_of_both(written, deployer, cluster):
    import threading

    made = [written.kubernetes(IMAGE, replicas=count) for count in (2, 3)]
    errors = []

    def send(each):
        try:
            each.apply(deployer).close()
        except ClusterError as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(each,)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert deployer.replicas("iris") in (2, 3)
