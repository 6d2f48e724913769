from __future__ import annotations

import math

import pytest

from nbdeploy.scaling import ConcurrencyPolicy, HpaPolicy, ThresholdPolicy


@pytest.mark.parametrize(
    "calm",
    [ThresholdPolicy(tolerance=0.2), HpaPolicy(), ThresholdPolicy(tolerance=0.2, cooldown=0)],
    ids=["threshold", "hpa", "tolerant"],
)
def test_a_calm_policy_that_grows_passes(calm, verdict):
    assert "Step 08.1 passed: no turn for the restless load" in verdict("08.1", calm)


@pytest.mark.parametrize(
    ("calm", "told"),
    [
        (ThresholdPolicy(tolerance=0, cooldown=0), "38 turns"),
        (ThresholdPolicy(), "12 turns"),
        (ThresholdPolicy(tolerance=0.5), "at least 4 replicas"),
        (ThresholdPolicy(cooldown=10_000), "at least 4 replicas"),
        (ThresholdPolicy, "the class ThresholdPolicy itself"),
    ],
    ids=["flaps", "flaps slowly", "too tolerant", "too cool", "class"],
)
def test_what_a_policy_does_is_told(calm, told, verdict):
    out = verdict("08.1", calm)
    assert told in out
    assert "passed" not in out


def test_a_policy_of_requests_may_be_calm_too(verdict):
    assert "passed" in verdict("08.1", ConcurrencyPolicy(target_concurrency=70, stable_window=30))


def formula(replicas, metric, target):
    ratio = metric / target
    return replicas if abs(1 - ratio) <= 0.1 else math.ceil(replicas * ratio)


def test_the_formula_passes(verdict):
    assert "agrees with Kubernetes' in 21 of 21 cases" in verdict("08.2", formula)


@pytest.mark.parametrize(
    ("hpa", "expected"),
    [
        (lambda n, metric, target: math.ceil(n * metric / target), "hpa(1, 76, 70) == 1"),
        (lambda n, metric, target: max(1, int(n * metric / target)), "hpa(1, 80, 70) == 2"),
        (lambda n, metric, target: n + (metric > target), "hpa("),
        (lambda *_: None, "hpa(1, 10, 70) == 1"),
        (7, "a function `hpa(replicas, metric, target)`"),
    ],
    ids=["no tolerance", "rounded down", "threshold", "nothing", "number"],
)
def test_a_wrong_formula_is_shown_a_case(hpa, expected, verdict):
    out = verdict("08.2", hpa)
    assert f"Expected: {expected}" in out
