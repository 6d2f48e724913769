from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy.containers.manifests import Manifests
from nbdeploy.containers.manifests_resources import Resources
from nbdeploy.exceptions import ClusterError
from nbdeploy.scaling.concurrency import ConcurrencyPolicy
from nbdeploy.scaling.hpa import HpaPolicy
from nbdeploy.scaling.threshold import ThresholdPolicy

TOKEN = "a-token-that-nobody-shall-see"
DIGEST = "sha256:" + "0a" * 32
IMAGE = "registry.example/churn:1.1"
PLAIN = Manifests(name="churn", image=IMAGE, replicas=3)
FULL = Manifests(
    name="churn",
    image=IMAGE,
    version="1.1 beta!",
    namespace="models",
    autoscale=HpaPolicy(min_replicas=2),
    port=8080,
    digest=DIGEST,
    token=TOKEN,
    resources=Resources.measured(memory=300 * 1024**2, cpu=0.6),
    env={"LOG_LEVEL": "info", "LANG": "C.UTF-8"},
    annotations={"example.org/team": "retention"},
    host="churn.example.org",
    ingress_class="nginx",
    tls_secret="churn-tls",
    service_monitor=True,
    pull_secret="registry",
)
GOLDEN = Path(__file__).parent / "golden"
VERSIONS = [f"1.{minor}" for minor in range(29, 38)]


def by_kind(made: Manifests) -> dict:
    return {each["kind"]: each for each in made.objects()}


def problems(made: Manifests, version: str) -> list[str]:
    found = []
    for each in made.objects():
        if each["kind"] == "ServiceMonitor":
            continue  # a custom resource: its schema is in no release of Kubernetes
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{each['kind']} {version}: {error}")
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("made", [PLAIN, FULL], ids=["plain", "full"])
def test_every_object_is_valid_in_every_version_that_is_still_run(made, version):
    assert problems(made, version) == []


def test_the_validator_would_have_found_a_typo():
    spoilt = PLAIN.objects()[2]
    spoilt["spec"]["template"]["spec"]["container"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="container"):
        kubernetes_validate.validate(spoilt, VERSIONS[-1], strict=True)


OPTIONS = st.builds(
    Manifests,
    name=st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
    image=st.sampled_from([IMAGE, "churn:1", "localhost:5000/a/b:v2"]),
    version=st.none() | st.text(max_size=80),
    replicas=st.integers(0, 9),
    autoscale=st.none()
    | st.builds(HpaPolicy, target=st.integers(1, 99), min_replicas=st.integers(0, 3))
    | st.builds(ThresholdPolicy, cooldown=st.floats(0, 300), min_replicas=st.integers(0, 3))
    | st.builds(ConcurrencyPolicy, target_concurrency=st.floats(0.5, 50)),
    port=st.integers(1024, 65535),
    digest=st.none() | st.just(DIGEST),
    token=st.none() | st.just(TOKEN),
    resources=st.builds(
        Resources.measured, memory=st.integers(1, 2**36), cpu=st.floats(0, 64, allow_nan=False)
    ),
    env=st.dictionaries(st.sampled_from(["A", "b_1"]), st.text("é$\"'\n: #{}x", max_size=9)),
    host=st.none() | st.just("a.example"),
    service_monitor=st.booleans(),
    pull_secret=st.none() | st.just("pull"),
    drain=st.integers(0, 3600),
)


def check_any(made: Manifests, version: str) -> None:
    assert problems(made, version) == []
    assert list(yaml.safe_load_all(made.to_yaml(reveal=True))) == made.objects()
    kinds = by_kind(made)
    has_hpa = "HorizontalPodAutoscaler" in kinds
    assert has_hpa != ("replicas" in kinds["Deployment"]["spec"])


@settings(max_examples=15, deadline=None)
@given(OPTIONS, st.sampled_from(VERSIONS))
def test_any_combination_of_options_is_valid_and_yaml_loses_nothing(made, version):
    check_any(made, version)


@pytest.mark.acceptance
@settings(max_examples=500, deadline=None)
@given(OPTIONS, st.sampled_from(VERSIONS))
def test_very_many_combinations_of_options_are_valid(made, version):
    check_any(made, version)


@pytest.mark.parametrize(("name", "made"), [("plain", PLAIN), ("full", FULL)])
def test_the_yaml_is_the_one_that_was_read_and_found_good(name, made):
    assert made.to_yaml() == (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")


def test_the_pod_may_as_little_as_restricted_asks():
    pod = by_kind(FULL)["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["livenessProbe"] != container["readinessProbe"]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + FULL.drain


def test_the_image_is_told_its_port_and_whether_callers_need_a_token():
    told = []
    for made in (replace(PLAIN, port=9000, env={"NBDEPLOY_PORT": "1"}), FULL):
        (container,) = by_kind(made)["Deployment"]["spec"]["template"]["spec"]["containers"]
        told.append({each["name"]: each.get("value", "from") for each in container["env"]})
    open_to_all, guarded = told
    assert open_to_all == {"NBDEPLOY_PORT": "9000", "NBDEPLOY_NO_TOKEN": "1"}
    assert guarded["NBDEPLOY_TOKEN"] == "from"
    assert "NBDEPLOY_NO_TOKEN" not in guarded


def test_every_selector_finds_the_pods_and_holds_no_version():
    kinds = by_kind(FULL)
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == "1.1-beta"
    for selector in (
        kinds["Deployment"]["spec"]["selector"]["matchLabels"],
        kinds["Service"]["spec"]["selector"],
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        assert "app.kubernetes.io/version" not in selector


def test_one_pod_has_no_budget_that_would_forbid_maintenance():
    assert "PodDisruptionBudget" not in by_kind(replace(PLAIN, replicas=1))
    assert "PodDisruptionBudget" in by_kind(replace(PLAIN, replicas=2))


def test_the_token_is_in_the_secret_and_nowhere_else(tmp_path):
    secret = by_kind(FULL)["Secret"]["data"]["token"]
    others = [each for each in FULL.objects() if each["kind"] != "Secret"]
    shown = [FULL.to_yaml(), FULL.to_html(), FULL.to_text(), repr(FULL), str(others)]
    saved = FULL.save(tmp_path / "deep" / "churn.yaml")
    other = replace(FULL, token="another-token-for-callers")
    shown += [str(each) for each in other.diff(saved)]
    shown += [repr(each) for each in other.diff(saved)]
    for text in shown:
        assert TOKEN not in text
        assert secret not in text
    assert any("data.token" in text for text in shown)
    assert secret in saved.read_text()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_another_token_makes_other_pods_as_a_pod_reads_its_secret_once():
    templates = [
        by_kind(replace(PLAIN, token=token))["Deployment"]["spec"]["template"]
        for token in (TOKEN, TOKEN, "another-token-for-callers")
    ]
    assert templates[0] == templates[1] != templates[2]


def test_a_wrong_token_is_refused_without_being_told():
    with pytest.raises(ClusterError) as caught:
        replace(PLAIN, token="too short")
    assert "too short" not in str(caught.value)


def test_the_difference_to_a_saved_state_names_what_changes(tmp_path):
    saved = PLAIN.save(tmp_path / "churn.yaml")
    assert PLAIN.diff(saved) == ()
    changes = replace(PLAIN, image="registry.example/churn:1.2", host="a.example").diff(saved)
    told = [str(each) for each in changes]
    where = "Deployment/churn spec.template.spec.containers[0].image"
    assert f"{where}: 'registry.example/churn:1.1' -> 'registry.example/churn:1.2'" in told
    assert "Ingress/churn is new" in told
    assert repr(changes).splitlines() == told
    html = changes.to_html()
    assert html.count("<tr>") == len(changes) + 1
    assert "registry.example/churn:1.2" in html
    assert repr(PLAIN.diff(saved)) == "no difference"


@pytest.mark.parametrize("text", ["", "- 1\n", "a: [", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_holds_no_objects_is_refused(tmp_path, text):
    path = tmp_path / "other.yaml"
    path.write_text(text)
    if not text:
        assert all(change.before is None for change in PLAIN.diff(path))
        return
    with pytest.raises(ClusterError, match=r"other\.yaml.*save\(\)"):
        PLAIN.diff(path)


def test_html_tells_what_each_object_is_for_and_escapes_what_users_write():
    html = replace(FULL, env={"A": "<script>x</script>"}).to_html()
    assert "<script>" not in html
    assert html.count("<section>") == len(FULL.objects()) + 1
    assert " id=" not in html
    assert "maintenance of nodes takes one pod at a time" in html


REFUSED = {
    "name": ["", "Churn", "1churn", "churn-", "a" * 64, "a b", "a/../b", "模型", "a\n", None, 7],
    "namespace": ["kube_system", "-a", "Default"],
    "image": [
        "", "churn", "churn:latest", "churn:", "Churn:1", "a b:1", "http://a/b:1", "a:1\nb",
        "a:1;x", "churn@sha256:12", None,
    ],
    "digest": ["0a", "sha256:" + "zz" * 32, "md5:00"],
    "replicas": [-1, 1.5, "3", True, 10_001],
    "port": [0, 80, 65_536, "8000", True, 8000.0],
    "drain": [-1, 3601, "30"],
    "env": [
        {"1A": "x"}, {"A-B": "x"}, {"": "x"}, {"A": 8}, {"A": "x\0"}, {"API_KEY": "x"},
        {"DB_PASSWORD": "x"}, {"A": "\ud800"}, {"A\n": "x"}, ["A=1"],
    ],
    "annotations": [{"a b": "x"}, {"/a": "x"}, {"a": True}, {"a": "x" * 262_145}, "a=b"],
    "host": ["", "Example.org", "a..b", "*", "a b", "x" * 254, "http://a.example"],
    "pull_secret": ["", "A", "a/b"],
    "tls_secret": ["valid-but-without-host"],
    "autoscale": ["hpa", True, {}, HpaPolicy],
    "version": [1.1, 3],
    "resources": [None, "256Mi"],
    "service_monitor": ["yes", None],
}  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option, values in REFUSED.items() for value in values],
    ids=lambda value: ascii(value)[:30],
)
def test_a_value_that_the_cluster_would_refuse_is_named_before_anything_is_sent(option, value):
    with pytest.raises(ClusterError, match="Expected") as caught:
        replace(PLAIN, **{option: value})
    named = {"digest": "image", "annotations": "annotation"}.get(option, option)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpu": "1.5.0"}, {"cpu": "-1"}, {"cpu": "0"}, {"cpu": 1}, {"cpu": "0.0001"},
        {"cpu": "1e3"}, {"cpu": "2", "cpu_limit": "1"}, {"memory": "256m"}, {"memory": "256 Mi"},
        {"memory": "256MB"}, {"memory": "1Gi", "memory_limit": "512Mi"}, {"memory": "lots"},
        {"storage": "1Ti"}, {"storage_limit": ""},
    ],
    ids=str,
)  # fmt: skip
def test_a_quantity_that_is_none_or_more_than_its_limit_is_refused(wrong):
    with pytest.raises(ClusterError, match="Expected") as caught:
        Resources(**wrong)
    assert next(iter(wrong)).partition("_")[0] in str(caught.value)


def test_resources_are_proposed_from_what_was_measured():
    small = Resources.measured(memory=9 * 2**20, cpu=0)
    large = Resources.measured(memory=2000 * 2**20, cpu=3.2)
    assert (small.cpu, small.memory, small.memory_limit) == ("100m", "128Mi", "256Mi")
    assert (large.cpu, large.cpu_limit, large.memory) == ("3200m", "7", "2560Mi")
