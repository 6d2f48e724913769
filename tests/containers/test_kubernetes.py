from __future__ import annotations

import pytest

from nbdeploy.containers.cluster_scaling import ClusterActuator
from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests import Manifests
from nbdeploy.exceptions import ClusterError
from nbdeploy.scaling.autoscaler import AutoScaler

TOKEN = "a-token-that-nobody-shall-see"
ROOT = "/apis/apps/v1/namespaces/default/deployments"
GOOD, BAD = "registry.example/churn:1.1", "registry.example/missing:1.2"


@pytest.fixture
def server(contract):
    running = contract.ContractServer()
    yield running
    running.close()


@pytest.fixture
def cluster(server):
    return server.cluster


@pytest.fixture
def deployer(server, tmp_path, monkeypatch, write_kubeconfig):
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig(tmp_path / "config", server.url))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return KubernetesDeployer()


def test_the_call_of_the_chapter_applies_one_deployment_to_default(deployer, cluster):
    made = deployer.create_deployment("churn", GOOD, replicas=3)
    assert type(made) is dict
    assert list(made["spec"]["selector"]["matchLabels"].items()) == [("app", "churn")]
    assert cluster.objects[f"{ROOT}/churn"]["spec"]["replicas"] == 3
    assert deployer.rollout_status("churn").done


def test_a_dry_run_creates_nothing(deployer, cluster):
    made = deployer.create_deployment("churn", GOOD, dry_run=True)
    assert made["spec"]["replicas"] == 3
    assert cluster.objects == {}


def test_waiting_ends_when_the_time_is_over(deployer):
    deployer.create_deployment("churn", BAD)
    now = [0.0]
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    status = deployer.rollout_status(
        "churn", timeout=5, interval=2, clock=lambda: now[0], sleep=sleep
    )
    assert not status.done
    assert slept == [2, 2, 2]


def test_an_autoscaler_scales_a_deployment_of_the_cluster(deployer):
    deployer.create_deployment("churn", GOOD, replicas=1)
    actuator = ClusterActuator(deployer, "churn")
    AutoScaler(max_replicas=3, actuator=actuator, measure=lambda: 90.0).scale(2)
    assert deployer.replicas("churn") == 2
    assert deployer.create_deployment("churn", GOOD, replicas=1)["spec"]["replicas"] == 1


def test_delete_leaves_alone_what_others_made(deployer, cluster):
    made = Manifests(name="churn", image=GOOD, token=TOKEN)
    deployer.apply(made.objects())
    path = "/api/v1/namespaces/default/services/churn"
    cluster.objects[path]["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    cluster.objects[f"{ROOT}/other"] = {"kind": "Deployment", "metadata": {"name": "other"}}
    deleted = deployer.delete("churn")
    assert set(deleted) == {
        "Deployment/churn",
        "Secret/churn",
        "ServiceAccount/churn",
        "PodDisruptionBudget/churn",
        "NetworkPolicy/churn",
    }
    assert set(cluster.objects) == {path, f"{ROOT}/other"}


def test_no_answer_and_no_repr_holds_the_token(deployer, cluster, contract):
    applied = deployer.apply(Manifests(name="churn", image=GOOD, token=TOKEN).objects())
    secret = cluster.objects["/api/v1/namespaces/default/secrets/churn"]["data"]["token"]
    assert secret not in str(applied)
    assert TOKEN not in str(applied)
    assert contract.TOKEN not in repr(deployer)


@pytest.mark.parametrize(
    ("code", "said", "advice"),
    [
        (403, "deployments is forbidden", "can-i"),
        (403, "exceeded quota: small", "quota"),
        (404, 'namespaces "x" not found', "create namespace"),
        (409, "the object has been modified", "run the cell again"),
        (422, "spec.selector: field is immutable", "delete"),
        (500, "etcd is away", "Try again"),
    ],
)
def test_what_a_cluster_refuses_comes_with_advice(deployer, cluster, contract, code, said, advice):
    cluster.refusal = contract.Refusal(code, said)
    with pytest.raises(ClusterError, match="Could not apply Deployment/churn") as caught:
        deployer.create_deployment("churn", GOOD)
    assert said in str(caught.value)
    assert advice in str(caught.value)


def test_wrong_credentials_say_to_log_in_again(server, tmp_path, write_kubeconfig):
    config = write_kubeconfig(tmp_path / "other", server.url, "expired-token")
    with pytest.raises(ClusterError, match="Log in") as caught:
        KubernetesDeployer(kubeconfig=config).replicas("churn")
    assert "expired-token" not in str(caught.value)


def test_an_unreachable_cluster_says_how_to_get_one(server, tmp_path, write_kubeconfig):
    config = write_kubeconfig(tmp_path / "other", server.url)
    server.close()
    with pytest.raises(ClusterError, match="kind create cluster"):
        KubernetesDeployer(kubeconfig=config).replicas("churn")


def test_without_a_configured_cluster_it_says_how_to_get_one(tmp_path):
    with pytest.raises(ClusterError, match="kind create cluster"):
        KubernetesDeployer(kubeconfig=str(tmp_path / "none"))


def test_wrong_values_are_refused_before_anything_is_sent(deployer, cluster):
    for wrong in ({"name": "A"}, {"image": "churn"}, {"replicas": -1}, {"port": 0}):
        with pytest.raises(ClusterError, match="Expected"):
            deployer.create_deployment(**{"name": "churn", "image": GOOD, **wrong})
    assert cluster.objects == {}
