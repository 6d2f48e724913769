"""Exercise 3: as many replicas as the load needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nbdeploy.scaling import (
    ConcurrencyPolicy,
    HpaPolicy,
    LargestOf,
    ThresholdPolicy,
    simulate,
)
from nbdeploy.teach.expectations import describe, expect, expect_running
from nbdeploy.teach.steps import step

__all__: list[str] = []

_POLICIES = (ThresholdPolicy, HpaPolicy, ConcurrencyPolicy, LargestOf)
_LOADS = (
    (50, 0.03, 0.8),
    (32, 0.03, 0.8),
    (50, 0.03, 0.5),
    (5, 0.03, 0.8),
    (0, 0.03, 0.8),
    (100, 0.1, 1.0),
)
_NIGHT, _NOON = (55, 80) * 10, (300,) * 20
_DAY = (*_NIGHT, *_NOON, *_NIGHT, *_NIGHT)
_TURNS, _AT_NOON, _LOOKS, _AT_NIGHT = 1, 4, 10, 2
_MOST_REPLICAS = 3
_LEAST_ANSWERED = 0.99
_LEAST_REQUESTS = 100
_LEAST_SPREAD = 2.0


@step(
    "ex3.1",
    title="Compute how many instances a load needs",
    hints=(
        "Requests a second, times the seconds that each takes, are under way at the same time.",
        "An instance that is busy 80 % of the time carries 0.8 of them.",
        "`max(1, math.ceil(rps * seconds / use))`",
    ),
)
def enough_are_needed(needed: Callable[..., Any]) -> str:
    """Compare with the formula for loads from nothing to much."""
    expect(
        callable(needed),
        expected="a function `needed(rps, seconds, use)`",
        came=describe(needed),
        look="the cell that defines `needed`",
    )
    for rps, seconds, use in _LOADS:
        wanted = max(1, math.ceil(round(rps * seconds / use, 9)))
        came = needed(rps, seconds, use)
        expect(
            came == wanted,
            expected=f"needed({rps}, {seconds}, {use}) == {wanted}",
            came=describe(came),
            look=f"{rps * seconds:g} requests are under way; round up, and keep at least one",
        )
    return f"right for all {len(_LOADS)} loads, and one instance stays when nobody calls"


@step(
    "ex3.2",
    title="Let instances come at once and go late",
    hints=(
        "For each look, only the looks up to it count: nobody knows the future.",
        "`wanted[place - window + 1 : place + 1]` are the last looks, if there are so many.",
        "`[max(wanted[max(0, i - window + 1) : i + 1]) for i in range(len(wanted))]`",
    ),
)
def swings_are_smoothed(calm: Callable[..., Any]) -> str:
    """Look at a peak, a fall and a load that swings."""
    cases: tuple[tuple[list[int], int], ...] = (
        ([1, 4, 1, 1, 1], 3),
        ([1, 2, 1, 2, 1, 2], 2),
        ([3, 2, 1, 1], 1),
        ([2], 5),
    )
    for wanted, window in cases:
        right = [max(wanted[max(0, at - window + 1) : at + 1]) for at in range(len(wanted))]
        given = list(wanted)
        came = calm(given, window)
        expect(
            isinstance(came, Sequence) and list(came) == right,
            expected=f"calm({wanted}, {window}) == {right}",
            came=repr(came) if isinstance(came, list) else describe(came),
            look=_look_at(came, right),
        )
        expect(
            given == wanted,
            expected="a new list",
            came="the given one, changed",
            look="what your function does with `wanted`",
        )
    return "instances come at once and go only after the whole window"


def _look_at(came: Any, right: list[int]) -> str:
    if not isinstance(came, Sequence) or len(came) != len(right):
        return "one number for each look"
    differs = [mine != yours for mine, yours in zip(right, came, strict=True)]
    at = differs.index(True) if any(differs) else 0
    return f"place {at}: the window ends there, and has at most `window` looks"


@step(
    "ex3.3",
    title="Start and stop instances",
    hints=(
        "`replicas` is the number of services in the list.",
        'Too few: `self.services.append(deploy(self.model, name="price-1", example=X))`.',
        "Too many: `self.services.pop().stop()`. Do both in a `while` loop.",
    ),
)
def instances_come_and_go(instances: Any) -> str:
    """Have three, one and none, and ask those that should be there."""
    _expect_actuator(instances)
    for wanted in (3, 1, 1, 2, 0):
        services = list(instances.services)
        instances.scale(wanted)
        expect(
            instances.replicas == wanted == len(instances.services),
            expected=f"{wanted} instances after `scale({wanted})`",
            came=f"`replicas` says {describe(instances.replicas)}, and "
            f"{len(instances.services)} are in the list",
            look="`scale` and `replicas`",
        )
        for service in instances.services:
            expect_running(service)
            service.service.health.readiness()
        left = [each for each in services if each not in instances.services]
        alive = [each.name for each in left if each._server.running]  # noqa: SLF001 -- no public name tells it
        expect(
            not alive,
            expected="the instances that are too many to be stopped",
            came=f"{', '.join(alive)} still running",
            look="`.stop()` of the services that you take out of the list",
        )
        names = {service.name for service in instances.services}
        expect(
            len(names) == wanted,
            expected=f"{wanted} names",
            came=f"the names {', '.join(sorted(names))}",
            look="`name=`: deploying under a name that is taken replaces the model there",
        )
    return "instances come and go, and those that went are stopped"


@step(
    "ex3.4",
    title="Connect policy, measurement and actuator",
    hints=(
        "`AutoScaler(1, 3, ...)` takes the policy by its name.",
        "`measure=` takes a function without arguments; it is called at every look.",
        '`AutoScaler(1, 3, policy="concurrency", actuator=..., measure=lambda: dial["in flight"])`',
    ),
)
def scaler_follows_the_dial(scaler: Any, dial: dict[str, Any]) -> str:
    """Turn the dial, and let it look."""
    from nbdeploy.scaling.autoscaler import AutoScaler  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(scaler, AutoScaler),
        expected="an `AutoScaler` of nbdeploy",
        came=describe(scaler),
        look="`scaler = AutoScaler(...)`",
    )
    bounds = (scaler.min_replicas, scaler.max_replicas)
    expect(
        bounds == (1, _MOST_REPLICAS) and isinstance(scaler.policy, ConcurrencyPolicy),
        expected='1 to 3 replicas by the policy "concurrency"',
        came=f"{bounds[0]} to {bounds[1]} by {type(scaler.policy).__name__}",
        look="the first two arguments of `AutoScaler`, and `policy=`",
    )
    before = dial["in flight"]
    try:
        dial["in flight"] = 50
        grown = scaler.tick()
    finally:
        dial["in flight"] = before
    expect(
        grown.wanted == _MOST_REPLICAS,
        expected="3 replicas wanted with 50 requests in flight",
        came=f"{grown.wanted}, because of: {grown.reason}",
        look="`measure=`: a function that reads the dial at every look",
    )
    expect(
        grown.got == _MOST_REPLICAS == scaler.current_replicas
        and "without an actuator" not in repr(scaler),
        expected="3 instances that really answer",
        came=f"{grown.got}; {scaler!r}",
        look="`actuator=`: your `instances`",
    )
    return "the dial went up, and three instances answer"


@step(
    "ex3.5",
    title="Choose a policy on a day that was played",
    hints=(
        "A tolerance keeps it calm at night; a target or threshold that is too high misses noon.",
        "`HpaPolicy` grows by what is missing, `ThresholdPolicy` by one at a look.",
        "`HpaPolicy(target=75, tolerance=0.2, max_replicas=8)`",
    ),
)
def day_is_survived(chosen: Any) -> str:
    """Play the day."""
    expect(
        isinstance(chosen, _POLICIES),
        expected="a policy, such as `HpaPolicy(...)`",
        came=describe(chosen),
        look="the cell that makes `chosen`",
    )
    history = simulate(chosen, _DAY)
    expect(
        history.turns == _TURNS,
        expected="instances that come for noon, go after it, and do nothing else",
        came=f"{history.turns} turns between growing and shrinking",
        look="`tolerance` and `cooldown`, or `HpaPolicy` with its window",
    )
    soon = history[len(_NIGHT) + _LOOKS].got
    expect(
        soon >= _AT_NOON,
        expected=f"at least {_AT_NOON} replicas {_LOOKS} looks after noon began",
        came=str(soon),
        look="a target or tolerance that is too high, a cooldown that is too long, or the bounds",
    )
    late = history[-1].got
    expect(
        late <= _AT_NIGHT,
        expected=f"at most {_AT_NIGHT} replicas when the day is over",
        came=str(late),
        look="what lets replicas go: a threshold that is too low, a window that is too long",
    )
    return f"{soon} replicas at noon, {late} at the end, and no flapping in the night"


@step(
    "ex3.6",
    title="Let a real service follow a real load",
    hints=(
        "Deploy first, then `service.autoscale(...)`, then `service.load_test(...)`.",
        "`policy=brisk` gives the policy; `ramp=True` goes evenly from one rate to the next.",
        "`result = service.load_test([5, 60, 5], seconds=10, ramp=True)`",
    ),
)
def service_followed_the_load(service: Any, autoscaler: Any, result: Any) -> str:
    """Read the history and the result: what happened cannot be repeated in five seconds."""
    from nbdeploy.scaling.autoscaler import AutoScaler  # noqa: PLC0415 -- heavy import
    from nbdeploy.scaling.load_result import LoadResult  # noqa: PLC0415 -- heavy import

    expect_running(service)
    expect(
        isinstance(autoscaler, AutoScaler) and autoscaler.max_replicas == _MOST_REPLICAS,
        expected="what `service.autoscale(min_replicas=1, max_replicas=3, ...)` returns",
        came=describe(autoscaler) if not isinstance(autoscaler, AutoScaler) else repr(autoscaler),
        look="`autoscaler = service.autoscale(...)`",
    )
    expect(
        isinstance(result, LoadResult) and len(result.samples) >= _LEAST_REQUESTS,
        expected="the result of a load of a few hundred requests",
        came=describe(result)
        if not isinstance(result, LoadResult)
        else f"one of {len(result.samples)} requests",
        look="`result = service.load_test([5, 60, 5], seconds=10, ramp=True)`",
    )
    expect(
        _spread(result) >= _LEAST_SPREAD,
        expected="a load that grows and falls",
        came="one that is the same all the time",
        look="the list of rates, and `ramp=True`",
    )
    share = len(result.answered) / len(result.samples)
    expect(
        share >= _LEAST_ANSWERED,
        expected=f"at least {_LEAST_ANSWERED:.0%} of the requests answered",
        came=f"{share:.1%}; the others: {result.errors}",
        look="`service.errors()` and `service.logs()`",
    )
    most = max((step.got for step in autoscaler.history()), default=0)
    expect(
        most > 1,
        expected="more than one replica at the height of the ramp",
        came=f"{most} at most",
        look="whether you called `autoscale` before the load, and `max_batch_size=1`: without it "
        "one replica answers all that wait at once",
    )
    return (
        f"up to {most} replicas answered {len(result.answered)} of {len(result.samples)} requests"
    )


def _spread(result: Any) -> float:
    """How many more requests the middle third of the time had than the first."""
    third = result.seconds / 3
    parts = [sum(int(sample.due // third) == part for sample in result.samples) for part in (0, 1)]
    return parts[1] / max(1, parts[0])


def _expect_actuator(instances: Any) -> None:
    is_whole = all(hasattr(instances, name) for name in ("replicas", "scale", "services"))
    expect(
        is_whole and not isinstance(instances, type),
        expected="an object with `replicas`, `scale(n)` and the list `services`",
        came=describe(instances),
        look="`instances = Instances(model)`",
    )
