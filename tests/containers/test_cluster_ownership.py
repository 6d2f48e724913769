from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy.containers.cluster_ownership import fields_of, holders, owned, restored

CONTAINER = 'k:{"name":"model"}'
VARIABLE = 'k:{"name":"A"}'
FIELDS = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    CONTAINER: {
                        ".": {}, "f:name": {}, "f:image": {},
                        "f:env": {VARIABLE: {".": {}, "f:name": {}, "f:value": {}}},
                    }
                }
            }
        },
    },
}  # fmt: skip


def deployment(image="a:1", *, others=(), **more):
    env = [{"name": "A", "value": "1"}, {"name": "THEIRS", "value": "2"}]
    container = {"name": "model", "image": image, "env": env, "imagePullPolicy": "IfNotPresent"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "churn",
            "labels": {"app": "churn", "team": "theirs"},
            "managedFields": [
                *others,
                {"manager": "nbdeploy", "operation": "Apply", "fieldsV1": FIELDS},
            ],
        },
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "churn"}},
            "progressDeadlineSeconds": 600,
            "template": {"spec": {"containers": [container, {"name": "sidecar"}], **more}},
        },
    }


def test_only_what_was_applied_is_ours():
    found = owned(deployment())
    assert found["metadata"] == {"name": "churn", "labels": {"app": "churn"}}
    assert found["spec"] == {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "churn"}},
        "template": {
            "spec": {
                "containers": [
                    {"name": "model", "image": "a:1", "env": [{"name": "A", "value": "1"}]}
                ]
            }
        },
    }


def test_of_an_object_of_others_nothing_is_ours():
    live = deployment()
    live["metadata"]["managedFields"] = []
    assert fields_of(live) == {}
    assert owned(live) == {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "churn"},
    }  # fmt: skip


def test_who_else_holds_a_field_is_named():
    scaler = {
        "manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }  # fmt: skip
    live = deployment(others=[scaler])
    assert holders(live, "f:spec", "f:replicas") == ["kube-controller-manager"]
    assert holders(live, "f:spec", "f:paused") == []


def going_back(old, live):
    held = FIELDS["f:spec"]["f:template"]
    return restored(old["spec"]["template"], live["spec"]["template"], held)


def test_going_back_takes_what_is_ours_and_what_differs():
    old, live = deployment("a:1", hostNetwork=False), deployment("a:2", hostNetwork=True)
    live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    found = going_back(old, live)["spec"]
    assert found["hostNetwork"] is False
    assert found["containers"] == [
        {
            "name": "model", "image": "a:1", "env": [{"name": "A", "value": "1"}],
            "imagePullPolicy": "IfNotPresent",
        }
    ]  # fmt: skip


def test_what_is_not_there_any_more_comes_back_whole():
    old, live = deployment(), deployment()
    del live["spec"]["template"]["spec"]["containers"][0]["env"][0]
    live["spec"]["template"]["spec"]["containers"] = [{"name": "other"}]
    (model, sidecar) = going_back(old, live)["spec"]["containers"]
    assert model["env"][0] == {"name": "A", "value": "1"}
    assert sidecar == {"name": "sidecar"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def merged(live, applied):
    """Apply as a cluster does: dicts are merged, everything else is replaced."""
    if not isinstance(live, dict) or not isinstance(applied, dict):
        return applied
    return live | {key: merged(live.get(key), value) for key, value in applied.items()}


def is_within(part, whole):
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_within(value, whole[key]) for key, value in part.items())
    return part == whole


@given(OBJECTS, OBJECTS)
def test_whatever_was_there_is_there_again(old, live):
    applied = restored(old, live, {})
    assert is_within(applied, old)
    assert is_within(old, merged(live, applied))


@given(OBJECTS)
def test_of_the_same_nothing_is_taken(same):
    assert restored(same, same, {}) == {}


NAMES = st.sampled_from(["a", "b", "c"])
VARIABLES = st.dictionaries(NAMES, st.sampled_from("123"), min_size=1).map(
    lambda found: [{"name": name, "value": value} for name, value in found.items()]
)
MODELS = st.fixed_dictionaries(
    {"image": st.sampled_from(["x:1", "x:2"])},
    optional={"env": VARIABLES, "selector": st.dictionaries(NAMES, NAMES, min_size=1)},
)
TEMPLATES = st.dictionaries(NAMES, MODELS, min_size=1, max_size=2).map(
    lambda found: {"containers": [{"name": name, **each} for name, each in found.items()]}
)
SPECS = st.fixed_dictionaries(
    {"template": TEMPLATES}, optional={"replicas": st.integers(0, 3), "paused": st.booleans()}
)
STEPS = st.lists(st.tuples(st.sampled_from(["nbdeploy", "kubectl", "helm"]), SPECS), max_size=4)
PATH = "/apis/x/v1/namespaces/default/things/churn"


def apply(cluster, spec, manager="nbdeploy", *, force=True):
    body = {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "churn"}, "spec": spec}
    return cluster.apply(PATH, body, manager, force=force, dry_run=False)


def told(live):
    """What a client sees: the server's own values stay its own."""
    return json.loads(json.dumps(live))


@pytest.fixture(scope="module")
def make_cluster(contract):
    def make():
        cluster = contract.Cluster()
        cluster._check = lambda made: None  # no schema knows these things
        return cluster

    return make


@settings(max_examples=60)
@given(first=SPECS, steps=STEPS)
def test_applying_what_is_ours_again_changes_nothing_whoever_else_was_there(
    make_cluster, first, steps
):
    cluster = make_cluster()
    apply(cluster, first)
    for manager, spec in steps:
        apply(cluster, spec, manager)
    before = told(cluster.objects[PATH])
    again = apply(cluster, owned(before).get("spec", {}), force=False)
    assert told(again) == before


@settings(max_examples=60)
@given(first=SPECS, steps=STEPS, second=SPECS)
def test_going_back_restores_every_value_that_was_applied(
    make_cluster, contract, first, steps, second
):
    flat = contract.contract_cluster.flat
    cluster = make_cluster()
    old = told(apply(cluster, first))["spec"]["template"]
    for manager, spec in [*steps, ("nbdeploy", second)]:
        apply(cluster, spec, manager)
    live = told(cluster.objects[PATH])
    held = fields_of(live)["f:spec"]["f:template"]
    template = restored(old, live["spec"]["template"], held)
    spec = {key: each for key, each in owned(live)["spec"].items() if key != "template"}
    apply(cluster, {**spec, "template": template} if template else spec)
    now = flat(cluster.objects[PATH]["spec"]["template"])
    assert {path: now.get(path) for path in flat(old)} == flat(old)
