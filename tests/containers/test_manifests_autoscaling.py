from __future__ import annotations

from pathlib import Path

import pytest

from nbdeploy.containers.manifests_autoscaling import IN_FLIGHT_METRIC, hpa_of
from nbdeploy.exceptions import ClusterError
from nbdeploy.scaling.concurrency import ConcurrencyPolicy
from nbdeploy.scaling.hpa import HpaPolicy, Rate
from nbdeploy.scaling.policies import LargestOf
from nbdeploy.scaling.threshold import ThresholdPolicy


def test_the_policy_of_kubernetes_is_carried_over_number_by_number():
    policy = HpaPolicy(
        target=60, scale_down_window=120, scale_down=(Rate(count=2, period=30),), min_replicas=2
    )
    found = hpa_of(policy)
    assert found.spec == {
        "minReplicas": 2,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 60},
                },
            }
        ],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                ],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 120,
                "selectPolicy": "Max",
                "policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}],
            },
        },
    }
    assert any("of what the pod requests" in note for note in found.notes)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (HpaPolicy(tolerance=0.2), "tolerance"),
        (HpaPolicy(interval=5), "every 15 s"),
        (HpaPolicy(min_replicas=0), "0 pods"),
        (ThresholdPolicy(), "half of the threshold"),
        (ConcurrencyPolicy(), "Panic"),
        (ConcurrencyPolicy(), "adapter"),
        (LargestOf((HpaPolicy(), ConcurrencyPolicy())), "one behavior"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_cannot_be_expressed_is_said(policy, said):
    assert any(said in note for note in hpa_of(policy).notes)


def test_requests_in_flight_are_a_metric_of_the_pods():
    (metric,) = hpa_of(ConcurrencyPolicy(target_concurrency=2.5)).spec["metrics"]
    assert metric["pods"] == {
        "metric": {"name": IN_FLIGHT_METRIC},
        "target": {"type": "AverageValue", "averageValue": "2500m"},
    }


def test_the_metric_is_one_that_the_monitor_exports():
    from nbdeploy.monitoring import prometheus

    assert IN_FLIGHT_METRIC in Path(prometheus.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "policy",
    [
        HpaPolicy(metric="external"),
        HpaPolicy(target=0),
        HpaPolicy(target=float("nan")),
        HpaPolicy(scale_down_window=3601),
        HpaPolicy(scale_up=(Rate(count=1, period=1801),)),
        HpaPolicy(scale_up=(Rate(),)),
        HpaPolicy(min_replicas=5, max_replicas=2),
        HpaPolicy(max_replicas=0),
        ConcurrencyPolicy(target_concurrency=0),
        LargestOf(()),
    ],
    ids=str,
)
def test_a_policy_that_no_hpa_can_be_is_refused(policy):
    with pytest.raises(ClusterError, match="Expected"):
        hpa_of(policy)
