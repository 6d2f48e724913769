"""Lesson 8: as many replicas as the load needs."""

from __future__ import annotations

from typing import Any

from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling import (
    ConcurrencyPolicy,
    HpaPolicy,
    LargestOf,
    Load,
    ThresholdPolicy,
    desired_replicas,
    simulate,
)
from nbdeploy.teach.expectations import Mismatch, describe, expect
from nbdeploy.teach.steps import step

__all__: list[str] = []

_RESTLESS = (60, 80) * 20
_DOUBLED = (70,) * 4 + (280,) * 20
_ENOUGH = 4
_POLICIES = (ThresholdPolicy, HpaPolicy, ConcurrencyPolicy, LargestOf)


@step(
    "08.1",
    title="Find a policy that is calm and still grows",
    hints=(
        "Play your policy: `simulate(calm, [60, 80] * 20)`. The turns should be 0.",
        "A `tolerance` makes a ThresholdPolicy calm; a `cooldown` only makes it slow.",
        "80 must be no reason to grow: `ThresholdPolicy(tolerance=0.2)`. Or take `HpaPolicy()`.",
    ),
)
def policy_is_calm(calm: Any) -> str:
    """Play the student's policy over a restless load, and over one that grows."""
    expect(
        isinstance(calm, _POLICIES),
        expected="a policy, such as `ThresholdPolicy(...)` or `HpaPolicy(...)`",
        came=describe(calm),
        look="the cell that makes `calm`",
    )
    try:
        restless = simulate(calm, _RESTLESS)
        grown = simulate(calm, _DOUBLED)
    except ScalingError as error:
        raise Mismatch(
            expected="a policy of the CPU", came=f"its refusal: {error}", look="`calm`"
        ) from None
    expect(
        restless.turns == 0,
        expected="no flapping for a load of 60, 80, 60, 80, ... percent",
        came=f"{restless.turns} turns",
        look="`tolerance` and `cooldown` of your policy, or another policy",
    )
    got = grown[-1].got
    expect(
        got >= _ENOUGH,
        expected=f"at least {_ENOUGH} replicas when the load stays at 280 percent",
        came=str(got),
        look="a tolerance or cooldown that is too big, or a target that is too high",
    )
    return f"no turn for the restless load, {got} replicas for the one that grew"


@step(
    "08.2",
    title="Write the formula of Kubernetes",
    hints=(
        "ratio = metric / target. Near 1, nothing is done.",
        "Otherwise the number of replicas is multiplied by the ratio, and rounded up.",
        "`math.ceil(replicas * metric / target)`, and `replicas` if `abs(1 - ratio) <= 0.1`.",
    ),
)
def formula_is_right(hpa: Any) -> str:
    """Compare the student's function with nbdeploy's over many loads."""
    expect(
        callable(hpa),
        expected="a function `hpa(replicas, metric, target)`",
        came=describe(hpa),
        look="the cell that defines `hpa`",
    )
    count = 0
    for replicas in (1, 3, 7):
        for metric in (10, 40, 64, 70, 76, 80, 100):
            wanted = _kubernetes(replicas, metric)
            came = hpa(replicas, metric, 70)
            near = " It is within the tolerance of 10 %." if wanted == replicas else ""
            expect(
                came == wanted,
                expected=f"hpa({replicas}, {metric}, 70) == {wanted}",
                came=describe(came),
                look=f"the ratio is {metric / 70:.2f}.{near} Round up, never down.",
            )
            count += 1
    return f"your formula agrees with Kubernetes' in {count} of {count} cases"


def _kubernetes(replicas: int, metric: float) -> int:
    # Without limits of speed: the formula alone.
    policy = HpaPolicy(target=70, scale_up=(), scale_down=(), max_replicas=100)
    return desired_replicas(policy, Load(replicas, cpu=metric))
