from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from nbdeploy.containers.cluster_scaling import ClusterActuator
from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests import Manifests
from nbdeploy.exceptions import ClusterError
from nbdeploy.scaling.autoscaler import AutoScaler
from nbdeploy.scaling.hpa import HpaPolicy

_SPEC = importlib.util.spec_from_file_location(
    "contract_server", Path(__file__).with_name("contract_server.py")
)
contract_server = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(contract_server)

TOKEN = "a-token-that-nobody-shall-see"
ROOT = "/apis/apps/v1/namespaces/default/deployments"
GOOD, BAD = "registry.example/churn:1.1", "registry.example/missing:1.2"


def kubeconfig(path, url, token=contract_server.TOKEN):
    written = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(written))
    return str(path)


@pytest.fixture
def server():
    running = contract_server.ContractServer()
    yield running
    running.close()


@pytest.fixture
def cluster(server):
    return server.cluster


@pytest.fixture
def deployer(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "config", server.url))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return KubernetesDeployer()


def foreign(cluster, path, *leaf_and_value):
    """Have somebody else set one field."""
    leaf, value = leaf_and_value
    contract_server.put(cluster.objects[path], leaf, value)
    for held in cluster.owners[path].values():
        held.discard(leaf)
    cluster.owners[path]["kubectl"] = {leaf}


def test_the_call_of_the_chapter_applies_one_deployment_to_default(deployer, cluster):
    made = deployer.create_deployment("churn", GOOD, replicas=3)
    assert type(made) is dict
    assert list(made["spec"]["selector"]["matchLabels"].items()) == [("app", "churn")]
    assert cluster.objects[f"{ROOT}/churn"]["spec"]["replicas"] == 3
    assert deployer.rollout_status("churn").done


def test_applying_again_changes_nothing(deployer):
    first = deployer.create_deployment("churn", GOOD)
    again = deployer.create_deployment("churn", GOOD)
    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


def test_a_dry_run_creates_nothing(deployer, cluster):
    made = deployer.create_deployment("churn", GOOD, dry_run=True)
    assert made["spec"]["replicas"] == 3
    assert cluster.objects == {}


def test_a_conflict_is_shown_and_forced_only_when_asked(deployer, cluster):
    deployer.create_deployment("churn", GOOD)
    foreign(cluster, f"{ROOT}/churn", ("f:spec", "f:replicas"), 7)
    with pytest.raises(ClusterError, match=r"\.spec\.replicas.*kubectl.*force=True"):
        deployer.create_deployment("churn", GOOD)
    assert cluster.objects[f"{ROOT}/churn"]["spec"]["replicas"] == 7
    assert deployer.create_deployment("churn", GOOD, force=True)["spec"]["replicas"] == 3


def test_a_bad_image_is_told_in_plain_words_and_rolled_back(deployer, cluster):
    deployer.create_deployment("churn", GOOD)
    deployer.create_deployment("churn", BAD)
    status = deployer.rollout_status("churn", timeout=0)
    assert not status.done
    assert status.available == 3
    assert "docker push" in status.to_text()
    assert f"kind load docker-image {BAD}" in status.to_text()
    back = deployer.rollback("churn")
    assert back["spec"]["template"]["spec"]["containers"][0]["image"] == GOOD
    assert "pod-template-hash" not in back["spec"]["template"]["metadata"]["labels"]
    assert deployer.rollout_status("churn").done
    # The next apply is not in conflict with the rollback.
    assert deployer.create_deployment("churn", "registry.example/churn:1.3")


def test_there_is_nothing_before_the_first(deployer):
    deployer.create_deployment("churn", GOOD)
    with pytest.raises(ClusterError, match="nothing to go back to"):
        deployer.rollback("churn")


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


def test_scaling_is_the_hpas_when_there_is_one(deployer, cluster):
    made = Manifests(name="churn", image=GOOD, token=TOKEN, autoscale=HpaPolicy(min_replicas=2))
    deployer.apply(made.objects())
    with pytest.raises(ClusterError, match="HPA 'churn' decides"):
        deployer.scale("churn", 5)
    foreign(cluster, f"{ROOT}/churn", ("f:spec", "f:replicas"), 4)
    deployer.apply(made.objects())
    assert deployer.replicas("churn") == 4


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


def test_no_answer_and_no_repr_holds_the_token(deployer, cluster):
    applied = deployer.apply(Manifests(name="churn", image=GOOD, token=TOKEN).objects())
    secret = cluster.objects["/api/v1/namespaces/default/secrets/churn"]["data"]["token"]
    assert secret not in str(applied)
    assert TOKEN not in str(applied)
    assert contract_server.TOKEN not in repr(deployer)


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
def test_what_a_cluster_refuses_comes_with_advice(deployer, cluster, code, said, advice):
    cluster.refusal = contract_server.Refusal(code, said)
    with pytest.raises(ClusterError, match="Could not apply Deployment/churn") as caught:
        deployer.create_deployment("churn", GOOD)
    assert said in str(caught.value)
    assert advice in str(caught.value)


def test_wrong_credentials_say_to_log_in_again(server, tmp_path):
    config = kubeconfig(tmp_path / "other", server.url, "expired-token")
    with pytest.raises(ClusterError, match="Log in") as caught:
        KubernetesDeployer(kubeconfig=config).replicas("churn")
    assert "expired-token" not in str(caught.value)


def test_an_unreachable_cluster_says_how_to_get_one(server, tmp_path):
    config = kubeconfig(tmp_path / "other", server.url)
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
