from __future__ import annotations

import math

import pytest


def pods(replicas, value, rounded):
    return rounded(replicas * int(value[:-1]) / 100) if isinstance(value, str) else value


def bounds(replicas, surge, unavailable):
    least = replicas - pods(replicas, unavailable, math.floor)
    return least, replicas + pods(replicas, surge, math.ceil)


def rounded_the_other_way(replicas, surge, unavailable):
    least = replicas - pods(replicas, unavailable, math.ceil)
    return least, replicas + pods(replicas, surge, math.floor)


def numbers_only(replicas, surge, unavailable):
    return replicas - unavailable, replicas + surge


def swapped(replicas, surge, unavailable):
    return bounds(replicas, surge, unavailable)[::-1]


def as_a_list(replicas, surge, unavailable):
    return list(bounds(replicas, surge, unavailable))


def reached(selector, pods):
    return [
        pod["name"] for pod in pods if pod["ready"] and selector.items() <= pod["labels"].items()
    ]


def test_bounds_pass(verdict):
    assert "Step 06.1 passed" in verdict("06.1", bounds)


@pytest.mark.parametrize(
    "wrong", [rounded_the_other_way, numbers_only, swapped, as_a_list, lambda *_: None]
)
def test_other_bounds_do_not(wrong, verdict):
    assert "passed" not in verdict("06.1", wrong)


def test_the_reached_pods_pass(verdict):
    assert "Step 06.2 passed" in verdict("06.2", reached)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda selector, pods: [pod["name"] for pod in pods],
        lambda selector, pods: [each["name"] for each in pods if selector == each["labels"]],
        lambda selector, pods: [
            each["name"] for each in pods if selector.items() <= each["labels"].items()
        ],
        lambda selector, pods: [
            each["name"] for each in pods if each["ready"] and each["labels"]["app"] == "churn"
        ],
        lambda selector, pods: [
            each["name"]
            for each in pods
            if each["ready"] and selector.keys() <= each["labels"].keys()
        ],
        lambda selector, pods: ["old", "new"],
        lambda selector, pods: None,
        lambda selector, pods: set(reached(selector, pods)),
    ],
)
def test_other_pods_do_not(wrong, verdict):
    assert "is not done yet" in verdict("06.2", wrong)
