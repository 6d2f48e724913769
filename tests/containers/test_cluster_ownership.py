from __future__ import annotations

from hypothesis import given
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
