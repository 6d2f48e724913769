"""Lesson 6: into a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbdeploy.teach.expectations import Mismatch, describe, expect
from nbdeploy.teach.steps import step

__all__: list[str] = []

_ROLLOUTS = {
    (3, 1, 0): (3, 4),
    (4, 0, 1): (3, 4),
    (10, "25%", "25%"): (8, 13),
    (3, "10%", "50%"): (2, 4),
    (4, "100%", "0%"): (4, 8),
}
_SELECTOR = {"app": "churn", "stage": "live"}
_PODS = [
    {"name": "old", "labels": {"app": "churn", "stage": "live", "version": "1.0"}, "ready": True},
    {"name": "new", "labels": {"app": "churn", "stage": "live", "version": "1.1"}, "ready": True},
    {"name": "loading", "labels": {"app": "churn", "stage": "live"}, "ready": False},
    {"name": "trial", "labels": {"app": "churn", "stage": "test"}, "ready": True},
    {"name": "bare", "labels": {"app": "churn"}, "ready": True},
    {"name": "other", "labels": {"app": "fraud", "stage": "live"}, "ready": True},
]


@step(
    "06.1",
    title="Tell how many pods a rollout has",
    hints=(
        "The fewest are `replicas - unavailable`, the most `replicas + surge`.",
        'A text such as `"25%"` is a share: `int(value[:-1])` of a hundred, of the replicas.',
        "`-(-a // b)` rounds up, `a // b` down. Surge goes up, unavailable goes down.",
    ),
)
def a_rollout_has_bounds(bounds: Callable[[Any, Any, Any], Any]) -> str:
    """Ask for rollouts with numbers and with shares."""
    for (replicas, surge, unavailable), wanted in _ROLLOUTS.items():
        came = bounds(replicas, surge, unavailable)
        if not isinstance(came, tuple):
            raise Mismatch(
                expected=f"the tuple {wanted}", came=describe(came), look="what you return"
            )
        expect(
            came == wanted,
            expected=f"{wanted} for {replicas} replicas, surge {surge!r}, "
            f"unavailable {unavailable!r}",
            came=f"{came!r:.200}",
            look="which of both is rounded up, and which is taken away",
        )
    return "a rollout of 3 pods with surge 1 and none unavailable never has fewer than 3"


@step(
    "06.2",
    title="Find the pods that a Service reaches",
    hints=(
        "All pairs of the selector must be among the labels; more labels do no harm.",
        '`selector.items() <= pod["labels"].items()` asks that.',
        "And a pod that is not ready gets no requests.",
    ),
)
def a_service_reaches_pods(reached: Callable[[Any, Any], Any]) -> str:
    """Ask for pods of both versions, one that loads, and some of others."""
    came = reached(dict(_SELECTOR), [dict(pod) for pod in _PODS])
    if not isinstance(came, list):
        raise Mismatch(expected="a list of names", came=describe(came), look="what you return")
    for name, look in (
        ("loading", "pods that are not ready"),
        ("bare", "whether all labels of the selector are there"),
        ("trial", "the values of the labels"),
        ("other", "the values of the labels"),
    ):
        expect(
            name not in came,
            expected=f"no {name!r} among those that {_SELECTOR} reaches",
            came=f"{came!r:.200}",
            look=look,
        )
    expect(
        came == ["old", "new"],
        expected="['old', 'new']: both versions, while one replaces the other",
        came=f"{came!r:.200}",
        look="whether more labels than those of the selector do harm",
    )
    none = reached({"app": "nobody"}, [dict(pod) for pod in _PODS])
    expect(none == [], expected="[] for a selector of nobody", came=f"{none!r:.200}")
    return "labels and readiness decide; the version is no part of it"
