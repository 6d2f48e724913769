from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from nbdeploy import Client, deploy
from nbdeploy.containers.cluster_scaling import ClusterActuator
from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests import Manifests
from nbdeploy.display import progress
from nbdeploy.exceptions import ClusterError, UnreachableError
from nbdeploy.scaling.autoscaler import AutoScaler
from nbdeploy.scaling.hpa import HpaPolicy

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


def test_a_service_monitor_does_not_stay_behind(deployer, cluster):
    made = Manifests(name="churn", image=GOOD, replicas=1, service_monitor=True)
    deployer.apply(made.objects())
    assert "ServiceMonitor/churn" in deployer.delete("churn")
    assert cluster.objects == {}


def test_without_prometheus_operator_it_says_so_and_everything_else_works(deployer, cluster):
    cluster.has_monitoring = False
    made = Manifests(name="churn", image=GOOD, replicas=1, service_monitor=True)
    with pytest.raises(ClusterError, match="service_monitor=False"):
        made.apply(deployer)
    assert cluster.objects == {}
    replace(made, service_monitor=False).apply(deployer).close()
    assert "Deployment/churn" in deployer.delete("churn")


def test_nothing_is_half_applied(deployer, cluster):
    made = Manifests(name="churn", image=GOOD, replicas=1)
    made.apply(deployer).close()
    cluster.update(f"{ROOT}/churn", ("f:spec", "f:replicas"), 7, "kubectl")
    before = dict(cluster.objects)
    with pytest.raises(ClusterError, match="force=True"):
        replace(made, replicas=2, token=TOKEN).apply(deployer)
    assert cluster.objects == before
    replace(made, replicas=2, token=TOKEN).apply(deployer, force=True).close()
    assert deployer.replicas("churn") == 2


def test_the_history_is_a_table(deployer):
    for number in (1, 2):
        deployer.create_deployment("churn", f"registry.example/churn:{number}")
    history = deployer.history("churn")
    assert [each.number for each in history] == [2, 1]
    assert [(each.is_current, each.pods) for each in history] == [(True, 3), (False, 0)]
    assert "registry.example/churn:2" in history.to_text()
    assert "2026-11-26" in history.to_html()
    assert "2026" not in history.to_text()
    assert len(history) == 2


@pytest.fixture
def shown(monkeypatch):
    """What a cell shows, one text a message."""
    texts = []
    handle = SimpleNamespace(update=lambda shown: texts.append(shown.to_text()))
    front_end = SimpleNamespace(display=lambda shown, display_id: handle)
    monkeypatch.setitem(sys.modules, "IPython.display", front_end)
    monkeypatch.setattr(progress, "current_cell", lambda: "a cell")
    return texts


def test_a_rollout_is_watched_in_the_cell(deployer, cluster, shown):
    cluster.pace = 0
    deployer.create_deployment("churn", GOOD, replicas=3)
    status = deployer.rollout_status("churn", sleep=lambda _: None)
    assert status.done
    assert shown[0] == "Rollout of churn: 67% 2 of 3 pods are new, 2 answer"
    assert shown[-1] == "Rollout of churn: 100% done"


def test_what_keeps_a_rollout_stands_below_its_bar(deployer, shown):
    deployer.create_deployment("churn", BAD, replicas=2)
    deployer.rollout_status("churn", timeout=0)
    assert shown[-1].startswith("Rollout of churn: 0% 1 of 2 pods are new, 0 answer; not yet\n")
    assert "ImagePullBackOff" in shown[-1]
    assert "kind load docker-image" in shown[-1]


def test_interrupting_leaves_the_cluster_as_it_is_and_says_how_to_go_on(deployer, cluster, shown):
    deployer.create_deployment("churn", BAD, replicas=2)
    before = dict(cluster.objects)

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        deployer.rollout_status("churn", sleep=interrupt)
    assert cluster.objects == before
    for text in (shown[-1], *caught.value.__notes__):
        assert "rollout_status('churn') to watch again, or rollback('churn')" in text
    assert "ImagePullBackOff" in shown[-1]


def test_a_pod_that_has_not_started_says_so_in_the_log(deployer):
    deployer.create_deployment("churn", BAD, replicas=1)
    (line,) = deployer.logs("churn")
    assert "has not logged yet" in line


def test_what_was_logged_before_a_crash_is_there(deployer, cluster):
    deployer.create_deployment("churn", GOOD, replicas=1)
    ((path, pod),) = [each for each in cluster.objects.items() if each[1]["kind"] == "Pod"]
    pod["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"reason": "Error"}}
    cluster.logs[pod["metadata"]["name"]] = ["2026-11-26T12:00:00Z \x1b[31mMemoryError"]
    name = path.rpartition("/")[2]
    # Our server has one log only, and gives it for both runs.
    assert deployer.logs("churn") == [f"{name}: \\x1b[31mMemoryError"] * 2


def test_a_port_that_is_taken_and_a_pod_of_others_are_told(deployer):
    deployer.create_deployment("churn", GOOD, replicas=1)
    with deployer.port_forward("churn") as first:
        taken = int(first.url.rpartition(":")[2])
        with pytest.raises(ClusterError, match=f"Port {taken} of this machine"):
            deployer.port_forward("churn", taken)
        assert repr(first) == "<PortForward to 'churn' open>"
    first.close()
    assert repr(first) == "<PortForward to 'churn' closed>"
    with pytest.raises(ClusterError, match="'other' is none of 'churn'"):
        deployer.port_forward("churn", pod="other")


def test_a_tunnel_that_the_cluster_refuses_ends_the_connection(deployer):
    deployer.create_deployment("churn", GOOD, replicas=1)
    # Nobody stands behind the pod in our server: its kubelet does not answer.
    forward = deployer.port_forward("churn")
    with forward, Client(forward.url) as client, pytest.raises(UnreachableError):
        client.info()


def test_a_client_of_others_learns_the_kinds_and_watches(server, deployer, tmp_path):
    """Our server is near enough to the API for the dynamic client's own discovery."""
    from kubernetes import client, config, dynamic

    configuration = client.Configuration()
    path = str(tmp_path / "config")
    config.load_kube_config(path, client_configuration=configuration)
    other = dynamic.DynamicClient(
        client.ApiClient(configuration), cache_file=str(tmp_path / "cache.json")
    )
    deployer.create_deployment("churn", GOOD, replicas=1)
    deployments = other.resources.get(api_version="apps/v1", kind="Deployment")
    assert deployments.get("churn", "default").spec.replicas == 1
    seen = [
        (each["type"], each["raw_object"]["metadata"]["name"])
        for each in deployments.watch(namespace="default", timeout=1)
    ]
    assert seen[0] == ("ADDED", "churn")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[1]", "{", "users: 7", "- s3cret: [", "current-context: here\n", "\x00\xff"],
    ids=ascii,
)
def test_a_file_that_is_no_kubeconfig_is_told_without_its_lines(tmp_path, text):
    path = tmp_path / "config"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ClusterError, match="Expected a kubeconfig file") as caught:
        KubernetesDeployer(kubeconfig=str(path))
    assert "s3cret" not in str(caught.value)


def test_a_page_instead_of_an_api_server_is_told(write_kubeconfig, tmp_path):
    with deploy(lambda rows: rows[:, 0], name="no-cluster", example=[[0.0]]) as other:
        deployer = KubernetesDeployer(kubeconfig=write_kubeconfig(tmp_path / "c", other.url))
        with pytest.raises(ClusterError, match="Could not"):
            deployer.create_deployment("churn", GOOD)
    with pytest.raises(ClusterError, match="No cluster answers"):
        deployer.replicas("churn")


def test_what_a_cluster_says_cannot_write_into_the_page(deployer, cluster):
    deployer.create_deployment("churn", GOOD, replicas=1)
    evil = "<script>alert(1)</script>\x1b[31m\u202e"
    for path, each in list(cluster.objects.items()):
        if each["kind"] == "Pod":
            state = {"waiting": {"reason": "ImagePullBackOff"}}
            each["status"]["containerStatuses"] = [{"image": evil, "state": state}]
        if each["kind"] == "ReplicaSet":
            each["spec"]["template"]["spec"]["containers"][0]["image"] = evil
        if path == f"{ROOT}/churn":
            each["status"]["availableReplicas"] = 0
    shown = [deployer.look("churn"), deployer.history("churn")]
    for each in shown:
        assert "<script>" not in each.to_html()
        assert "\x1b" not in each.to_html() + each.to_text()
    assert "alert(1)" in shown[0].to_html()


def test_leaving_the_hpa_is_all_or_nothing_too(deployer, cluster):
    made = Manifests(name="churn", image=GOOD, autoscale=HpaPolicy(min_replicas=2))
    made.apply(deployer).close()
    leaf = ("f:spec", "f:progressDeadlineSeconds")
    cluster.update(f"{ROOT}/churn", leaf, 7, "kubectl")
    before = dict(cluster.objects)
    fixed = replace(made, autoscale=None, replicas=3)
    with pytest.raises(ClusterError, match=r"progressDeadlineSeconds.*kubectl"):
        fixed.apply(deployer)
    assert cluster.objects == before
    fixed.apply(deployer, force=True).close()
    assert deployer.replicas("churn") == 3
    assert not deployer.has_own_autoscaler("churn")


def test_an_hpa_whose_deployment_somebody_deleted_is_no_obstacle(deployer, cluster):
    made = Manifests(name="churn", image=GOOD, autoscale=HpaPolicy(min_replicas=2))
    made.apply(deployer).close()
    cluster.delete(f"{ROOT}/churn")
    replace(made, autoscale=None, replicas=3).apply(deployer).close()
    assert deployer.replicas("churn") == 3
