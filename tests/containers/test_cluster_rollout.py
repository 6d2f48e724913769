from __future__ import annotations

import pytest

from nbdeploy.containers.cluster_rollout import rollout_of


def deployment(updated=1, available=3, replicas=4, *, generation=2, seen=2, conditions=()):
    return {
        "metadata": {"name": "churn", "generation": generation},
        "spec": {"replicas": 3},
        "status": {
            "observedGeneration": seen, "replicas": replicas, "updatedReplicas": updated,
            "availableReplicas": available, "conditions": list(conditions),
        },
    }  # fmt: skip


def pod(state, **more):
    return {"status": {"containerStatuses": [{"image": "a:1", "state": state, **more}]}}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (pod({"waiting": {"reason": "ErrImagePull"}}), "kind load docker-image a:1"),
        (pod({"waiting": {"reason": "CrashLoopBackOff"}}), "ends again and again: see logs()"),
        (
            pod({"running": {}}, lastState={"terminated": {"reason": "OOMKilled"}}, ready=True),
            "raise memory_limit",
        ),
        (pod({"waiting": {"reason": "CreateContainerConfigError"}}), "a Secret or ConfigMap"),
        (pod({"running": {}}, ready=False), "does not answer its probes yet"),
        ({"status": {"reason": "Evicted"}}, "no room left"),
        (
            {"status": {"conditions": [{"reason": "Unschedulable", "message": "0/3 nodes"}]}},
            "no node has room for the pod: request less, or add nodes (0/3 nodes)",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_keeps_a_pod_is_told_in_plain_words(found, told):
    status = rollout_of(deployment(), [found, found])
    (reason,) = status.reasons
    assert told in reason
    assert told in status.to_text()


def test_a_pod_that_is_only_being_made_has_no_reason():
    status = rollout_of(deployment(), [pod({"waiting": {"reason": "ContainerCreating"}}), {}])
    assert status.reasons == ()
    assert not status.done


def test_what_the_cluster_refuses_is_told_and_when_it_gave_up():
    quota = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded"}
    status = rollout_of(deployment(conditions=[quota, late]), [])
    assert status.failed
    assert status.reasons == ("The cluster refuses the pods: exceeded quota: small",)
    assert repr(status) == "<RolloutStatus 'churn' failed: 1 of 3 new, 3 available>"


@pytest.mark.parametrize(
    ("live", "share"),
    [
        (deployment(updated=1, available=3, replicas=4), 0),
        (deployment(updated=2, available=3, replicas=4), 1 / 3),
        (deployment(updated=3, available=3, replicas=4), 2 / 3),
        (deployment(updated=3, available=3, replicas=3), 1),
        (deployment(updated=3, available=3, replicas=3, seen=1), 1),
    ],
)
def test_the_share_counts_new_pods_that_answer(live, share):
    status = rollout_of(live, [])
    assert status.share == pytest.approx(share)
    assert status.done == (share == 1 and live["status"]["observedGeneration"] == 2)


def test_a_change_that_nobody_has_seen_yet_is_not_done_and_old_trouble_is_not_its_own():
    late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded"}
    status = rollout_of(deployment(3, 3, 3, generation=3, conditions=[late]), [])
    assert not status.done
    assert not status.failed
