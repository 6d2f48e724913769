"""What the deployer relies on, the same for our server and for any real cluster.

``NBDEPLOY_TEST_KUBECONFIG`` names the kubeconfig of a real one; ``NBDEPLOY_TEST_IMAGE`` an image
that it can pull. The tests make a namespace of their own there, and delete it.
"""

from __future__ import annotations

import os
import secrets
import time

import pytest

from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests import Manifests
from nbdeploy.exceptions import ClusterError
from nbdeploy.scaling.hpa import HpaPolicy

TOKEN = "a-token-that-nobody-shall-see"
REAL = os.environ.get("NBDEPLOY_TEST_KUBECONFIG")
GOOD = os.environ.get("NBDEPLOY_TEST_IMAGE", "registry.k8s.io/pause:3.10")
BAD = "registry.invalid/missing:1.2"
QUIET = ("ServiceAccount", "Secret", "Service", "NetworkPolicy")
PATIENCE = 120 if REAL else 5


def namespace_call(deployer, method, path, body=None):
    return deployer._cluster._request(method, f"/api/v1/namespaces{path}", "test", body=body)


@pytest.fixture(scope="module", params=["contract", "real"])
def connected(request, tmp_path_factory, contract, write_kubeconfig):
    if request.param == "real":
        if REAL is None:
            pytest.skip("NBDEPLOY_TEST_KUBECONFIG names no cluster: only our own server was asked")
        yield KubernetesDeployer(kubeconfig=REAL)
        return
    server = contract.ContractServer()
    config = write_kubeconfig(tmp_path_factory.mktemp("contract") / "config", server.url)
    yield KubernetesDeployer(kubeconfig=config)
    server.close()


@pytest.fixture
def deployer(connected):
    """A deployer of a namespace that is nobody else's."""
    name = f"nbdeploy-test-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace_call(connected, "post", "", {"metadata": {"name": name, "labels": labels}})
    yield connected.in_namespace(name)
    namespace_call(connected, "delete", f"/{name}")


def manifests(**options):
    return Manifests(name="churn", image=GOOD, token=TOKEN, **options)


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.2 if REAL else 0.01)


def somebody_else_sets(deployer, spec, manager="kubectl"):
    path = deployer._reader.path("apps/v1", "Deployment", "churn")
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "churn"}}
    return deployer._cluster.apply(
        path, {**body, "spec": spec}, "test", force=True, dry_run=False, manager=manager
    )


def held(deployer):
    live = deployer._reader.deployment("churn")
    managers = {each["manager"]: each["fieldsV1"] for each in live["metadata"]["managedFields"]}
    return managers["nbdeploy"]


def image_of(deployer):
    template = deployer._reader.deployment("churn")["spec"]["template"]
    return template["spec"]["containers"][0]["image"]


def test_all_objects_are_created_and_applied_again_nothing_changes(deployer):
    made = manifests(replicas=2, host="churn.example.org")
    first = deployer.apply(made.objects())
    again = deployer.apply(made.objects())
    assert [each["kind"] for each in first] == [each["kind"] for each in made.objects()]
    for before, after in zip(first, again, strict=True):
        # Of the others a controller may have noted a state meanwhile.
        key = "resourceVersion" if before["kind"] in QUIET else "generation"
        assert before["metadata"].get(key) == after["metadata"].get(key)
    assert deployer.diff(made.objects()) == ()


def test_a_dry_run_and_a_difference_change_nothing(deployer):
    made = manifests()
    deployer.apply(made.objects(), dry_run=True)
    assert {each.before for each in deployer.diff(made.objects())} == {None}
    with pytest.raises(ClusterError) as caught:
        deployer.replicas("churn")
    assert caught.value.status == 404


def test_a_difference_names_what_would_change_without_the_secret(deployer):
    deployer.apply(manifests(replicas=2).objects())
    other = Manifests(name="churn", image=GOOD, token="another-token-for-all", replicas=3)
    changes = deployer.diff(other.objects())
    told = [str(each) for each in changes]
    assert "Deployment/churn spec.replicas: 2 -> 3" in told
    assert any(each.startswith("Secret/churn data.token") for each in told)
    for secret in (TOKEN, "another-token", "YS10b2tlbi", "YW5vdGhlci"):
        assert secret not in repr(changes) + str(told)


def test_a_conflict_is_shown_with_who_it_was_and_forced_only_when_asked(deployer):
    deployer.create_deployment("churn", GOOD, replicas=1)
    somebody_else_sets(deployer, {"replicas": 2})
    with pytest.raises(ClusterError, match=r"\.spec\.replicas.*kubectl.*force=True") as caught:
        deployer.create_deployment("churn", GOOD, replicas=3)
    assert caught.value.status == 409
    assert deployer.replicas("churn") == 2
    with pytest.raises(ClusterError, match="force=True"):
        deployer.scale("churn", 3)
    assert deployer.scale("churn", 3, force=True) == 3
    assert deployer.create_deployment("churn", GOOD, replicas=1)["spec"]["replicas"] == 1


def test_a_field_that_the_cluster_does_not_know_is_refused(deployer):
    (body,) = (each for each in manifests().objects() if each["kind"] == "Deployment")
    body["spec"]["template"]["spec"]["container"] = []
    with pytest.raises(ClusterError, match="container"):
        deployer.apply([body])


def test_a_selector_that_finds_no_pods_is_refused(deployer):
    (body,) = (each for each in manifests().objects() if each["kind"] == "Deployment")
    body["spec"]["selector"]["matchLabels"] = {"app": "other"}
    with pytest.raises(ClusterError, match="selector") as caught:
        deployer.apply([body])
    assert caught.value.status == 422


def test_a_bad_image_is_told_in_plain_words_and_rolled_back(deployer):
    if REAL and not deployer._cluster.get("/api/v1/nodes", "list nodes").get("items"):
        pytest.skip("this cluster has no nodes: nobody pulls an image")
    deployer.apply(manifests(replicas=1).objects())
    bad = Manifests(name="churn", image=BAD, token=TOKEN, replicas=1)
    deployer.apply(bad.objects())
    wait_until(lambda: deployer.rollout_status("churn", timeout=0).reasons)
    status = deployer.rollout_status("churn", timeout=0)
    assert not status.done
    assert f"kind load docker-image {BAD}" in status.to_text()
    assert [each.image for each in deployer.history("churn")] == [BAD, GOOD]
    deployer.rollback("churn")
    assert image_of(deployer) == GOOD
    assert deployer.history("churn")[0].is_current
    # The next apply is not in conflict with the rollback.
    deployer.apply(bad.objects())
    assert image_of(deployer) == BAD


def test_scaling_and_going_back_take_no_field_that_is_not_ours(deployer):
    deployer.apply(manifests(replicas=1).objects())
    before = held(deployer)
    deployer.scale("churn", 2)
    assert held(deployer) == before
    somebody_else_sets(deployer, {"paused": False, "minReadySeconds": 1})
    deployer.apply(Manifests(name="churn", image=BAD, token=TOKEN, replicas=2).objects())
    deployer.rollback("churn")
    assert held(deployer)["f:spec"] == before["f:spec"]
    # Who has set something else may change it as before.
    assert somebody_else_sets(deployer, {"minReadySeconds": 2})["spec"]["minReadySeconds"] == 2
    assert deployer.replicas("churn") == 2


def test_there_is_nothing_before_the_first(deployer):
    deployer.create_deployment("churn", GOOD)
    wait_until(lambda: len(deployer.history("churn")) == 1)
    with pytest.raises(ClusterError, match="nothing to go back to"):
        deployer.rollback("churn")


def test_with_an_hpa_the_pods_stay_and_their_number_is_the_hpas(deployer):
    deployer.apply(manifests(replicas=3).objects())
    made = manifests(autoscale=HpaPolicy(min_replicas=2, max_replicas=4))
    deployer.apply(made.objects())
    # Not one, to which a field falls back that nobody holds.
    assert deployer.replicas("churn") == 3
    with pytest.raises(ClusterError, match="HPA 'churn' decides"):
        deployer.scale("churn", 5)
    somebody_else_sets(deployer, {"replicas": 4}, "kube-controller-manager")
    deployer.apply(made.objects())
    assert deployer.replicas("churn") == 4


def test_a_set_without_the_hpa_takes_the_number_back(deployer):
    manifests(autoscale=HpaPolicy(min_replicas=2, max_replicas=4)).apply(deployer).close()
    wait_until(lambda: deployer.replicas("churn") == 2)
    somebody_else_sets(deployer, {"replicas": 4}, "kube-controller-manager")
    manifests(replicas=1).apply(deployer).close()
    assert deployer.replicas("churn") == 1
    assert deployer.scale("churn", 2) == 2


def test_a_set_that_has_less_deletes_what_it_left_behind(deployer):
    manifests(replicas=2, host="churn.example.org").apply(deployer).close()
    Manifests(name="churn", image=GOOD, replicas=1).apply(deployer).close()
    assert deployer.delete("churn") == (
        "NetworkPolicy/churn", "Service/churn", "Deployment/churn", "ServiceAccount/churn",
    )  # fmt: skip


def test_delete_leaves_alone_what_others_made(deployer):
    deployer.apply(manifests(replicas=1).objects())
    foreign = {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "other", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "selector": {"a": "b"}},
    }  # fmt: skip
    deployer.apply([foreign])
    assert deployer.delete("other") == ()
    assert "Deployment/churn" in deployer.delete("churn")
    assert deployer.delete("churn") == ()
    assert deployer.diff([foreign]) == ()


def test_a_namespace_that_is_not_there_is_told(deployer):
    with pytest.raises(ClusterError, match="kubectl create namespace") as caught:
        deployer.in_namespace("nobody-made-this").create_deployment("churn", GOOD)
    assert caught.value.status == 404
