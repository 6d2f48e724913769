from __future__ import annotations

import stat

import pytest
from sklearn.datasets import load_iris

from nbdeploy import Bundle, deploy
from nbdeploy.containers.bundle_folder import note_fact
from nbdeploy.containers.cluster_token import forget_token, kept_token, kept_token_path
from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.manifests_resources import Resources
from nbdeploy.exceptions import ClusterError
from nbdeploy.scaling.hpa import HpaPolicy

X, _ = load_iris(return_X_y=True, as_frame=True)
IMAGE = "registry.example/iris:1.1"


@pytest.fixture(autouse=True)
def no_token_is_told(monkeypatch):
    monkeypatch.delenv("NBDEPLOY_TOKEN", raising=False)
    yield
    forget_token("default", "iris")


@pytest.fixture(scope="module")
def server(contract):
    running = contract.ContractServer()
    yield running
    running.close()


@pytest.fixture
def config(server, write_kubeconfig, tmp_path):
    return write_kubeconfig(tmp_path / "config", server.url)


def by_kind(made):
    return {each["kind"]: each for each in made.objects()}


def test_a_bundle_becomes_all_objects_of_its_name_port_and_version(written):
    made = written.kubernetes(IMAGE, replicas=3, host="iris.example.org")
    kinds = by_kind(made)
    assert {"Deployment", "Service", "Secret", "PodDisruptionBudget", "Ingress"} <= set(kinds)
    assert made.name == "iris"
    assert kinds["Deployment"]["spec"]["replicas"] == 3
    labels = kinds["Deployment"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == written.digest.removeprefix("sha256:")[:12]
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == written.port
    assert made.signature.example_row() is not None


def test_the_limits_of_the_service_go_along_in_the_image(model, tmp_path):
    with deploy(model, name="limited", example=X, timeout=5.0, max_queue=64) as service:
        bundle = service.bundle(tmp_path / "b", environment={"NBDEPLOY_MAX_QUEUE": "32"})
    assert 'NBDEPLOY_TIMEOUT="5.0"' in bundle.dockerfile
    # What is said beside it counts more.
    assert 'NBDEPLOY_MAX_QUEUE="32"' in bundle.dockerfile


def test_a_policy_becomes_an_hpa_and_no_number_of_pods(written):
    kinds = by_kind(written.kubernetes(IMAGE, autoscale=HpaPolicy(min_replicas=2)))
    assert kinds["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 2
    assert "replicas" not in kinds["Deployment"]["spec"]


def test_without_an_image_it_says_how_to_get_one(written):
    with pytest.raises(ClusterError, match=r"bundle\.build\(tag=.*push\(\).*image="):
        written.kubernetes()


def test_the_image_that_was_built_is_taken(written, fake_docker):
    fake_docker('[ "$1" = version ] && echo 28.0; exit 0')
    built = written.build("iris:1.1")
    made = built.kubernetes()
    assert made.image == "iris:1.1"
    (note,) = (note for note in made.notes if "can pull" in note)
    assert "bundle.push('registry.example/iris:1.1')" in note
    assert "kind load docker-image iris:1.1" in note
    assert not any("can pull" in note for note in built.kubernetes(IMAGE).notes)


def test_resources_are_those_that_the_check_measured(bundle):
    assert any("bundle.check()" in note for note in bundle.kubernetes(IMAGE).notes)
    assert bundle.kubernetes(IMAGE).resources == Resources()
    note_fact(bundle.folder, "measured", {"memory": 300 * 2**20, "cpu_per_request": 0.012})
    assert Bundle.open(bundle.folder).measured == bundle.measured
    made = bundle.kubernetes(IMAGE)
    assert (made.resources.memory, made.resources.cpu) == ("384Mi", "600m")
    assert any("600m" in note and "12" in note for note in made.notes)
    mine = Resources(cpu="1", cpu_limit="2")
    assert bundle.kubernetes(IMAGE, resources=mine).resources == mine


def test_a_changed_note_about_the_measure_is_no_obstacle(bundle):
    for wrong in ("much", {"memory": "much"}, {"memory": -1, "cpu_per_request": 0.1}, {}):
        note_fact(bundle.folder, "measured", wrong)
        assert bundle.kubernetes(IMAGE).resources == Resources()


def test_a_bundle_that_was_checked_is_still_the_same_bundle(bundle, model):
    note_fact(bundle.folder, "measured", {"memory": 2**28, "cpu_per_request": 0.001})
    assert Bundle.create(model, bundle.folder, name="iris").measured is None


def test_the_token_stays_the_same_in_every_run_of_the_cell(written, monkeypatch):
    first, second = written.kubernetes(IMAGE), written.kubernetes(IMAGE)
    assert first.token == second.token == kept_token("default", "iris")
    assert written.kubernetes(IMAGE, namespace="other").token != first.token
    path = kept_token_path("default", "iris")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert written.kubernetes(IMAGE, token=None).token is None
    monkeypatch.setenv("NBDEPLOY_TOKEN", "a-token-of-the-environment")
    assert written.kubernetes(IMAGE).token == "a-token-of-the-environment"
    forget_token("other", "iris")


def test_a_token_file_that_was_cut_is_made_anew():
    path = kept_token_path("default", "iris")
    kept_token("default", "iris")
    path.write_text("")
    assert len(kept_token("default", "iris")) > 16


def test_the_tabs_say_what_carries_over_and_what_does_not(written):
    made = written.kubernetes(IMAGE)
    html = made.to_html()
    assert html.count('type="radio"') == len(made.objects()) + 1
    for told in ("split, shadow, compare", "What carries over", "an HPA of the same policy"):
        assert told in html
    assert "split, shadow and compare" in made.to_text()
    assert made.token not in html + made.to_text() + repr(made)


def test_a_name_that_no_service_may_have_is_made_one(model, tmp_path):
    bundle = Bundle.create(model, tmp_path / "b", name="2nd try")
    assert bundle.kubernetes("a/b:1").name == "model-2nd-try"


HOSTILE = [
    {"image": "churn:latest"}, {"image": "churn"}, {"image": "churn:1\nkind: Pod"},
    {"image": "churn:1; rm -rf /"}, {"image": "$(id):1"}, {"image": 7}, {"image": "../../x:1"},
    {"name": "Churn"}, {"name": "a" * 64}, {"name": "a/b"}, {"name": "a\nkind: Pod"}, {"name": "9"},
    {"name": "模型"}, {"name": 3}, {"namespace": "kube system"}, {"namespace": "../kube-system"},
    {"namespace": ""}, {"namespace": "A"}, {"replicas": -1}, {"replicas": 2.5}, {"replicas": "3"},
    {"replicas": True}, {"replicas": 10**9}, {"drain": -1}, {"drain": "30s"},
    {"digest": "sha256:0"},
    {"host": "a b"}, {"host": "*.example.org; x"}, {"host": "x" * 300}, {"host": "http://a"},
    {"env": {"A B": "x"}}, {"env": {"A": 1}}, {"env": {"A": "x\0"}}, {"env": {"DB_PASSWORD": "x"}},
    {"env": ["A=1"]}, {"annotations": {"a b": "x"}}, {"annotations": {"a": None}},
    {"annotations": {"a": "x" * 300_000}}, {"pull_secret": "a b"}, {"tls_secret": "alone"},
    {"ingress_class": "alone"}, {"token": "short"}, {"token": "with a space in the middle"},
    {"token": "with-a-newline\nin-it-and-more"}, {"token": 12345678901234567},
    {"autoscale": HpaPolicy(min_replicas=3, max_replicas=4, metric="rps")},
]  # fmt: skip


@pytest.mark.parametrize("wrong", HOSTILE, ids=lambda wrong: ascii(wrong)[:40])
def test_a_hostile_or_wrong_value_is_named_and_nothing_is_sent(
    written, wrong, server, config, monkeypatch
):
    monkeypatch.setenv("KUBECONFIG", config)
    with pytest.raises(ClusterError, match="Expected") as caught:
        written.kubernetes(**{"image": IMAGE, **wrong}).apply()
    assert server.cluster.requests == []
    (option,) = wrong
    said = {"autoscale": "metric", "annotations": "annotation"}.get(option, option)
    assert said in str(caught.value).replace("image", "digest image")
    if option == "token":
        assert str(wrong["token"]) not in str(caught.value)
    assert not kept_token_path("default", "iris").exists()


def test_the_deployer_refuses_before_it_asks(server, config):
    deployer = KubernetesDeployer(kubeconfig=config)
    calls = [
        lambda: deployer.scale("churn", -1), lambda: deployer.scale("a/../b", 1),
        lambda: deployer.rollback("A"), lambda: deployer.history("a b"),
        lambda: deployer.logs("a?x=1"), lambda: deployer.logs("a", lines=0),
        lambda: deployer.port_forward("a", port=70_000), lambda: deployer.port_forward(""),
        lambda: deployer.delete("*"), lambda: deployer.rollout_status("a\n"),
        lambda: deployer.rollout_status("a", timeout=float("nan")),
        lambda: deployer.rollout_status("a", timeout="1"), lambda: deployer.in_namespace("a/b"),
        lambda: deployer.rollout_status("a", interval=0), lambda: deployer.exists("a/status"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ClusterError, match="Expected"):
            call()
    assert server.cluster.requests == []
